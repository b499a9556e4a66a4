/**
 * One task's stream from its device, as it is heard on this side. When the link breaks the task goes on over there; the line comes back
 * and asks for what follows the last byte that was heard.
 */
import { Accepted, At, type Attach, Bulk, Detached, Ended, EXEC, Queued, Refused, StdinCredit, TAG, Waits } from '../../protocols/exec/messages.ts'
import { decodeAs, encode } from '../../protocols/wire.ts'
import { type Clock, pause } from '../base/clock.ts'
import { asErrand, ErrandError, fromWire } from '../base/errors.ts'
import type { Frame } from '../base/frames.ts'
import type { Did } from '../identity/identity.ts'
import type { Far, Mandate, Side } from './far.ts'

const CONTROL_BYTES = 1 << 16
/** As long as the device waits for somebody to come back to an attached command (AWAY_MS). */
const COME_BACK_MS = 120_000
const AGAIN_MS = 300
/** From a caller's going to the end of the stream: a device reads a word within this time, however busy it is. */
const LEAVE_MS = 2_000

type Payload = Frame['payload'] | Uint8Array

/** Who takes what is heard. A promise holds the stream back. */
export interface Hearer {
  output(tag: number, payload: Frame['payload']): Promise<void> | undefined
  accepted(accepted: Accepted): Promise<void> | undefined
  queued?(queued: Queued): void
  waits?(waits: Waits): void
  credit?(credit: StdinCredit): Promise<void> | undefined
  bulk?(bulk: Bulk, host: string | null): Promise<void> | undefined
  moved?(at: At): Promise<void> | undefined
  skipped?(at: At): Promise<void> | undefined
  /** Whoever asked wanted to leave it to itself, and its device does not let them. */
  mustStay?(fault: ErrandError): Promise<void> | undefined
  /** The line was cut; it is dialled anew for so many milliseconds. */
  down?(waitMs: number): Promise<void> | undefined
  /** The line was cut and is back, while the output went another way, which may have been cut as well. */
  back?(): Promise<void> | undefined
}

export interface LineFor {
  readonly task: string
  readonly device: Did
  /** For words. */
  readonly name: string
}

export interface LineOn {
  readonly side: Pick<Side, 'open' | 'sign'>
  readonly clock: Clock
  readonly hearer: Hearer
  readonly signal: AbortSignal
  /** Offset of the first byte that was asked for. Default 0. */
  readonly from?: number
  /** What the device needs to start it when whoever asked may be gone: said once, when it has to wait. */
  readonly mandate?: () => Mandate
  /** Only what there is now was asked for: the device then ends the stream though the task goes on. */
  readonly forNow?: boolean
}

export class Line {
  /** Bytes of output that were heard, and those that were skipped. */
  #heard: number
  #isMoved = false
  #isAccepted = false
  #isDown = false
  #isCancelled = false
  #isInputOver = false
  #isMandated = false
  #isLeaving = false
  /** Of the terminal: said again to whoever hears it next. */
  #size: Payload | undefined
  /** Bytes of input that were sent, and of which it is not known that the command took them. */
  #untaken = 0
  /** Input that came while the line was down; its sender's window bounds it. */
  readonly #held: Payload[] = []

  constructor(
    private far: Far,
    private readonly at: LineFor,
    private readonly on: LineOn,
  ) {
    this.#heard = on.from ?? 0
  }

  /** The first frame. @throws TOO_LARGE, before anything leaves. */
  async open(tag: number, payload: Uint8Array): Promise<void> {
    if (payload.length >= EXEC.maxFrameBytes) throw tooLarge(payload.length)
    await this.far.link.write(tag, payload)
  }

  /** What the caller says later. What has to be known over there is said again when the line comes back. Never rejects. */
  async say(tag: number, payload: Payload = new Uint8Array()): Promise<void> {
    if (tag === TAG.cancel) this.#isCancelled = true
    else if (tag === TAG.stdinEnd) this.#isInputOver = true
    else if (tag === TAG.resize) this.#size = payload
    else if (tag === TAG.resumeAt) {
      this.#isMoved = false
      this.#heard = decodeAs(At, payload.subarray(), CONTROL_BYTES).offset
    } else if (tag === TAG.stdin && this.#isDown) this.#held.push(payload)
    if (!this.#isDown) await this.#send(tag, payload)
  }

  /** Whoever asked leaves the command to itself; `hear` then resolves with undefined. */
  async detach(): Promise<void> {
    this.#isLeaving = true
    if (!this.#isDown) await this.#send(TAG.detach, this.on.mandate?.().mandate ?? new Uint8Array())
  }

  async #send(tag: number, payload: Payload): Promise<void> {
    if (tag === TAG.stdin) this.#untaken += payload.byteLength
    try {
      await this.far.link.write(tag, payload)
    } catch {
      // Cut: whoever hears the line notices.
    }
  }

  /** Ends the command, and hangs up once that can have been heard: a stream that is aborted loses what nobody has read by then. */
  leave(): void {
    void this.say(TAG.cancel)
    this.on.clock.after(LEAVE_MS, () => this.abort(new ErrandError('CANCELLED', 'whoever asked is gone')))
  }

  abort(why: Error): void {
    this.far.link.abort(why)
  }

  /** Hears it to its end; undefined when the device said all there is for now, or lets it go on by itself. @throws the device's refusal; LINK_LOST; CANCELLED when the signal aborted. */
  async hear(): Promise<Ended | undefined> {
    for (;;) {
      try {
        const ended = await this.#untilEnd()
        await this.far.link.end().catch(() => undefined)
        return ended
      } catch (thrown) {
        this.far.link.abort(asErrand(thrown))
        if (this.on.signal.aborted) throw new ErrandError('CANCELLED', 'whoever asked for this is gone')
        if (asErrand(thrown).code !== 'LINK_CLOSED') throw thrown
        if (!this.#isAccepted) throw lost(this.at, thrown)
        await this.#comeBack(thrown)
      }
    }
  }

  async #untilEnd(): Promise<Ended | undefined> {
    const { link } = this.far
    for (let frame = await link.read(); frame !== undefined; frame = await link.read()) {
      if (frame.tag === TAG.ended) return controlOf(Ended, frame)
      if (frame.tag === TAG.detached && this.#mayLeave(controlOf(Detached, frame))) return undefined
      const wait = this.#take(frame)
      if (wait !== undefined) await wait
    }
    if (this.#isAccepted && this.on.forNow === true) return undefined
    throw new ErrandError('LINK_CLOSED', 'the stream ended before the task did')
  }

  #mayLeave({ fault }: Detached): boolean {
    this.#isLeaving = false
    if (fault !== undefined) void this.on.hearer.mustStay?.(fromWire(fault))
    return fault === undefined
  }

  #take(frame: Frame): Promise<void> | undefined {
    const { hearer } = this.on
    const { tag, payload } = frame
    if (tag === TAG.stdout || tag === TAG.stderr) {
      this.#heard += payload.byteLength
      return hearer.output(tag, payload)
    }
    if (tag === TAG.refused) throw fromWire(controlOf(Refused, frame))
    if (tag === TAG.accepted) return this.#accepted(controlOf(Accepted, frame))
    if (tag === TAG.queued || tag === TAG.waits) return this.#waits(frame)
    if (tag === TAG.stdinCredit) return this.#taken(controlOf(StdinCredit, frame))
    else if (tag === TAG.bulk) return hearer.bulk?.(controlOf(Bulk, frame), this.far.host)
    else if (tag === TAG.bulkMoved) return this.#moved(controlOf(At, frame))
    else if (tag === TAG.at) return this.#skipped(controlOf(At, frame))
    return undefined
  }

  #waits(frame: Frame): Promise<void> | undefined {
    const { hearer, mandate } = this.on
    if (frame.tag === TAG.queued) hearer.queued?.(controlOf(Queued, frame))
    else hearer.waits?.(controlOf(Waits, frame))
    const signed = this.#isMandated ? undefined : mandate?.().mandate
    if (signed === undefined) return undefined
    this.#isMandated = true
    return this.#send(TAG.mandate, signed)
  }

  #accepted(accepted: Accepted): Promise<void> | undefined {
    if (this.#isAccepted) return undefined // said again to a line that came back
    this.#isAccepted = true
    return this.on.hearer.accepted(accepted)
  }

  #taken(credit: StdinCredit): Promise<void> | undefined {
    this.#untaken -= credit.bytes
    return this.on.hearer.credit?.(credit)
  }

  #moved(at: At): Promise<void> | undefined {
    this.#isMoved = true
    return this.on.hearer.moved?.(at)
  }

  #skipped(at: At): Promise<void> | undefined {
    this.#heard = at.offset
    return this.on.hearer.skipped?.(at)
  }

  /** @throws LINK_LOST after the grace, and at once when input was under way: nobody knows how much of it the command got. */
  async #comeBack(why: unknown): Promise<void> {
    const { clock, signal } = this.on
    if (this.#untaken > 0) throw lost(this.at, why, ', with some of its input under way')
    this.#isDown = true
    void this.on.hearer.down?.(COME_BACK_MS)?.catch(() => undefined) // a caller that is gone ends the line by itself
    const until = clock.monotonic() + COME_BACK_MS
    while (!signal.aborted && clock.monotonic() < until) {
      try {
        this.far = await this.#again()
        this.#isDown = false
        return await this.#sayAgain()
      } catch {
        await pause(clock, AGAIN_MS, signal)
      }
    }
    throw lost(this.at, why)
  }

  async #again(): Promise<Far> {
    const { side, signal } = this.on
    const { task, device } = this.at
    const far = await side.open(device, AbortSignal.any([signal, AbortSignal.timeout(COME_BACK_MS)]))
    const signed = await side.sign(device, '/task/logs', { task }, far)
    const from = this.#isMoved ? null : this.#heard
    await far.link.write(TAG.attach, encode({ task, from, follow: true, ...signed } satisfies Attach))
    return far
  }

  async #sayAgain(): Promise<void> {
    if (this.#size !== undefined) await this.#send(TAG.resize, this.#size)
    for (const input of this.#held.splice(0)) await this.#send(TAG.stdin, input)
    if (this.#isInputOver) await this.#send(TAG.stdinEnd, new Uint8Array())
    if (this.#isLeaving) await this.detach()
    if (this.#isCancelled) await this.#send(TAG.cancel, new Uint8Array())
    if (this.#isMoved) void this.on.hearer.back?.()
  }
}

function tooLarge(bytes: number): ErrandError {
  return new ErrandError('TOO_LARGE', `the request has ${bytes} bytes where ${EXEC.maxFrameBytes} go over a line`, {
    hint: 'send what is long as input of the command, or put it into a file there',
  })
}

function lost({ name, task }: LineFor, cause?: unknown, how = ''): ErrandError {
  return new ErrandError('LINK_LOST', `the connection to ${name} was lost before the command ended${how}`, {
    hint: `the device ends a command whose caller stays away; what it did until then: errand task ${task}, errand audit`,
    fields: { task },
    cause,
  })
}

function controlOf<S extends Parameters<typeof decodeAs>[0]>(schema: S, frame: Frame): ReturnType<typeof decodeAs<S>> {
  return decodeAs(schema, frame.payload.subarray(), CONTROL_BYTES)
}
