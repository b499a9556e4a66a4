/** `/errand/call/1`: one question to the runtime of another device, one answer. Frames and caps; see README.md beside this file. */
import * as v from 'valibot'
import { APPROVAL, RequestId, RightAnswer, RightAsked, WaitingCommand } from '../approval/messages.ts'
import { Standing, Submission, TaskEvent } from '../task/messages.ts'
import { Bytes, Count, List, Text, WireFault } from '../wire.ts'

export const CALL = {
  ids: ['/errand/call/1'],
  maxFrameBytes: 1 << 20,
  /** How long a device waits for the question. */
  openMs: 10_000,
  /** How long a caller waits for the answer: ending a command takes 7 s at most. */
  answerMs: 20_000,
  streamsPerPeer: 64,
  maxSupposed: 256,
  maxStops: 1_024,
} as const

/** A tag once used is never given a second meaning. */
export const CALL_TAG = { ask: 0x01, answer: 0x02, refused: 0x03 } as const

/** What a revocation would end here. Shows no right: it is signed by who could sign the revocation. */
export const WHAT_IF = 'what-if'
/** Besides those about tasks: whether a command would run. Its invocation is that command's own, marked as a question. */
export const WHY = 'why'
export const TASK_QUESTIONS = ['/task/read', '/task/cancel', '/task/pause', '/task/resume'] as const
export type TaskQuestion = (typeof TASK_QUESTIONS)[number]
/** What waits for an approval here, and a decision on it; a request for a right, how it stands, and that it is not wanted any more. Since 0.3. */
export const APPROVAL_QUESTIONS = ['/approval/list', '/approval/grant', '/right/ask', '/right/state', '/right/withdraw'] as const
export type ApprovalQuestion = (typeof APPROVAL_QUESTIONS)[number]

/** caller → device. */
export const Ask = v.object({
  question: v.picklist([...TASK_QUESTIONS, WHY, WHAT_IF, ...APPROVAL_QUESTIONS]),
  /** '' is all tasks that live, or ended lately. */
  task: Text(64),
  /** With `task`: its history too. */
  events: v.exactOptional(v.boolean()),
  invocation: Bytes(65_536),
  proofs: List(Bytes(8_192), 8),
  /** In which session the caller asks: a pass. Absent: outside of any. Since 0.2. */
  session: v.exactOptional(List(Bytes(8_192), 2)),
  /** With `what-if`: revocations as they would be signed, marked as questions and bound to this connection. */
  supposed: v.exactOptional(List(Bytes(1_024), CALL.maxSupposed)),
  /** With `/right/ask`. */
  right: v.exactOptional(RightAsked),
  /** With `/right/state` and `/right/withdraw`: the id that was chosen. */
  request: v.exactOptional(RequestId),
})
export type Ask = v.InferOutput<typeof Ask>

export const WireTask = v.object({ ...Submission.entries, ...Standing.entries })
export type WireTask = v.InferOutput<typeof WireTask>

const Gap = v.object({ t: v.literal('gap'), from: Count, to: Count })

/** One thing that a command has to pass, and whether it would. */
export const WhyStep = v.object({
  step: v.pipe(v.string(), v.regex(/^[a-z][a-z-]{0,31}$/, 'not the name of a step')),
  ok: v.boolean(),
  detail: Text(4_096),
  /** Where it would not: the next thing to do. */
  hint: v.exactOptional(Text(1_024)),
})
export type WhyStep = v.InferOutput<typeof WhyStep>

/** device → caller. */
export const Answer = v.object({
  tasks: List(WireTask, 1_000),
  events: v.exactOptional(List(v.union([TaskEvent, Gap]), 10_000)),
  /** To `why`, in their order, up to the first that is not passed. */
  steps: v.exactOptional(List(WhyStep, 32)),
  /** To `what-if`: the tasks that would end. */
  stops: v.exactOptional(List(Text(64), CALL.maxStops)),
  waiting: v.exactOptional(List(WaitingCommand, APPROVAL.maxListed)),
  /** How many people have said yes to what was decided on, and how many have to. */
  decided: v.exactOptional(v.object({ have: Count, need: Count })),
  right: v.exactOptional(RightAnswer),
})
export type Answer = v.InferOutput<typeof Answer>

export const Refused = WireFault
