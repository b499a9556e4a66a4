/**
 * Forwards through the node: the conversations that hold one, and those that carry one connection of it. Client side only; where the bytes come
 * from and go to is the caller's. Loaded by those who forward: not part of `errand/client`.
 */
import { FORWARD, type ForwardWhy, FORWARD_TAG as TAG } from '../../../protocols/forward/frames.ts'
import type { CarryRequest, ForwardRequest } from '../../../protocols/local/forwards.ts'
import { LOCAL_TAG } from '../../../protocols/local/frames.ts'
import type { WireError } from '../../base/errors.ts'
import { ReadAhead } from '../../base/read-ahead.ts'
import { cancelled, connectionFault, gone, wireFault } from '../fault.ts'
import type { QuickFrame, QuickLink } from '../quick-link.ts'
import { ExecFaces } from '../upgrade.ts'
import { atSocket } from '../where.ts'

/** How a connection or a forward ended. */
export interface ForwardEnd {
  readonly why: ForwardWhy
  readonly message?: string
  readonly bytesIn: number
  readonly bytesOut: number
  readonly connections: number
}

export interface ForwardAccepted {
  /** What to ask for a connection of it by; '' where it is a single one. */
  readonly forward: string
  readonly device: string
  /** Where the device listens, or whom it has connected to. */
  readonly address: string
  readonly port: number
}

export interface IncomingConnection {
  readonly connection: string
  readonly address: string
  readonly port: number
}

/** Where bytes come from and go to: a socket, or stdin and stdout. */
export interface ByteEnds {
  readonly source: AsyncIterable<Uint8Array>
  write(chunk: Uint8Array): Promise<void> | undefined
  /** Nothing more will be written. */
  end(): void
  /** It was cut. */
  abort(): void
}

export interface HoldOptions {
  readonly accepted: (accepted: ForwardAccepted) => void
  /** Somebody has connected where the device listens. */
  readonly incoming: (connection: IncomingConnection) => void
  readonly signal: AbortSignal
}

export interface CarryOptions {
  /** It has come about. */
  readonly onConnected?: () => void
  /** The end of what comes is the end of all: nobody has anything to say to a program that is gone. */
  readonly oneEndIsAll?: boolean
}

/** On the way between this program and its node, each way. */
const WINDOW_BYTES = 1 << 18
const CREDIT_BYTES = 1 << 16

export class ForwardClient {
  readonly #faces: ExecFaces

  constructor(socketPath: string, session?: string) {
    this.#faces = new ExecFaces(atSocket(socketPath, session))
  }

  /** Holds a forward until the signal aborts or it is ended. @throws what the node or the device refused with */
  async hold(request: ForwardRequest, o: HoldOptions): Promise<ForwardEnd> {
    return await this.#converse(async (link) => {
      const stop = (): void => link.abort(cancelled())
      o.signal.addEventListener('abort', stop, { once: true })
      if (o.signal.aborted) throw cancelled()
      void link.write(LOCAL_TAG.forward, json(request))
      for (let frame = await link.read(); frame !== undefined; frame = await link.read()) {
        const end = heard(frame, o)
        if (end !== undefined) return end
      }
      throw o.signal.aborted ? cancelled() : gone()
    })
  }

  /** A way through a device for one connection, which is `ends`. @throws what the node or the device refused with */
  async single(request: ForwardRequest, ends: ByteEnds, o: CarryOptions = {}): Promise<ForwardEnd> {
    return await this.#converse(async (link) => {
      void link.write(LOCAL_TAG.forward, json({ ...request, single: true }))
      return await new Carrying(link, ends, o).run(TAG.accepted)
    })
  }

  /** One connection of a forward. @throws what the node or the device refused with */
  async carry(request: CarryRequest, ends: ByteEnds, o: CarryOptions = {}): Promise<ForwardEnd> {
    return await this.#converse(async (link) => {
      void link.write(LOCAL_TAG.carry, json(request))
      return await new Carrying(link, ends, o).run(TAG.connected)
    })
  }

  async #converse(talk: (link: QuickLink) => Promise<ForwardEnd>): Promise<ForwardEnd> {
    const { link, socket } = this.#faces.take()
    try {
      return await talk(link)
    } catch (thrown) {
      throw connectionFault(thrown, this.#faces.socketPath)
    } finally {
      socket.destroy()
    }
  }
}

/** What is said of a forward that stays. @returns its end, once it has one. */
function heard(frame: QuickFrame, o: HoldOptions): ForwardEnd | undefined {
  if (frame.tag === TAG.refused) throw wireFault(parsed<WireError>(frame))
  if (frame.tag === TAG.accepted) o.accepted(parsed(frame))
  if (frame.tag === TAG.incoming) o.incoming(parsed(frame))
  return frame.tag === TAG.ended ? parsed<ForwardEnd>(frame) : undefined
}

/** One connection: each direction flows under credit of its own, so that neither waits for the other, and a node that is gone is noticed at once. */
class Carrying {
  #credit = WINDOW_BYTES
  #creditCame: () => void = () => undefined
  #taken = 0
  #over = false
  #isReset = false
  readonly #inbox = new ReadAhead({ pause: () => undefined, resume: () => undefined }, Number.POSITIVE_INFINITY)
  #written: Promise<void> = Promise.resolve()

  constructor(
    private readonly link: QuickLink,
    private readonly ends: ByteEnds,
    private readonly o: CarryOptions,
  ) {}

  async run(begun: number): Promise<ForwardEnd> {
    try {
      for (let frame = await this.link.read(); frame !== undefined; frame = await this.link.read()) {
        if (frame.tag === begun) this.#begin()
        const end = this.#take(frame)
        if (end === undefined) continue
        if (end.why === 'closed') await this.#written
        else this.ends.abort()
        return end
      }
      throw gone()
    } catch (thrown) {
      this.ends.abort()
      if (this.#isReset) return { why: 'reset', bytesIn: 0, bytesOut: 0, connections: 1 }
      throw thrown
    } finally {
      this.#over = true
      this.#creditCame()
    }
  }

  #begin(): void {
    this.o.onConnected?.()
    this.#written = this.#hand()
    void this.#written.catch(() => this.#reset())
    void this.#send().catch(() => this.#reset())
  }

  #take(frame: QuickFrame): ForwardEnd | undefined {
    const { tag, payload } = frame
    if (tag === TAG.data) for (const part of payload) this.#inbox.push(part)
    else if (tag === TAG.end) this.#inbox.finish()
    else if (tag === LOCAL_TAG.credit) {
      this.#credit += parsed<{ bytes: number }>(frame).bytes
      this.#creditCame()
    } else if (tag === TAG.refused) throw wireFault(parsed<WireError>(frame))
    return tag === TAG.ended ? parsed<ForwardEnd>(frame) : undefined
  }

  /** What came goes out at the pace of whoever takes it. */
  async #hand(): Promise<void> {
    for await (const chunk of this.#inbox.read()) {
      await this.ends.write(chunk)
      this.#taken += chunk.length
      if (this.#taken < CREDIT_BYTES || this.#over) continue
      void this.link.write(LOCAL_TAG.credit, json({ bytes: this.#taken }))
      this.#taken = 0
    }
    this.ends.end()
    if (this.o.oneEndIsAll === true) void this.link.write(TAG.end)
  }

  async #send(): Promise<void> {
    for await (const chunk of this.ends.source) {
      for (let rest = chunk; rest.length > 0 && !this.#over; ) {
        const bytes = Math.min(rest.length, this.#credit, FORWARD.maxDataBytes)
        if (bytes > 0) {
          this.#credit -= bytes
          await this.link.write(TAG.data, rest.subarray(0, bytes))
          rest = rest.subarray(bytes)
        } else
          await new Promise<void>((resolve) => {
            this.#creditCame = resolve
          })
      }
      if (this.#over) return
    }
    await this.link.write(TAG.end)
  }

  /** This end was cut: hanging up tells the other one that it was no orderly end. */
  #reset(): void {
    this.#isReset = true
    if (!this.#over) this.link.abort(gone())
  }
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

/** The decoder of control frames: the node's own words under a known API version. */
function parsed<T>({ payload }: QuickFrame): T {
  return JSON.parse(Buffer.concat(payload).toString()) as T
}
