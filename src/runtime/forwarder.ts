/**
 * The dialer's side of `/errand/forward/1`: asks a device for a way through it, and gives each connection of its own client a stream. Opens no
 * socket: the client connects and listens itself, with its own rights on this machine.
 */
import { AcceptedForward, FORWARD, Incoming, RefusedForward, FORWARD_TAG as TAG } from '../../protocols/forward/messages.ts'
import type { CarryRequest, ForwardRequest } from '../../protocols/local/forwards.ts'
import { decodeAs, encode } from '../../protocols/wire.ts'
import { type NetForwardArgs, netArgs } from '../authority/net-args.ts'
import { NET_COMMAND } from '../authority/net-rights.ts'
import type { Clock, Random } from '../base/clock.ts'
import { asErrand, ErrandError, fromWire } from '../base/errors.ts'
import type { Frame, FrameLink } from '../base/frames.ts'
import type { Did } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { Side } from './far.ts'
import type { ForwardCaller } from './forward-ports.ts'
import { endOf, json, splice } from './forward-splice.ts'
import type { Session } from './session.ts'

/** A forward stream to a device. */
export interface FarForward {
  readonly link: FrameLink
  readonly challenge: Uint8Array
  readonly synced: Promise<void>
}

export interface ForwardRoute {
  /** @throws NO_ROUTE, LINK_CLOSED, NOT_ADMITTED */
  open(device: Did, o: { signal: AbortSignal }): Promise<FarForward>
}

export interface ForwarderOn {
  readonly self: Did
  readonly directory: Pick<Directory, 'resolve' | 'nameOf'>
  readonly side: { in(scope: Session | undefined): Pick<Side, 'sign'> }
  readonly route: ForwardRoute
  readonly clock: Clock
  readonly random: Random
}

/** What a client may ask of forwards, as frames on its conversation. */
export interface ForwardRoom {
  /** A way through a device, for as long as the client stays. @throws DENIED, UNKNOWN_DEVICE, NO_ROUTE, BAD_TARGET, what the device refuses with */
  forward(request: ForwardRequest, near: FrameLink, o: Asking): Promise<void>
  /** One connection of it. @throws NO_SUCH_FORWARD, CONNECT_FAILED */
  carry(request: CarryRequest, near: FrameLink, o: Asking): Promise<void>
}

interface Asking {
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal
  readonly scope?: Session | undefined
}

interface Held {
  readonly device: Did
  /** What the device calls it. */
  readonly id: Uint8Array
  readonly tell: (tag: number, body: unknown) => unknown
  readonly session: string | undefined
}

interface Waiting {
  readonly link: FrameLink
  readonly over: () => void
  readonly session: string | undefined
}

const NAME_BYTES = 16

export class Forwarder implements ForwardRoom {
  readonly #held = new Map<string, Held>()
  /** Connections that came in, and that the client has not taken yet. */
  readonly #waiting = new Map<string, Waiting>()

  constructor(private readonly on: ForwarderOn) {}

  async carry(request: CarryRequest, near: FrameLink, o: Asking): Promise<void> {
    if ('forward' in request) await this.#connect(request.forward, near, o)
    else await this.#take(request.connection, near, o)
  }

  /** A stream that a device opened: somebody has connected where it listens for this one. @throws NO_SUCH_FORWARD, TOO_BUSY */
  async incoming(link: FrameLink, { frame, caller, signal }: { frame: Frame; caller: ForwardCaller; signal: AbortSignal }): Promise<void> {
    const { forward, address, port } = decodeAs(Incoming, frame.payload.subarray(), FORWARD.maxFrameBytes)
    const held = [...this.#held.values()].find(({ device, id }) => device === caller.did && Buffer.compare(id, forward) === 0)
    if (held === undefined) throw new ErrandError('NO_SUCH_FORWARD', 'this device has asked for no such forward')
    if (this.#waiting.size >= FORWARD.streamsPerPeer) throw new ErrandError('TOO_BUSY', 'too many connections wait to be taken', { retryable: true })
    const connection = this.#newName()
    let end = (): void => undefined
    const over = new Promise<void>((resolve) => {
      end = resolve
    })
    this.#waiting.set(connection, { link, over: end, session: held.session })
    const late = this.on.clock.after(FORWARD.connectMs, () => this.#waiting.has(connection) && end())
    signal.addEventListener('abort', end, { once: true })
    try {
      await held.tell(TAG.incoming, { connection, address, port })
      await over
    } finally {
      late()
      this.#waiting.delete(connection)
    }
  }

  async forward(request: ForwardRequest, near: FrameLink, o: Asking): Promise<void> {
    const device = this.#deviceOf(request.device, o.scope)
    const args = argsOf(request)
    const far = await this.on.route.open(device, { signal: o.signal })
    // Whoever leaves a forward that stays ends it, and that is an end in order; what carries bytes is cut by whoever carries them.
    const gone = (): void => void far.link.end().catch(() => undefined)
    o.signal.addEventListener('abort', gone, { once: true })
    if (o.signal.aborted) gone()
    try {
      const { invocation, proofs } = await this.on.side.in(o.scope).sign(device, NET_COMMAND, args, far)
      await far.link.write(TAG.open, encode({ invocation, proofs, single: request.single === true }))
      const { forward, address, port, startTime } = decodeAs(
        AcceptedForward,
        (await answerOf(far.link, TAG.accepted)).payload.subarray(),
        FORWARD.maxFrameBytes,
      )
      const said = { device: this.on.directory.nameOf(device) ?? device, startTime: new Date(startTime).toISOString(), address, port }
      if (request.single === true) {
        await near.write(TAG.accepted, json({ forward: '', ...said }))
        return await splice(near, far.link, o)
      }
      const held = { device, id: forward, session: o.scope?.id, tell: (tag: number, body: unknown) => near.write(tag, json(body)) }
      await this.#hold(held, { near, far: far.link, said })
    } finally {
      o.signal.removeEventListener('abort', gone)
      await far.link.end().catch(() => undefined)
    }
  }

  /** Until the device says that it is over, or the client goes. */
  async #hold(held: Held, { near, far, said }: { near: FrameLink; far: FrameLink; said: object }): Promise<void> {
    const name = this.#newName()
    this.#held.set(name, held)
    try {
      await near.write(TAG.accepted, json({ forward: name, ...said }))
      for (let frame = await far.read(); frame !== undefined; frame = await far.read()) {
        if (frame.tag === TAG.ended) return void (await near.write(TAG.ended, json(endOf(frame))))
      }
      await near.write(TAG.ended, json({ why: 'lost', bytesIn: 0, bytesOut: 0, connections: 0 }))
    } catch (thrown) {
      await near.write(TAG.ended, json({ why: 'lost', message: asErrand(thrown).message, bytesIn: 0, bytesOut: 0, connections: 0 }))
    } finally {
      this.#held.delete(name)
    }
  }

  async #connect(name: string, near: FrameLink, o: Asking): Promise<void> {
    const held = this.#held.get(name)
    if (held === undefined || held.session !== o.scope?.id) throw noSuch()
    const far = await this.on.route.open(held.device, { signal: o.signal })
    const gone = (): void => far.link.abort(new Error('the client is gone'))
    o.signal.addEventListener('abort', gone, { once: true })
    try {
      await far.link.write(TAG.connect, encode({ forward: held.id }))
      await answerOf(far.link, TAG.connected)
    } finally {
      o.signal.removeEventListener('abort', gone)
    }
    await near.write(TAG.connected)
    await splice(near, far.link, o)
  }

  async #take(name: string, near: FrameLink, o: Asking): Promise<void> {
    const waiting = this.#waiting.get(name)
    if (waiting === undefined || waiting.session !== o.scope?.id) throw noSuch()
    this.#waiting.delete(name)
    try {
      await waiting.link.write(TAG.connected)
      await near.write(TAG.connected)
      await splice(near, waiting.link, o)
    } finally {
      waiting.over()
    }
  }

  #deviceOf(text: string, scope: Session | undefined): Did {
    const named = (name: string): Did => this.on.directory.resolve(name, this.on.self)
    return scope === undefined ? named(text) : scope.deviceNamed(text, named)
  }

  #newName(): string {
    return Buffer.from(this.on.random(NAME_BYTES)).toString('hex')
  }
}

function argsOf({ host, port, listen }: ForwardRequest): NetForwardArgs {
  const args = netArgs(listen === true ? 'listen' : 'connect', host, port)
  if (args !== undefined) return args
  throw new ErrandError('BAD_TARGET', `${JSON.stringify(host.slice(0, 80))} is neither an address nor a name`, {
    hint: 'write an address in full, like 10.0.0.7 or [fd00::7], or a name',
  })
}

/** @throws what the device refused with; LINK_CLOSED when it fell silent. */
async function answerOf(link: FrameLink, tag: number): Promise<Frame> {
  for (let frame = await link.read(); frame !== undefined; frame = await link.read()) {
    if (frame.tag === TAG.refused) throw fromWire(decodeAs(RefusedForward, frame.payload.subarray(), FORWARD.maxFrameBytes))
    if (frame.tag === tag) return frame
  }
  throw new ErrandError('LINK_CLOSED', 'the connection to the device closed', { retryable: true })
}

function noSuch(): ErrandError {
  return new ErrandError('NO_SUCH_FORWARD', 'that forward has ended')
}
