/** The gRPC service Exec: commands, with their input and output. Decodes once, holds the conversation, answers; knows nothing of connections. */
import * as v from 'valibot'
import { ErrandError } from '../base/errors.ts'
import { checked } from './door.ts'
import { attach, exec } from './exec.ts'
import type { AttachOptions, ExecOptions, Faces } from './exec-options.ts'
import type { Calls, Question, Say } from './grpc-calls.ts'
import { MAX_ANSWER_BYTES, type ReadRequest, readRequest, responseOf, stampOf } from './grpc-words.ts'

export interface ExecServiceOn {
  readonly faces: Faces
  readonly calls: Calls
  /** Aborts when the server stops: commands are cancelled, and their outcome is still told. */
  readonly stopping: AbortSignal
}

export function execMethods({ faces, calls, stopping }: ExecServiceOn) {
  return {
    Execute: calls.unary(async (question) => {
      const read = plain(question)
      const kept = new Kept()
      const takers = { onStdout: (chunk: Uint8Array) => kept.take('stdout', chunk), onStderr: (chunk: Uint8Array) => kept.take('stderr', chunk) }
      const outcome = await exec(faces, read.request, { ...takers, ...inputOf(read), signal: stopping, abandon: question.gone })
      return responseOf(outcome, kept.output())
    }),
    ExecuteStream: calls.stream(async (question, say) => {
      const read = plain(question)
      await tell(say, 0, (takers) => exec(faces, read.request, { ...takers, ...inputOf(read), signal: stopping, abandon: question.gone }))
    }),
    ExecuteInteractive: calls.bidi(async (question, heard, say) => {
      const { request } = await started(question, heard)
      await tell(say, 0, (takers) => exec(faces, request, { ...takers, stdin: stdinOf(heard), signal: stopping, abandon: question.gone }))
    }),
  }
}

const AttachMessage = v.object({ id: v.optional(v.string(), ''), offset: v.optional(v.number(), 0), noFollow: v.optional(v.boolean(), false) })

/** The service Tasks has it; it is the same conversation. */
export function attachMethod({ faces, calls, stopping }: ExecServiceOn) {
  return calls.stream(async ({ message, gone }, say) => {
    const { id: task, offset: from, noFollow } = checked(AttachMessage, message)
    await tell(say, from, (takers) => attach(faces, { task, from, follow: !noFollow }, { ...takers, abandon: AbortSignal.any([gone, stopping]) }))
  })
}

/** Says all that happens; what the reader has not taken holds the command back. */
async function tell(say: Say, from: number, begin: (takers: AttachOptions & ExecOptions) => ReturnType<typeof attach>): Promise<void> {
  let at = from
  const next = (bytes: number): { nextOffset: number } => {
    at += bytes
    return { nextOffset: at }
  }
  // In order and before the output, but nobody waits for them: a caller that is gone is noticed anyway.
  const note = (event: object): void => void say(event).catch(() => undefined)
  const outcome = await begin({
    onQueued: ({ task, place }) => note({ queued: { id: task, place } }),
    onWaits: ({ task, message, need, have, expiresAt }) =>
      note({ waits: { id: task, message, need, have, expireTime: stampOf(new Date(expiresAt).toISOString()) } }),
    onAccepted: ({ task, device, startTime }) => note({ accepted: { id: task, device, startTime: stampOf(startTime) } }),
    onStdout: (stdout) => say({ stdout, ...next(stdout.length) }),
    onStderr: (stderr) => say({ stderr, ...next(stderr.length) }),
    onSkipped: (bytes) => note({ skipped: { bytes }, ...next(bytes) }),
  })
  if (outcome !== undefined) await say({ ended: responseOf(outcome), nextOffset: at })
}

function plain({ message, leftMs }: Question): ReadRequest {
  const read = readRequest(message, leftMs)
  if (read.isInteractive) throw new ErrandError('UNSUPPORTED', 'this call takes no input but stdin', { hint: 'ExecuteInteractive does' })
  return read
}

function inputOf({ stdin }: ReadRequest): Pick<ExecOptions, 'stdin'> {
  return stdin === undefined ? {} : { stdin: once(stdin) }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

const Input = v.object({ start: v.optional(v.unknown()), stdin: v.optional(v.instance(Uint8Array)) })

async function started({ leftMs }: Question, heard: AsyncIterator<unknown>): Promise<ReadRequest> {
  const first = await heard.next()
  const start = first.done === true ? undefined : checked(Input, first.value).start
  if (start === undefined) throw new ErrandError('BAD_REQUEST', 'the first message has to be `start`')
  const read = readRequest(start, leftMs)
  if (read.stdin !== undefined) throw new ErrandError('BAD_REQUEST', 'input comes in messages of its own here', { hint: 'leave start.stdin out' })
  return read
}

/** Ends when the caller closes its side. */
async function* stdinOf(heard: AsyncIterator<unknown>): AsyncGenerator<Uint8Array> {
  for (let next = await heard.next(); next.done !== true; next = await heard.next()) {
    const { start, stdin } = checked(Input, next.value)
    if (start !== undefined) throw new ErrandError('BAD_REQUEST', 'one call is one command: `start` came twice')
    if (stdin !== undefined) yield stdin
  }
}

/** The first of what a command printed; of the rest the number of bytes, in the order of its offsets. */
class Kept {
  readonly #pieces: Record<'stdout' | 'stderr', Uint8Array[]> = { stdout: [], stderr: [] }
  #room = MAX_ANSWER_BYTES
  #omittedBytes = 0

  take(name: 'stdout' | 'stderr', chunk: Uint8Array): undefined {
    const piece = chunk.subarray(0, this.#room)
    this.#room -= piece.length
    this.#omittedBytes += chunk.length - piece.length
    if (piece.length > 0) this.#pieces[name].push(piece)
  }

  output(): { stdout: Uint8Array; stderr: Uint8Array; omittedBytes: number } {
    const { stdout, stderr } = this.#pieces
    return { stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr), omittedBytes: this.#omittedBytes }
  }
}
