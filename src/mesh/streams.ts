/**
 * libp2p streams as byte links and as question-and-answer links.
 * Works around three measured traps: `for await` over a stream hides an unbounded queue, `onDrain()` is broken after its
 * first use, and a stream that ended before anybody listened never says so again.
 */
import type { Stream } from '@libp2p/interface'
import * as lp from 'it-length-prefixed'
import { pipe } from 'it-pipe'
import { Uint8ArrayList } from 'uint8arraylist'
import type * as v from 'valibot'
import { decodeAs, encode } from '../../protocols/wire.ts'
import { ErrandError } from '../base/errors.ts'
import type { ByteLink } from '../base/frames.ts'

/** Above this the stream is paused, so that the muxer's window closes and the far side stops sending. */
const PAUSE_ABOVE_BYTES = 512 * 1024
const RESUME_BELOW_BYTES = 128 * 1024

export class LinkClosed extends ErrandError {
  constructor(cause?: unknown) {
    super('LINK_CLOSED', 'the connection to the device closed', { retryable: true, cause })
  }
}

/** Takes a stream over completely: from here on only this link reads it. */
export function byteLink(stream: Stream): ByteLink {
  return { source: readable(stream), write: (bytes) => send(stream, bytes), end: () => stream.close(), abort: (error) => stream.abort(error) }
}

/** Listens at once: a stream without a listener is reset after 4 MiB. */
function readable(stream: Stream): AsyncIterable<Uint8ArrayList> {
  let queue = new Uint8ArrayList<ArrayBufferLike>()
  let ended = stream.readableEnded
  let failure: Error | undefined
  let wake = (): void => {}
  stream.addEventListener('message', (event) => {
    queue.append(event.data)
    if (queue.byteLength > PAUSE_ABOVE_BYTES && stream.readStatus === 'readable') stream.pause()
    wake()
  })
  stream.addEventListener('end', () => {
    ended = true
    wake()
  })
  stream.addEventListener('close', (event) => {
    ended = true
    failure = event.error
    wake()
  })
  if (stream.status !== 'open' && stream.readBufferLength === 0) ended = true
  return (async function* () {
    for (;;) {
      if (queue.byteLength > 0) {
        const chunk = queue
        queue = new Uint8ArrayList<ArrayBufferLike>()
        yield chunk
        if (stream.readStatus === 'paused' && queue.byteLength < RESUME_BELOW_BYTES) stream.resume()
      } else if (ended) {
        if (failure !== undefined) throw new LinkClosed(failure)
        return
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  })()
}

function send(stream: Stream, bytes: Uint8ArrayList | Uint8Array): Promise<void> | undefined {
  try {
    if (stream.send(bytes)) return undefined
  } catch (cause) {
    throw new LinkClosed(cause)
  }
  return new Promise((resolve, reject) => {
    const drained = (): void => {
      stream.removeEventListener('close', closed)
      resolve()
    }
    const closed = (event: { error?: Error }): void => {
      stream.removeEventListener('drain', drained)
      reject(new LinkClosed(event.error))
    }
    stream.addEventListener('drain', drained, { once: true })
    stream.addEventListener('close', closed, { once: true })
  })
}

/** Length-prefixed DAG-CBOR messages over a stream, each checked against a schema before anybody sees it. */
export class MessageLink {
  readonly #messages: AsyncIterator<Uint8ArrayList>

  constructor(
    private readonly stream: Stream,
    private readonly maxBytes: number,
    private readonly signal: AbortSignal,
  ) {
    this.#messages = pipe(readable(stream), (source) => lp.decode(source, { maxDataLength: maxBytes }))[Symbol.asyncIterator]()
    const abort = (): void => stream.abort(new LinkClosed(signal.reason))
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    stream.addEventListener('close', () => signal.removeEventListener('abort', abort), { once: true })
  }

  async send(message: unknown): Promise<void> {
    await send(this.stream, lp.encode.single(encode(message)))
  }

  /** @throws LinkClosed when the other side has nothing more to say; BadBytes when it says something else. */
  async receive<S extends v.GenericSchema>(schema: S): Promise<v.InferOutput<S>> {
    const next = await this.#messages.next()
    if (next.done === true) throw new LinkClosed(this.signal.reason)
    return decodeAs(schema, next.value.subarray(), this.maxBytes)
  }

  async close(): Promise<void> {
    await this.stream.close({ signal: this.signal })
  }

  abort(error: Error): void {
    this.stream.abort(error)
  }
}
