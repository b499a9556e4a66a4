/**
 * The executor's side of `/errand/forward/1`: verifies, records, connects or listens, carries, records again. Transport-agnostic: frames in, frames
 * out. Other devices come through here, and this one alike. Spec: protocols/forward/README.md.
 */
import type * as v from 'valibot'
import { Connect, FORWARD, OpenForward, FORWARD_TAG as TAG } from '../../protocols/forward/messages.ts'
import { decodeAs, encode } from '../../protocols/wire.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Frame, FrameLink } from '../base/frames.ts'
import type { Pipe } from '../base/pipe.ts'
import { Carriage, type End } from './carriage.ts'
import { type AdmittedForward, ForwardAdmission, type ForwardAdmissionOn } from './forward-admission.ts'
import type { ForwardCaller, Listening, Network } from './forward-ports.ts'
import { Targets, type TargetsOn } from './forward-target.ts'
import { Forwards, type ForwardsOn, type LiveForward } from './forwards.ts'

export interface ForwardDoorOn extends ForwardAdmissionOn, ForwardsOn, TargetsOn {
  readonly network: Network
  /** Takes a connection that came in on a device that listens for this one. */
  readonly incoming: (link: FrameLink, o: { readonly frame: Frame; readonly caller: ForwardCaller; readonly signal: AbortSignal }) => Promise<void>
}

interface Stream {
  readonly link: FrameLink
  readonly caller: ForwardCaller
  readonly signal: AbortSignal
}

/** What was refused for want of an answer from elsewhere is no fault of whoever asked. */
const NO_FAULT: ReadonlySet<string> = new Set(['CONNECT_FAILED', 'NO_SUCH_HOST', 'CANNOT_LISTEN', 'NO_SUCH_FORWARD', 'FORWARD_OVER'])

export class ForwardDoor {
  readonly #admission: ForwardAdmission
  readonly #forwards: Forwards
  readonly #targets: Targets
  readonly #serving = new Set<Promise<void>>()
  #closed = false

  constructor(private readonly on: ForwardDoorOn) {
    this.#admission = new ForwardAdmission(on)
    this.#forwards = new Forwards(on)
    this.#targets = new Targets(on)
  }

  /** Serves one stream and ends it. Never rejects. The signal aborts when the stream is gone. */
  async serve(link: FrameLink, caller: ForwardCaller, { signal }: { signal: AbortSignal }): Promise<void> {
    const serving = this.#serve({ link, caller, signal }).finally(() => this.#serving.delete(serving))
    this.#serving.add(serving)
    await serving
  }

  /** Ends every forward; resolves when all of that is in the log. */
  async close(): Promise<void> {
    this.#closed = true
    for (const live of this.#forwards.all()) live.end({ why: 'stopped' })
    await Promise.all([...this.#serving])
  }

  /** Something that this device's checks go by has changed: what they would not let in any more ends. */
  async judgeAnew(): Promise<void> {
    for (const live of this.#forwards.all()) {
      const why = await this.#admission.whyNotNow(live.admitted, live.caller.did).catch((thrown: unknown) => asErrand(thrown).message)
      if (why !== undefined) live.end({ why: 'revoked', message: why })
    }
  }

  async #serve(stream: Stream): Promise<void> {
    const { link, caller } = stream
    try {
      const frame = await this.#first(link)
      if (this.#closed) throw new ErrandError('DRAINING', 'this device is stopping and takes no new work', { retryable: true })
      if (frame.tag === TAG.open) await this.#open(stream, bodyOf(OpenForward, frame))
      else if (frame.tag === TAG.connect) await this.#connect(stream, bodyOf(Connect, frame))
      else await this.on.incoming(link, { frame, ...stream })
    } catch (thrown) {
      await refuse(link, asErrand(thrown), caller)
    } finally {
      await link.end().catch(() => undefined)
    }
  }

  async #first(link: FrameLink): Promise<Frame> {
    const cancel = this.on.clock.after(FORWARD.openMs, () => link.abort(new Error('no request in time')))
    const first = await link.read().finally(cancel)
    if (first?.tag === TAG.open || first?.tag === TAG.connect || first?.tag === TAG.incoming) return first
    throw new ErrandError('UNSUPPORTED', 'a forward stream begins with open, connect or incoming')
  }

  async #open(stream: Stream, open: OpenForward): Promise<void> {
    const admitted = await this.#admission.admit(open, stream.caller)
    const { mode } = admitted.args
    if (open.single && mode === 'listen') throw new ErrandError('UNSUPPORTED', 'one stream is no place to listen')
    if (mode === 'connect') await this.#reach(stream.caller, admitted) // said before the start, though a name may lead elsewhere later
    const { live, done } = await this.#forwards.begin(stream.caller, admitted, { stays: !open.single })
    const gone = (): void => live.end({ why: 'lost' })
    stream.signal.addEventListener('abort', gone, { once: true })
    if (stream.signal.aborted) gone()
    try {
      if (open.single) live.end(await this.#one(stream, live, (pipe) => stream.link.write(TAG.accepted, accepted(live, pipe))))
      else await this.#stay(stream, live)
    } catch (thrown) {
      live.end({ why: 'reset' })
      throw live.over.aborted && live.ending.message !== undefined ? new ErrandError('DENIED', live.ending.message) : thrown
    } finally {
      stream.signal.removeEventListener('abort', gone)
      await done()
    }
  }

  /** A name that leads where the right does not is refused, and written down, each time that it is followed. */
  async #reach(caller: ForwardCaller, { admission, args, session }: AdmittedForward): Promise<readonly string[]> {
    try {
      return await this.#targets.reach({ args, chain: admission.chain })
    } catch (thrown) {
      const error = asErrand(thrown)
      throw error.code === 'DENIED' ? await this.#admission.denied(error, { caller, args, session }) : error
    }
  }

  async #connect(stream: Stream, { forward }: Connect): Promise<void> {
    const live = this.#forwards.find(forward, stream.caller.did)
    if (live.admitted.args.mode !== 'connect') throw new ErrandError('UNSUPPORTED', 'that forward listens, and connects nowhere')
    await this.#one(stream, live, () => stream.link.write(TAG.connected))
  }

  /** One connection to the target, from its making to its end. */
  async #one({ link, signal }: Stream, live: LiveForward, tell: (pipe: Pipe) => unknown): Promise<End> {
    const leave = this.#forwards.take(live)
    try {
      const pipe = await this.#dial(live, signal)
      const carriage = new Carriage(link, pipe, { clock: this.on.clock, total: live.total })
      const letGo = live.carries(carriage)
      await tell(pipe)
      return await carriage.run({ signal }).finally(letGo)
    } finally {
      leave()
    }
  }

  /** The addresses one after the other, all within the time of one. */
  async #dial(live: LiveForward, signal: AbortSignal): Promise<Pipe> {
    const late = new AbortController()
    const cancel = this.on.clock.after(FORWARD.connectMs, () => late.abort())
    const bounded = AbortSignal.any([signal, live.over, late.signal])
    let failure: unknown
    try {
      for (const ip of await this.#reach(live.caller, live.admitted)) {
        try {
          return await this.on.network.connect(ip, live.admitted.args.port, { signal: bounded })
        } catch (thrown) {
          failure ??= thrown
        }
        if (bounded.aborted) break
      }
    } finally {
      cancel()
    }
    throw failure ?? new ErrandError('FORWARD_OVER', live.ending.message ?? 'the forward is over')
  }

  /** Holds a forward until its stream ends or it is ended, and listens for it where that is asked. */
  async #stay(stream: Stream, live: LiveForward): Promise<void> {
    const { link } = stream
    const listening = live.admitted.args.mode === 'listen' ? await this.#listen(live) : undefined
    const over = new Promise<void>((resolve) => live.over.addEventListener('abort', () => resolve(), { once: true }))
    try {
      await link.write(TAG.accepted, accepted(live, listening))
      void untilEnd(link).then(
        () => live.end({ why: 'closed' }),
        () => live.end({ why: 'lost' }),
      )
      if (!live.over.aborted) await over
    } finally {
      listening?.close()
    }
    const { why, message } = live.ending
    const said = { why, ...(message === undefined ? {} : { message: message.slice(0, 1_024) }), ...live.total, connections: live.connections }
    await Promise.resolve(link.write(TAG.ended, encode(said))).catch(() => undefined)
  }

  async #listen(live: LiveForward): Promise<Listening> {
    const { host, port } = live.admitted.args
    return await this.on.network.listen(host === 'localhost' ? '127.0.0.1' : host, port, (pipe) => {
      void this.#handOver(live, pipe).catch(() => pipe.abort(new Error('nobody takes it')))
    })
  }

  /** Somebody has connected here: the device that asked for it gets a stream, and says whether it takes it. */
  async #handOver(live: LiveForward, pipe: Pipe): Promise<void> {
    const leave = this.#forwards.take(live)
    try {
      const link = await this.#offer(live, pipe)
      const carriage = new Carriage(link, pipe, { clock: this.on.clock, total: live.total })
      const letGo = live.carries(carriage)
      await carriage.run({ signal: AbortSignal.any([]) }).finally(letGo)
    } finally {
      leave()
    }
  }

  /** @throws CONNECT_FAILED where it is not taken in time. */
  async #offer(live: LiveForward, pipe: Pipe): Promise<FrameLink> {
    const late = new AbortController()
    const cancel = this.on.clock.after(FORWARD.connectMs, () => late.abort())
    const bounded = AbortSignal.any([live.over, late.signal])
    const link = await live.caller.back({ signal: bounded })
    const cut = (): void => link.abort(new Error('it was not taken'))
    bounded.addEventListener('abort', cut, { once: true })
    try {
      await link.write(TAG.incoming, encode({ forward: live.id, address: pipe.address, port: pipe.port }))
      const answer = await link.read()
      if (answer?.tag === TAG.connected) return link
      link.abort(new Error('it was not taken'))
      throw new ErrandError('CONNECT_FAILED', 'the device that asked for it did not take it')
    } finally {
      cancel()
      bounded.removeEventListener('abort', cut)
    }
  }
}

function accepted({ id, startTime }: LiveForward, at: { readonly address: string; readonly port: number } | undefined): Uint8Array {
  return encode({ forward: id, startTime, address: at?.address ?? '', port: at?.port ?? 0 })
}

/** What else is said on a stream that only holds a forward is nothing. */
async function untilEnd(link: FrameLink): Promise<void> {
  for (let frame = await link.read(); frame !== undefined; frame = await link.read()) if (frame.tag === TAG.ended) return
}

function bodyOf<S extends v.GenericSchema>(schema: S, { payload }: Frame): v.InferOutput<S> {
  return decodeAs(schema, payload.subarray(), FORWARD.maxFrameBytes)
}

async function refuse(link: FrameLink, error: ErrandError, caller: ForwardCaller): Promise<void> {
  if (!NO_FAULT.has(error.code)) caller.patience?.refused(error)
  await Promise.resolve(link.write(TAG.refused, encode(error.toWire('device')))).catch(() => undefined)
}
