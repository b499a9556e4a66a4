/** A fan-out as its caller at the local face hears it: one stream for all of its commands, each frame with the index of the one it is of. */
import { Uint8ArrayList } from 'uint8arraylist'
import { TAG } from '../../protocols/exec/messages.ts'
import { FAN_TAG } from '../../protocols/local/fan-caps.ts'
import type { FanEnd, FanOutcome, FanView } from '../../protocols/local/fans.ts'
import { asErrand } from '../base/errors.ts'
import type { Frame, FrameLink } from '../base/frames.ts'

export class FanFace {
  constructor(private readonly link: FrameLink) {}

  fanned(view: FanView): Promise<void> | undefined {
    return this.#tell(FAN_TAG.fanned, view)
  }

  /** A frame of one of the commands. */
  carry(index: number, { tag, payload }: Frame): Promise<void> | undefined {
    const head = Uint8Array.of(index >> 8, index & 0xff, tag)
    return this.link.write(FAN_TAG.child, new Uint8ArrayList<ArrayBufferLike>(head, payload))
  }

  settled(end: FanEnd): void {
    void this.#tell(FAN_TAG.settled, end)
  }

  ended(outcome: FanOutcome): Promise<void> | undefined {
    return this.#tell(FAN_TAG.fanEnded, outcome)
  }

  async refused(thrown: unknown): Promise<void> {
    const error = asErrand(thrown)
    await Promise.resolve(this.#tell(TAG.refused, error.toWire(error.fields['source'] === 'device' ? 'device' : 'errand'))).catch(() => undefined)
  }

  /** Aborts when the caller asks for the end, or hangs up. */
  cancelled(gone: AbortSignal): AbortSignal {
    const asked = new AbortController()
    void this.#hear(() => asked.abort())
    return AbortSignal.any([gone, asked.signal])
  }

  async #hear(cancel: () => void): Promise<void> {
    try {
      for (let frame = await this.link.read(); frame !== undefined; frame = await this.link.read()) if (frame.tag === TAG.cancel) cancel()
    } catch {
      // Gone, or talking nonsense; its signal says the first.
    }
  }

  #tell(tag: number, value: unknown): Promise<void> | undefined {
    return this.link.write(tag, Buffer.from(JSON.stringify(value)))
  }
}
