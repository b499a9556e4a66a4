/** One stream of one command: what its caller is told, what its caller may say, and what becomes of the command when the stream breaks. */
import { At, type Detached, EXEC, Resize, TAG, type Waits } from '../../protocols/exec/messages.ts'
import type { About } from '../../protocols/task/messages.ts'
import { progressOf } from '../../protocols/task/progress.ts'
import { decodeAs } from '../../protocols/wire.ts'
import type { Clock, Random } from '../base/clock.ts'
import { asErrand } from '../base/errors.ts'
import type { Frame, FrameLink } from '../base/frames.ts'
import type { TaskId } from '../tasks/machine.ts'
import type { Executor, OutputSink, RunningCommand } from '../tasks/ports.ts'
import { Answer } from './answer.ts'
import type { Absence } from './attendance.ts'
import type { Detacher } from './detaching.ts'
import type { ExecCaller } from './exec-admission.ts'
import { OutputWay, tell } from './exec-output.ts'
import { Input } from './input.ts'
import type { LiveCommand, LiveCommands } from './live.ts'

export interface SessionOn {
  readonly executor: Pick<Executor, 'admit' | 'expel' | 'follow' | 'printed'>
  readonly live: LiveCommands
  readonly clock: Clock
  readonly random: Random
  readonly detacher: Pick<Detacher, 'detach'>
  /** Where the exec-host may open a door for a caller that came from this address; null: nowhere. */
  readonly besideDoor: (address: string) => string | null
}

interface SessionFor {
  readonly caller: ExecCaller
  readonly task: TaskId
  /** Aborts when the stream is gone. */
  readonly signal: AbortSignal
}

interface Joining {
  readonly from: number | null
  readonly mayWrite: boolean
  /** It is attached, and this is who asked for it: it lives as long as they are there. */
  readonly isItsOwn: boolean
}

export class ExecSession {
  readonly sink: OutputSink
  readonly signal: AbortSignal
  readonly #answer: Answer
  readonly #way: OutputWay
  #ahead: Promise<Frame | undefined> | undefined
  #isDetaching = false
  #leave: () => void = () => undefined
  /** Resolves when its caller has left it to itself. */
  readonly #left = new Promise<void>((resolve) => {
    this.#leave = resolve
  })
  #mandate: Uint8Array | undefined

  constructor(
    private readonly link: FrameLink,
    private readonly at: SessionFor,
    readonly on: SessionOn,
  ) {
    this.signal = at.signal
    this.#answer = new Answer(link, on.clock)
    this.#way = new OutputWay(link, this.#answer, { task: at.task, address: on.besideDoor(at.caller.address) }, on)
    const progress = (line: Uint8Array): void => {
      const progress = progressOf(Buffer.from(line).toString())
      if (progress !== undefined) on.live.progressed(at.task, { t: 'progressed', at: on.clock.now(), progress })
    }
    this.sink = { ...this.#way.sink, progress }
  }

  /** What its caller sent for the time in which it may be gone. */
  get mandate(): Uint8Array | undefined {
    return this.#mandate
  }

  queued(place: number): void {
    this.#listen()
    void tell(this.link, TAG.queued, { task: this.at.task, place })
  }

  /** The caller may hear no more, on whatever way. */
  expel(): void {
    this.#way.expel()
  }

  waits(waits: Omit<Waits, 'task'>): void {
    this.#listen()
    void tell(this.link, TAG.waits, { task: this.at.task, ...waits })
  }

  /** While the command waits: its caller may take it back, sends its mandate, and has nothing else to say before it is accepted. */
  #listen(): void {
    if (this.#ahead !== undefined) return
    this.#ahead = this.#beyondMandate()
    this.#ahead.then(
      (frame) => frame?.tag === TAG.cancel && this.on.live.cancel(this.at.task),
      () => undefined, // its signal says so too
    )
  }

  async #beyondMandate(): Promise<Frame | undefined> {
    for (;;) {
      const frame = await this.link.read()
      if (frame?.tag !== TAG.mandate) return frame
      this.#mandate ??= frame.payload.subarray()
    }
  }

  #next(): Promise<Frame | undefined> {
    const ahead = this.#ahead
    this.#ahead = undefined
    return ahead ?? this.link.read()
  }

  /** Resolves when the caller knows how the command ended, or is gone. */
  async run(live: LiveCommand, about: Pick<About, 'detached'>): Promise<void> {
    const { running } = live
    const accepted = { task: this.at.task, startTime: Math.round(running.startTime) }
    this.#way.carries(running)
    const attends = about.detached ? undefined : live.attendance.come()
    const cut = (): void => {
      this.#way.cut()
      attends?.(absenceOf(this.signal))
    }
    this.signal.addEventListener('abort', cut, { once: true })
    if (this.signal.aborted) cut()
    try {
      if (about.detached || live.resting.invocation.args['stdin'] === true) await this.#answer.accepted(accepted).catch(cut)
      else this.#answer.acceptedSoon(accepted, cut)
      void this.#obey(live, { mayWrite: true, isItsOwn: !about.detached })
      const ended = await Promise.race([live.over, this.#left.then(() => undefined)])
      if (ended === undefined) return // its caller knows that it goes on
      await this.#way.settled()
      await this.#answer.ended(ended).catch(() => undefined) // a caller that is gone asks again
    } finally {
      this.#answer.close()
      this.signal.removeEventListener('abort', cut)
    }
  }

  /** The same for a caller that comes back to a command, or comes later. */
  async join(live: LiveCommand, { from, mayWrite, isItsOwn }: Joining): Promise<void> {
    await this.#answer.accepted({ task: this.at.task, startTime: Math.round(live.running.startTime) })
    if (from !== null) this.#way.resume(from)
    const attends = isItsOwn ? live.attendance.come() : undefined
    void this.#obey(live, { mayWrite, isItsOwn: false })
    const cut = (): void => {
      this.#way.cut()
      attends?.(absenceOf(this.signal))
    }
    this.signal.addEventListener('abort', cut, { once: true })
    if (this.signal.aborted) cut()
    const ended = await Promise.race([live.over, this.#left.then(() => undefined)])
    if (ended === undefined) return
    await this.#way.settled()
    await this.#answer.ended(ended)
  }

  /**
   * What the caller says until its stream ends. A stream that speaks nonsense is not listened to any longer; its end is that of the
   * command's input, and its nonsense the end of the command, only where the two belong together: a watcher that leaves ends nothing.
   */
  async #obey(live: LiveCommand, { mayWrite, isItsOwn }: { mayWrite: boolean; isItsOwn: boolean }): Promise<void> {
    const { running } = live
    const input = new Input(this.link, running)
    try {
      for (let frame = await this.#next(); frame !== undefined; frame = await this.#next()) {
        if (this.#steer(frame) || !mayWrite) continue
        if (frame.tag === TAG.detach) void this.#detach(live, frame.payload.subarray())
        else write(frame, input, running)
      }
      if (isItsOwn) input.end()
    } catch {
      if (this.signal.aborted) return
      if (isItsOwn)
        running.stop('lost') // not cut off, but against the rules
      else this.#way.cut()
    }
  }

  /** Its caller leaves; told when that is durable, or why it is not to be. */
  async #detach(live: LiveCommand, mandate: Uint8Array): Promise<void> {
    if (this.#isDetaching) return // one at a time: each costs signatures
    this.#isDetaching = true
    try {
      await this.on.detacher.detach(live, this.at.caller, mandate)
      await tell(this.link, TAG.detached, {} satisfies Detached)
      this.#way.cut()
      this.#leave()
    } catch (thrown) {
      await tell(this.link, TAG.detached, { fault: asErrand(thrown).toWire('device') } satisfies Detached)
    } finally {
      this.#isDetaching = false
    }
  }

  /** Which way the output goes. @returns false for a frame that is about something else. */
  #steer({ tag, payload }: Frame): boolean {
    if (tag === TAG.bulkTake) void this.#way.moved()
    else if (tag === TAG.resumeAt) this.#way.resume(decodeAs(At, payload.subarray(), EXEC.maxFrameBytes).offset)
    else return false
    return true
  }
}

/** A stream that its other side ended, or a link that fell silent. */
function absenceOf(gone: AbortSignal): Absence {
  return asErrand(gone.reason).fields['left'] === true ? 'left' : 'away'
}

function write({ tag, payload }: Frame, input: Input, running: RunningCommand): void {
  if (tag === TAG.stdin) input.take(payload.subarray())
  else if (tag === TAG.stdinEnd) input.end()
  else if (tag === TAG.resize) running.resize(decodeAs(Resize, payload.subarray(), EXEC.maxFrameBytes))
  else if (tag === TAG.cancel) running.stop('cancelled')
}
