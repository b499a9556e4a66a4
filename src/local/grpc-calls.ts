/**
 * gRPC's calls as functions: a question, a signal that aborts when the caller is gone, and a way to answer piece by piece. Here is the back
 * pressure: a piece is under way until the connection has taken it, and nobody makes the next one before. Knows no runtime.
 */
import type { handleBidiStreamingCall, handleServerStreamingCall, handleUnaryCall, ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js'
import { SESSION_HEADER } from '../../protocols/local/frames.ts'
import { type Clock, pause } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { cancelled } from './fault.ts'
import type * as library from './grpc-library.ts'
import { type Failure, failureOf, STATUS } from './grpc-status.ts'
import type { LocalLog } from './routes.ts'

export interface Question {
  readonly message: unknown
  /** Aborts when the caller hung up, its connection broke, or its deadline is over. */
  readonly gone: AbortSignal
  /** Milliseconds until its deadline; undefined when it has none. */
  readonly leftMs: number | undefined
}

/** Resolves when the connection has taken the message. @throws CANCELLED when the caller is gone. */
export type Say = (message: object) => Promise<void>

export interface CallsOn {
  readonly library: typeof library
  readonly clock: Clock
  readonly log: LocalLog | undefined
  /** Aborts when the server stops. */
  readonly stopping: AbortSignal
}

/** After the end of its input a cancel is known: hardly a millisecond later, unless the client has to wait for a processor between the two. */
const KNOWN_AFTER_MS = 50

interface AnyCall {
  readonly metadata: { get(key: string): readonly unknown[] }
  on(event: 'cancelled', listener: () => void): unknown
  getDeadline(): Date | number
  getPath(): string
}
type Stream = ServerWritableStream<unknown, object> | ServerDuplexStream<unknown, object>

export class Calls {
  constructor(private readonly on: CallsOn) {}

  unary(answer: (question: Question) => Promise<object>): handleUnaryCall<unknown, object> {
    return (call, done) => {
      unlessNarrowed(call, () => answer(this.#question(call, call.request))).then(
        (message) => done(null, message),
        (thrown: unknown) => done(this.#failure(thrown, call.getPath())),
      )
    }
  }

  stream(tell: (question: Question, say: Say) => Promise<void>): handleServerStreamingCall<unknown, object> {
    return (call) => {
      const question = this.#question(call, call.request)
      this.#end(
        call,
        unlessNarrowed(call, () => tell(question, sayer(call, question.gone))),
      )
    }
  }

  /** @param talk `question.message` is empty: all that the caller says comes one by one, as fast as it is asked for. */
  bidi(talk: (question: Question, heard: AsyncIterator<unknown>, say: Say) => Promise<void>): handleBidiStreamingCall<unknown, object> {
    return (call) => {
      const question = this.#question(call, {})
      // The usual iterator would end both directions when the caller has closed its own.
      const heard = this.#endingByWord(call.iterator({ destroyOnReturn: false }), question.gone)
      this.#end(
        call,
        unlessNarrowed(call, () => talk(question, heard, sayer(call, question.gone))),
      )
    }
  }

  /** A client's HTTP/2 ends its side of a call that it cancels, and resets it with its next write. An end that nobody meant is none. */
  #endingByWord(all: AsyncIterator<unknown>, gone: AbortSignal): AsyncIterator<unknown> {
    return {
      next: async () => {
        const heard = await all.next()
        if (heard.done !== true) return heard
        await pause(this.on.clock, KNOWN_AFTER_MS, gone)
        await new Promise((resolve) => setImmediate(resolve)) // a loop that was busy all that time reads the reset only now
        if (gone.aborted) throw cancelled()
        return heard
      },
    }
  }

  #question(call: AnyCall, message: unknown): Question {
    const gone = new AbortController()
    call.on('cancelled', () => gone.abort(cancelled()))
    const deadline = Number(call.getDeadline())
    return { message, gone: gone.signal, leftMs: Number.isFinite(deadline) ? deadline - this.on.clock.now() : undefined }
  }

  #end(call: Stream, told: Promise<void>): void {
    told.then(
      () => call.end(),
      (thrown: unknown) => call.emit('error', this.#failure(thrown, call.getPath())),
    )
  }

  /** What was cancelled because the node stops is told so. */
  #failure(thrown: unknown, path: string): Failure & Error {
    const { library, stopping, log } = this.on
    const error = stopping.aborted && asErrand(thrown).code === 'CANCELLED' ? stoppingError() : thrown
    const failure = failureOf(error, new library.Metadata())
    if (failure.code === STATUS.INTERNAL) log?.error({ err: thrown, path }, 'gRPC: a call failed')
    return Object.assign(new Error(failure.details), failure)
  }
}

/** Whoever shows a token here means to be narrowed to a session, which this face does not do: it must not get more than it asked for. */
async function unlessNarrowed<T>({ metadata }: AnyCall, answer: () => Promise<T>): Promise<T> {
  if (metadata.get('authorization').length === 0 && metadata.get(SESSION_HEADER).length === 0) return await answer()
  throw new ErrandError('UNSUPPORTED', 'gRPC takes no token and no session for a whole call', {
    hint: 'name the session in the request (`session`), or use the HTTP API, which narrows every call to it',
  })
}

function sayer(call: Stream, gone: AbortSignal): Say {
  const waiting = new Set<(error: Error) => void>()
  gone.addEventListener('abort', () => {
    for (const reject of waiting) reject(cancelled())
  })
  return (message) =>
    new Promise((resolve, reject) => {
      if (gone.aborted) return reject(cancelled())
      waiting.add(reject)
      call.write(message, (error: Error | null | undefined) => {
        waiting.delete(reject)
        if (error === null || error === undefined) resolve()
        else reject(error)
      })
    })
}

function stoppingError(): ErrandError {
  return new ErrandError('STOPPING', 'the node is stopping', { hint: 'start it again with: errand up', retryable: true })
}
