/**
 * libp2p streams as byte links and as question-and-answer links.
 * Works around three measured traps: `for await` over a stream hides an unbounded queue, `onDrain()` is broken after its
 * first use, and a stream that ended before anybody listened never says so again.
 */
import type { MessageStream, Stream } from '@libp2p/interface'
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

/** Written ahead of what the connection takes: what waits goes out in few large pieces, and the command goes on meanwhile. */
const SEND_AHEAD_BYTES = 512 * 1024

export class LinkClosed extends ErrandError {
  constructor(cause?: unknown) {
    super('LINK_CLOSED', 'the connection to the device closed', { retryable: true, cause })
  }
}

/** A stream, or a whole connection that nothing was put on yet; libp2p does not declare that the latter can be paused. */
type Wire = MessageStream & Partial<Pick<Stream, 'readStatus'>>

/** Takes a stream over completely: from here on only this link reads it. */
export function byteLink(stream: Wire): ByteLink {
  return { source: readable(stream), write: (bytes) => send(stream, bytes), end: () => endLater(stream), abort: (error) => stream.abort(error) }
}

/** In a turn of its own: what was said last leaves with the turn it was said in, and must not wait until the end behind it is encrypted. */
async function endLater(stream: Wire): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
  await stream.close()
}

/** What arrived on a stream and was not read yet. Listens at once: a stream without a listener is reset after 4 MiB. */
class Inbox {
  #queue = new Uint8ArrayList<ArrayBufferLike>()
  #ended: boolean
  #failure: Error | undefined
  #wake = (): void => {}
  /** True inside `stream.resume()`, which hands over everything held back and only then opens the window. */
  #resuming = false

  constructor(private readonly stream: Wire) {
    this.#ended = stream.readableEnded || (stream.status !== 'open' && stream.readBufferLength === 0)
    stream.addEventListener('message', (event) => {
      this.#queue.append(event.data)
      this.#pauseWhenFull()
      this.#wake()
    })
    stream.addEventListener('end', () => this.#end())
    stream.addEventListener('close', (event) => this.#end(event.error))
  }

  /** @throws LinkClosed when the stream was reset or its connection lost, after what had arrived was read. */
  async *read(): AsyncGenerator<Uint8ArrayList> {
    for (;;) {
      if (this.#queue.byteLength > 0) {
        const chunk = this.#queue
        this.#queue = new Uint8ArrayList<ArrayBufferLike>()
        yield chunk
        this.#resumeWhenEmpty()
      } else if (this.#ended) {
        if (this.#failure !== undefined) throw new LinkClosed(this.#failure)
        return
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }

  #end(failure?: Error): void {
    this.#ended = true
    this.#failure ??= failure
    this.#wake()
  }

  /** A pause from inside `resume()` would be undone by the end of it: the window would stay open, and the stream be reset as overfull. */
  #pauseWhenFull(): void {
    if (!this.#resuming && this.#queue.byteLength > PAUSE_ABOVE_BYTES && this.stream.readStatus === 'readable') this.stream.pause()
  }

  #resumeWhenEmpty(): void {
    if (this.stream.readStatus !== 'paused' || this.#queue.byteLength >= RESUME_BELOW_BYTES) return
    this.#resuming = true
    this.stream.resume()
    this.#resuming = false
    this.#pauseWhenFull()
  }
}

function readable(stream: Wire): AsyncIterable<Uint8ArrayList> {
  return new Inbox(stream).read()
}

function send(stream: Wire, bytes: Uint8ArrayList | Uint8Array): Promise<void> | undefined {
  try {
    if (stream.send(bytes) || stream.writeBufferLength < SEND_AHEAD_BYTES) return undefined
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
    private readonly stream: Wire,
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
