/** One connection to the host: its first frame says what it is for, and that is all it is ever for. */
import { Attend, type Attending, Detach, Expel, Follow, HOST, HOST_TAG, Judged, Order, Resize, Speaks, Stop, Ticket } from '../../protocols/host/messages.ts'
import { decodeAs, encode } from '../../protocols/wire.ts'
import type { Clock } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Frame, FrameLink } from '../base/frames.ts'
import { Follower } from './follower.ts'
import type { Job } from './job.ts'
import type { Prepared, Ready } from './spawn.ts'

/** A command's words, its environment and its proofs fit. */
const MAX_ORDER_BYTES = HOST.maxFrameBytes

/** What a conversation asks of the host. */
export interface Desk {
  readonly bulk: { admit(ticket: Ticket): Promise<number | null>; expel(id: Uint8Array): void }
  prepare(order: Order): Promise<Ready>
  start(order: Order, prepared: Ready, judged: Judged): Promise<Job>
  find(task: string): Job | undefined
  attended(): () => void
  attending(): Attending
}

export class Conversation {
  constructor(
    private readonly host: Desk,
    private readonly link: FrameLink,
    private readonly on: {
      readonly clock: Clock
      readonly gone: Promise<void>
      /** Told when it has said what it is for, or ended without. */
      readonly begun: () => void
      readonly openMs: number
    },
  ) {}

  /** Resolves when it is over: 'lifeline' when it was one, which only the host's own end closes. Never rejects. */
  async hold(): Promise<'lifeline' | 'done'> {
    try {
      const frame = await this.link.read().finally(this.on.begun)
      if (frame?.tag === HOST_TAG.order) await this.#run(firstOf(Order, frame))
      else if (frame?.tag === HOST_TAG.follow) await this.#follow(firstOf(Follow, frame))
      else if (frame?.tag === HOST_TAG.attend) return await this.#attend(firstOf(Attend, frame))
      else if (frame !== undefined) throw unsupported(frame.tag)
    } catch (thrown) {
      await this.#tell(HOST_TAG.failed, asErrand(thrown).toWire('device'))
    }
    await this.link.end().catch(() => undefined)
    return 'done'
  }

  async #run(order: Order): Promise<void> {
    const prepared = await this.host.prepare(order)
    const judged = await this.#goAhead(prepared)
    if (judged === undefined) return
    const job = await this.host.start(order, prepared, judged)
    void this.#tell(HOST_TAG.started, { pid: job.pid, startTime: Math.round(job.startTime) })
    await this.#accompany(job, order.attached ? 0 : null)
  }

  /** Between order and go the daemon makes its record durable. Whoever does not say go has changed its mind. */
  async #goAhead(prepared: Prepared): Promise<Judged | undefined> {
    const frame = await this.#within(this.on.openMs).catch(() => undefined)
    const judged = frame?.tag === HOST_TAG.go ? judgedIn(frame) : undefined
    if (judged !== undefined) return judged
    prepared.drop()
    if (frame !== undefined) throw unsupported(frame.tag)
    return undefined
  }

  async #follow({ task, from, now }: Follow): Promise<void> {
    const job = this.host.find(task)
    if (job === undefined) throw new ErrandError('NO_SUCH_TASK', `task ${task} does not run here`)
    void this.#tell(HOST_TAG.started, { pid: job.pid, startTime: Math.round(job.startTime) })
    if (now === true && from !== null) await this.#soFar(job, from)
    else await this.#accompany(job, from)
  }

  async #soFar(job: Job, from: number): Promise<void> {
    const follower = new Follower(job, this.link, from, { to: job.spool.end })
    void this.on.gone.then(() => follower.leave())
    await follower.follow()
    await this.#tell(HOST_TAG.held, { offset: follower.position })
  }

  /** Output and progress out, input and orders in, until the job ended or the connection is gone. */
  async #accompany(job: Job, from: number | null): Promise<void> {
    const follower = from === null ? undefined : new Follower(job, this.link, from)
    const unhook = job.onProgress(this.#reporter())
    void this.#obey(job, follower)
    const gone = this.on.gone.then(() => {
      follower?.leave()
      return undefined
    })
    try {
      const ended = await (follower === undefined ? Promise.race([job.ended, gone]) : this.#toTheEnd(job, follower, gone))
      if (ended !== undefined) await this.#tell(HOST_TAG.ended, ended)
    } finally {
      unhook()
    }
  }

  /** Who holds the output back, to have it taken elsewhere or because nobody takes it, still hears the end here, and is no reader. */
  async #toTheEnd(job: Job, follower: Follower, gone: Promise<undefined>): ReturnType<Follower['follow']> {
    return (await follower.follow()) ?? (await Promise.race([job.ended, gone]))
  }

  /** Hands on reports as fast as they are read, and only the newest of those that came meanwhile. */
  #reporter(): (line: Uint8Array) => void {
    let isFull = false
    let newest: Uint8Array | undefined
    const report = (line: Uint8Array): void => {
      newest = line
      if (isFull) return
      const wait = this.link.write(HOST_TAG.progress, newest)
      newest = undefined
      if (wait === undefined) return
      isFull = true
      void wait.then(() => {
        isFull = false
        if (newest !== undefined) report(newest)
      })
    }
    return report
  }

  async #obey(job: Job, follower: Follower | undefined): Promise<void> {
    try {
      for (let frame = await this.link.read(); frame !== undefined; frame = await this.link.read()) this.#order(job, follower, frame)
    } catch (thrown) {
      this.link.abort(asErrand(thrown)) // not frames, or cut off
    }
  }

  #order(job: Job, follower: Follower | undefined, frame: Frame): void {
    const { tag, payload } = frame
    if (tag === HOST_TAG.stdin) this.#feed(job, payload.subarray())
    else if (tag === HOST_TAG.stdinEnd) job.run.endStdin()
    else if (tag === HOST_TAG.resize) job.run.resize(bodyOf(Resize, frame))
    else if (tag === HOST_TAG.stop) job.stop(bodyOf(Stop, frame).why)
    else if (tag === HOST_TAG.detach) job.detach(bodyOf(Detach, frame).policy)
    else if (tag === HOST_TAG.pause) job.pause()
    else if (tag === HOST_TAG.resume) job.resume()
    else if (tag === HOST_TAG.hold && follower !== undefined) void this.#tell(HOST_TAG.held, { offset: follower.hold() })
  }

  #feed(job: Job, bytes: Uint8Array): void {
    void job.run.stdin(bytes).then(() => this.#tell(HOST_TAG.stdinCredit, { bytes: bytes.length }))
  }

  async #attend(_attend: Attend): Promise<'lifeline'> {
    const cut = this.host.attended()
    try {
      await this.#tell(HOST_TAG.attending, this.host.attending())
      for (let frame = await this.link.read(); frame !== undefined; frame = await this.link.read()) {
        if (frame.tag === HOST_TAG.expel) this.host.bulk.expel(bodyOf(Expel, frame).id)
        if (frame.tag !== HOST_TAG.ticket) continue
        const ticket = bodyOf(Ticket, frame)
        void this.host.bulk.admit(ticket).then((port) => this.#tell(HOST_TAG.ticketed, { id: ticket.id, port }))
      }
    } catch (thrown) {
      this.link.abort(asErrand(thrown)) // cut off, or not frames: its daemon must not believe that it still attends
    }
    cut()
    return 'lifeline'
  }

  #within(ms: number): Promise<Frame | undefined> {
    const cancel = this.on.clock.after(ms, () => this.link.abort(new ErrandError('NO_REQUEST', 'no request in time')))
    return this.link.read().finally(cancel)
  }

  async #tell(tag: number, value: unknown): Promise<void> {
    await this.link.write(tag, encode(value))
  }
}

function bodyOf<S extends Parameters<typeof decodeAs>[0]>(schema: S, { payload }: Frame): ReturnType<typeof decodeAs<S>> {
  return decodeAs(schema, payload.subarray(), MAX_ORDER_BYTES)
}

/** Empty: no policy asks for anything. @returns undefined for what is none. */
function judgedIn(frame: Frame): Judged | undefined {
  try {
    return frame.payload.length === 0 ? {} : bodyOf(Judged, frame)
  } catch {
    return undefined
  }
}

function firstOf<S extends Parameters<typeof decodeAs>[0]>(schema: S, frame: Frame): ReturnType<typeof decodeAs<S>> {
  const { v } = bodyOf(Speaks, frame)
  if (v > HOST.version)
    throw new ErrandError('UNSUPPORTED', `this exec-host speaks version ${HOST.version}, not ${v}`, {
      hint: 'speak that version to it; it ends with its last command',
      fields: { version: HOST.version },
    })
  return bodyOf(schema, frame)
}

function unsupported(tag: number): ErrandError {
  return new ErrandError('UNSUPPORTED', `a frame 0x${tag.toString(16)} is not expected here`)
}
