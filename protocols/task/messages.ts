/** The vocabulary of a task: its states and reasons, what a submission says, what happens to it, and what a command may ask for. See README.md. */
import * as v from 'valibot'
import { Count, DidText, encode, List, Text } from '../wire.ts'
import { Limits } from './limits.ts'

export const TASK_STATES = ['PENDING', 'PLANNING', 'RUNNING', 'WAITING', 'COMPLETED', 'FAILED', 'CANCELLED'] as const
export type TaskState = (typeof TASK_STATES)[number]

/** Why a task is where it is: one code of its state's row. A code once used keeps its meaning. */
export const TASK_WHYS = {
  PENDING: ['submitted'],
  PLANNING: ['planned', 'resumed'],
  RUNNING: ['started', 'resumed'],
  WAITING: ['input', 'approval', 'queue', 'device', 'children', 'paused', 'retry'],
  COMPLETED: ['exit'],
  FAILED: ['exit', 'timeout', 'limit', 'lost', 'revoked', 'not-found', 'not-executable', 'spawn-failed', 'refused', 'unreachable', 'error'],
  CANCELLED: ['cancelled'],
} as const satisfies Record<TaskState, readonly string[]>
export type TaskWhy = (typeof TASK_WHYS)[TaskState][number]

/** Caps of everything that a task carries. What is too large is refused, never cut: it would come back as something else. */
export const TASK = {
  maxDescriptionChars: 4_096,
  maxInputChars: 65_536,
  maxMetadataItems: 64,
  maxMetadataChars: 1_024,
  maxContextBytes: 65_536,
  maxJsonDepth: 32,
  maxSubmissionBytes: 512 * 1_024,
  maxEventBytes: 16_384,
  maxProgressLineBytes: 4_096,
  maxProgressChars: 256,
  maxProgressDataBytes: 2_048,
  maxMessageChars: 1_024,
  maxChildren: 512,
} as const

/** A command as it is declared, bounded by policies and enforced. Every field is present; '' and 0 mean "not asked for". */
const Cells = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(10_000))
/** Of a terminal, in characters. */
export const WindowSize = v.object({ columns: Cells, rows: Cells })
export type WindowSize = v.InferOutput<typeof WindowSize>
/** What a command gets that asked for a terminal (`tty`). */
export const Terminal = v.object({
  /** Its kind, as terminfo names it: TERM over there. */
  term: v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/, 'the name of a kind of terminal expected')),
  ...WindowSize.entries,
})
export type Terminal = v.InferOutput<typeof Terminal>

export const CommandSpec = v.strictObject({
  exe: v.pipe(v.string(), v.minLength(1), v.maxLength(4_096)),
  argv: List(Text(131_072), 1_024),
  cwd: Text(4_096),
  env: v.record(Text(256), Text(32_768)),
  user: Text(256),
  timeoutMs: Count,
  maxOutputBytes: Count,
  stdin: v.boolean(),
  /** There exactly where `tty` was signed. */
  terminal: v.exactOptional(Terminal),
  /** What its caller wants it held to. Since 0.4. */
  limits: v.exactOptional(Limits),
})
export type CommandSpec = v.InferOutput<typeof CommandSpec>

export const TaskIdText = v.pipe(v.string(), v.regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'a UUID in lower case expected'))
const Name = v.pipe(v.string(), v.minLength(1), v.maxLength(128))

/** A map of JSON values, measured as DAG-CBOR: the bytes it costs on disk. */
const JsonMap = (maxBytes: number) =>
  v.pipe(
    v.record(Text(128), v.unknown()),
    v.check(
      (map) => isShallow(map, TASK.maxJsonDepth) && bytesOf(map) <= maxBytes,
      `JSON values of at most ${maxBytes} bytes and ${TASK.maxJsonDepth} levels expected`,
    ),
  )

/** What one recursion still reads, another with less stack left would not. */
function isShallow(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return levels > 0 && Object.values(value).every((inner) => isShallow(inner, levels - 1))
}

/** What cannot be encoded counts as endless. */
function bytesOf(value: unknown): number {
  try {
    return encode(value).length
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

const Metadata = v.pipe(v.record(Text(128), Text(TASK.maxMetadataChars)), v.maxEntries(TASK.maxMetadataItems))

/** Anything that the submitter's programs want back with the task. */
export const Context = JsonMap(TASK.maxContextBytes)

/** What a submitter says; all of it comes back with the task. Environment values are never kept, only their names. */
export const Submission = v.strictObject({
  id: TaskIdText,
  device: DidText,
  command: v.pipe(v.array(Text(131_072)), v.minLength(1), v.maxLength(1_025)),
  submittedBy: DidText,
  /** Milliseconds since the epoch. */
  createdAt: Count,
  /** Goes on when whoever submitted it is gone. */
  detached: v.boolean(),
  /** It runs on a terminal. */
  tty: v.exactOptional(v.literal(true)),
  /** May be run again when it is not known how far it came. */
  idempotent: v.exactOptional(v.boolean()),
  description: v.exactOptional(Text(TASK.maxDescriptionChars)),
  input: v.exactOptional(Text(TASK.maxInputChars)),
  prompt: v.exactOptional(Text(TASK.maxInputChars)),
  agent: v.exactOptional(Name),
  session: v.exactOptional(Name),
  parent: v.exactOptional(TaskIdText),
  /** Of one command on many devices: the tasks that it is made of, also those that have not begun. */
  children: v.exactOptional(List(v.strictObject({ task: TaskIdText, device: DidText }), TASK.maxChildren)),
  metadata: v.exactOptional(Metadata),
  context: v.exactOptional(Context),
  cwd: v.exactOptional(Text(4_096)),
  user: v.exactOptional(Text(256)),
  env: v.exactOptional(List(Text(256), 1_024)),
  timeoutMs: v.exactOptional(Count),
  /** The last grant of the chain that it was admitted under; the executor's word. */
  grant: v.exactOptional(Name),
})
export type Submission = v.InferOutput<typeof Submission>

/** What a submission says beside the command itself; it travels with the request and comes back with the task. */
export const About = v.object({
  detached: Submission.entries.detached,
  idempotent: Submission.entries.idempotent,
  description: Submission.entries.description,
  input: Submission.entries.input,
  prompt: Submission.entries.prompt,
  agent: Submission.entries.agent,
  session: Submission.entries.session,
  parent: Submission.entries.parent,
  metadata: Submission.entries.metadata,
  context: Submission.entries.context,
})
export type About = v.InferOutput<typeof About>

/** How far a task says it is. An empty report is none. */
export const Progress = v.strictObject({
  percent: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(100))),
  text: v.exactOptional(Text(TASK.maxProgressChars)),
  data: v.exactOptional(JsonMap(TASK.maxProgressDataBytes)),
})
export type Progress = v.InferOutput<typeof Progress>

const ExitCode = v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255)))
const Signal = v.nullable(Text(16))
const Code = Text(64)
const Message = v.exactOptional(Text(TASK.maxMessageChars))

/** `seq` counts the events of one task from 1; `at` is milliseconds since the epoch. */
const fact = <const T extends string, E extends v.ObjectEntries>(t: T, entries: E) => v.strictObject({ t: v.literal(t), seq: Count, at: Count, ...entries })
const end = <const S extends 'COMPLETED' | 'FAILED' | 'CANCELLED'>(to: S) =>
  fact('ended', {
    to: v.literal(to),
    why: v.picklist(TASK_WHYS[to]),
    exitCode: ExitCode,
    signal: Signal,
    /** The error's code where an error ended it. */
    code: v.exactOptional(Code),
    message: Message,
    stdoutBytes: v.exactOptional(Count),
    stderrBytes: v.exactOptional(Count),
  })

/** What happened to a task: facts, in the order of `seq`. */
export const TaskEvent = v.union([
  fact('submitted', {}),
  fact('planned', {}),
  /** Written down before the process is made: from here on it may have run. */
  fact('started', {}),
  /** `place`: how many stand before it in the queue, and itself. */
  fact('waiting', { why: v.picklist(TASK_WHYS.WAITING), message: Message, place: v.exactOptional(Count) }),
  fact('resumed', {}),
  fact('progressed', { progress: Progress }),
  /** How much output is kept for good by now. */
  fact('printed', { stdoutBytes: Count, stderrBytes: Count }),
  /** A daemon that came back found it running. */
  fact('reattached', {}),
  /** Who waited for it left it to itself: it goes on without them. */
  fact('detached', {}),
  fact('asked', { what: v.picklist(['cancel', 'pause', 'resume']), by: DidText }),
  end('COMPLETED'),
  end('FAILED'),
  end('CANCELLED'),
])
export type TaskEvent = v.InferOutput<typeof TaskEvent>

/** Where a task stands: what its events add up to. Kept with a task that ended, so that its events need not be read again. */
export const Standing = v.strictObject({
  state: v.picklist(TASK_STATES),
  why: v.picklist([...new Set(Object.values(TASK_WHYS).flat())]),
  code: v.nullable(Code),
  message: v.nullable(Text(TASK.maxMessageChars)),
  /** Places before it in a queue, and itself; null when it stands in none. */
  place: v.nullable(Count),
  startedAt: v.nullable(Count),
  endedAt: v.nullable(Count),
  exitCode: ExitCode,
  signal: Signal,
  progress: v.nullable(Progress),
  /** How often it was started. */
  attempts: Count,
  stdoutBytes: Count,
  stderrBytes: Count,
  /** Of its last event. */
  seq: Count,
  updatedAt: Count,
})
export type Standing = v.InferOutput<typeof Standing>
