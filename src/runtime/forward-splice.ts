/** Two links that speak the same frames, made one: what a device reads of another it hands to its own client, and back. Data as it is, words translated. */
import { EndedForward, FORWARD, FORWARD_TAG as TAG } from '../../protocols/forward/messages.ts'
import { LOCAL_TAG } from '../../protocols/local/frames.ts'
import { decodeAs } from '../../protocols/wire.ts'
import { ErrandError } from '../base/errors.ts'
import type { Frame, FrameLink } from '../base/frames.ts'

/** On the way to the client, before it has taken it. Each way flows under credit of its own, so that neither waits for the other. */
const WINDOW_BYTES = 1 << 18
/** Credit is told in pieces of this size at least. */
const CREDIT_BYTES = 1 << 16
const LOST = { why: 'lost', message: 'the line to the device was cut', bytesIn: 0, bytesOut: 0, connections: 0 }

/** Resolves when the device has said how it ended, or either side is gone. Never rejects. @param signal aborts when the client is gone. */
export async function splice(near: FrameLink, far: FrameLink, { signal }: { signal: AbortSignal }): Promise<void> {
  await new Splice(near, far).run(signal)
}

class Splice {
  #credit = WINDOW_BYTES
  #creditCame: () => void = () => undefined
  #isGone = false
  /** Of the client, and not handed on yet; handed on, and not told. */
  #held = 0
  #taken = 0

  constructor(
    private readonly near: FrameLink,
    private readonly far: FrameLink,
  ) {}

  async run(signal: AbortSignal): Promise<void> {
    const gone = (): void => {
      this.#isGone = true
      this.far.abort(new Error('the client is gone'))
      this.#creditCame()
    }
    signal.addEventListener('abort', gone, { once: true })
    if (signal.aborted) gone()
    void this.#outwards().catch(gone)
    try {
      await this.#inwards().catch(() => this.#lost())
    } catch {
      // The client is gone as well.
    }
    signal.removeEventListener('abort', gone)
    await this.far.end().catch(() => undefined)
  }

  /** From the client to the device. This side always reads, so that it hears of credit, and at once when its client is gone. */
  async #outwards(): Promise<void> {
    let sent: Promise<unknown> = Promise.resolve()
    for (let frame = await this.near.read(); frame !== undefined; frame = await this.near.read()) {
      const { tag, payload } = frame
      if (tag === LOCAL_TAG.credit) this.#trust(frame)
      if (tag !== TAG.data && tag !== TAG.end) continue
      this.#held += payload.byteLength
      if (this.#held > WINDOW_BYTES) throw new ErrandError('BAD_FRAME', 'more than the credit was sent')
      sent = sent.then(() => this.#send(tag, payload))
      sent.catch(() => undefined) // the other way says that the line is gone
    }
    await sent
  }

  async #send(tag: number, payload: Frame['payload']): Promise<void> {
    await this.far.write(tag, payload)
    this.#taken += payload.byteLength
    this.#held -= payload.byteLength
    if (this.#taken < CREDIT_BYTES) return
    void this.near.write(LOCAL_TAG.credit, json({ bytes: this.#taken }))
    this.#taken = 0
  }

  async #inwards(): Promise<void> {
    for (let frame = await this.far.read(); frame !== undefined; frame = await this.far.read()) {
      if (frame.tag === TAG.data) await this.#hand(frame)
      else if (frame.tag === TAG.end) await this.near.write(TAG.end)
      else if (frame.tag === TAG.ended) return void (await this.near.write(TAG.ended, json(endOf(frame))))
    }
    await this.#lost()
  }

  async #hand({ payload }: Frame): Promise<void> {
    while (this.#credit <= 0 && !this.#isGone) {
      await new Promise<void>((resolve) => {
        this.#creditCame = resolve
      })
    }
    this.#credit -= payload.byteLength
    await this.near.write(TAG.data, payload)
  }

  #trust(frame: Frame): void {
    const { bytes } = said(frame) as { bytes: unknown }
    this.#credit += Number(bytes)
    this.#creditCame()
  }

  async #lost(): Promise<void> {
    await this.near.write(TAG.ended, json(LOST))
  }
}

function said({ payload }: Frame): unknown {
  return JSON.parse(Buffer.from(payload.subarray()).toString())
}

export function endOf({ payload }: Frame): EndedForward {
  return decodeAs(EndedForward, payload.subarray(), FORWARD.maxFrameBytes)
}

export function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}
