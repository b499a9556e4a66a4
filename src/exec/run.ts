/**
 * One running command: bounds, the stop ladder, and when it counts as ended.
 * Ended means: the main process is gone, nothing of its process group runs (after a stop: nothing that it ever started), and every
 * byte of output was taken.
 */

import { Socket } from 'node:net'
import type { Ended, Why } from '../../protocols/exec/messages.ts'
import type { CommandSpec, WindowSize } from '../../protocols/task/messages.ts'
import { type Clock, every } from '../base/clock.ts'
import { InputPipe, OutputPipe } from './streams.ts'
import type { Pty } from './terminal.ts'
import type { Tree } from './tree.ts'

/** From SIGTERM to SIGKILL. 5 s: what init systems and container engines give at least; most programs need milliseconds. */
export const STOP_GRACE_MS = 5_000

/** After the main process ended, others of its group may print on; a pause this long ends them. Like `docker exec`, unlike ssh, which would hang. */
const QUIET_MS = 250
const TICK_MS = 50 // quiet is five looks in a row, so that a blocked event loop is not mistaken for a silent pipe
/** However much they print, the group left behind is ended after this. */
const LINGER_MS = 10_000
/** What can still be in a pipe whose writers were killed: 64 KiB, 1 MiB if they enlarged it. More comes from a process that left the group. */
const LEFTOVER_BYTES = 2 << 20
/** A process that SIGKILL does not end within this is stuck in the kernel; the run ends without it. */
const UNKILLABLE_MS = 2_000
/** The end of a terminal's input is a key: a shell that has just begun, and changes how keys are read, does not hear it the first time. */
const ENDS_SAID = 6
const SAID_AGAIN_MS = 200

/** Our descriptors of its pipes. */
export interface PipeEnds {
  readonly stdin: number | null
  readonly stdout: number
  readonly stderr: number
  /** Descriptor 3: reports, in lines. */
  readonly progress: number
}

export type Ends = PipeEnds | Pty

export interface RunParts {
  readonly spec: Pick<CommandSpec, 'timeoutMs' | 'maxOutputBytes'>
  readonly ends: Ends
  /** Takes output in order. A promise means: stop reading the command until it resolves. */
  readonly take: (fd: 1 | 2, chunk: Uint8Array) => Promise<void> | undefined
  readonly tree: Pick<Tree, 'signalAll' | 'isGroupAlive' | 'isAlive'>
  readonly clock: Clock
  /** Called once: nobody is left who could print on; what is still in the pipes is little. */
  readonly gone: () => void
}

export class Run {
  readonly startTime: number
  readonly ended: Promise<Ended>
  #resolve: (ended: Ended) => void = () => undefined
  readonly #outputs: readonly OutputPipe[]
  readonly #input: InputPipe | undefined
  readonly #pty: Pty | undefined
  readonly #bytes = { 1: 0, 2: 0 }
  #why: Why | undefined
  #exit: { readonly code: number | null; readonly signal: string | null; readonly at: number } | undefined
  #isGroupGone = false
  #isDropping = false
  #leftoverBytes = 0
  #quietMs = 0
  #isStopping = false
  readonly #timers = new Set<() => void>()

  constructor(private readonly parts: RunParts) {
    const { ends, spec } = parts
    this.startTime = parts.clock.now()
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve
    })
    if ('socket' in ends) {
      this.#pty = ends
      this.#outputs = [this.#screen(ends)]
      this.#input = new InputPipe(ends.socket, ends.endOfInput)
    } else {
      const { stdin, stdout, stderr } = ends
      this.#outputs = [this.#reader(1, stdout), this.#reader(2, stderr)]
      this.#input = stdin === null ? undefined : new InputPipe(new Socket({ fd: stdin, readable: false, writable: true }))
    }
    if (spec.timeoutMs > 0) this.#later(spec.timeoutMs, () => this.stop('timeout'))
  }

  async stdin(chunk: Uint8Array): Promise<void> {
    await this.#input?.write(chunk)
  }

  endStdin(): void {
    this.#input?.end()
    if (this.#pty !== undefined) for (let n = 1; n < ENDS_SAID; n++) this.#later(n * SAID_AGAIN_MS, () => this.#input?.end())
  }

  resize(size: WindowSize): void {
    this.#pty?.resize(size)
  }

  stop(why: Why): void {
    const isNews = this.#exit === undefined || why === 'limit' // what was cut off is said even when the process itself ended well
    if (isNews) this.#why ??= why
    if (why === 'lost') this.#drop() // nobody is there to take the output
    this.#climb()
  }

  /** The main process is gone. */
  exited(code: number | null, signal: string | null): void {
    if (this.#exit !== undefined) return
    this.#exit = { code, signal, at: this.parts.clock.now() }
    this.#lookForOthers()
    this.#settle()
    if (!this.#isOver()) this.#linger()
  }

  #lookForOthers(): void {
    const { tree } = this.parts
    if (this.#isGroupGone) return
    this.#isGroupGone = !(this.#isStopping ? tree.isAlive() : tree.isGroupAlive())
    if (!this.#isGroupGone) return
    this.#quietMs = 0
    this.parts.gone()
    this.#pty?.finish()
  }

  #reader(fd: 1 | 2, source: number): OutputPipe {
    return new OutputPipe(
      new Socket({ fd: source, readable: true, writable: false }),
      (chunk) => this.#take(fd, chunk),
      () => this.#settle(),
    )
  }

  #screen(pty: Pty): OutputPipe {
    const output = new OutputPipe(
      pty.socket,
      (chunk) => {
        const { bytes, isOver } = pty.read(chunk)
        const wait = bytes.length === 0 ? undefined : this.#take(1, bytes)
        if (isOver) output.close()
        return isOver ? undefined : wait
      },
      () => this.#settle(),
    )
    return output
  }

  #take(fd: 1 | 2, chunk: Uint8Array): Promise<void> | undefined {
    this.#quietMs = 0
    if (this.#isGroupGone) this.#leftoverBytes += chunk.length
    if (this.#leftoverBytes > LEFTOVER_BYTES) this.#closeOutputs()
    if (this.#isDropping) return undefined
    const room = this.#room()
    const taken = chunk.length > room ? chunk.subarray(0, room) : chunk
    if (chunk.length > room) this.stop('limit')
    if (taken.length === 0) return undefined
    this.#bytes[fd] += taken.length
    return this.parts.take(fd, taken)
  }

  #room(): number {
    const { maxOutputBytes } = this.parts.spec
    return maxOutputBytes === 0 ? Number.POSITIVE_INFINITY : maxOutputBytes - this.#bytes[1] - this.#bytes[2]
  }

  #drop(): void {
    this.#isDropping = true
    for (const output of this.#outputs) output.release()
  }

  #closeOutputs(): void {
    this.#isDropping = true
    for (const output of this.#outputs) output.close()
  }

  /** The ladder: SIGTERM, SIGKILL, and at last without the process. */
  #climb(): void {
    if (this.#isStopping || this.#isGroupGone) return
    this.#isStopping = true
    const { tree, clock } = this.parts
    if (this.#pty !== undefined) tree.signalAll('SIGHUP') // what a terminal says that goes away: an interactive shell hears nothing else
    tree.signalAll('SIGTERM')
    tree.signalAll('SIGCONT') // a paused one could not hear it
    this.#later(STOP_GRACE_MS, () => {
      tree.signalAll('SIGKILL')
      this.#timers.add(every(clock, TICK_MS, () => tree.signalAll('SIGKILL'))) // also what was being forked meanwhile
      this.#later(UNKILLABLE_MS, () => {
        this.#isGroupGone = true
        this.parts.gone()
        this.exited(null, 'SIGKILL')
        this.#settle()
      })
    })
  }

  /** Waits for the end of the pipes that somebody still holds, for as long as that makes sense. */
  #linger(): void {
    const since = this.parts.clock.monotonic()
    const stop = every(this.parts.clock, TICK_MS, () => {
      this.#lookForOthers()
      this.#settle()
      if (this.#isOver()) return
      const isHeldBack = this.#outputs.some((output) => output.waiting)
      this.#quietMs = isHeldBack ? 0 : this.#quietMs + TICK_MS
      const isOverdue = this.parts.clock.monotonic() - since >= LINGER_MS
      if (this.#isGroupGone && this.#quietMs >= QUIET_MS) this.#closeOutputs()
      else if (this.#quietMs >= QUIET_MS || isOverdue) this.#climb()
    })
    this.#timers.add(stop)
  }

  #later(ms: number, act: () => void): void {
    this.#timers.add(this.parts.clock.after(ms, act))
  }

  #isOver(): boolean {
    return this.#exit !== undefined && this.#isGroupGone && this.#outputs.every((output) => output.isClosed)
  }

  #settle(): void {
    if (this.#exit === undefined || !this.#isOver()) return
    for (const cancel of this.#timers) cancel()
    this.#input?.close()
    const why = this.#why ?? 'exit'
    this.#resolve({
      exitCode: this.#exit.code,
      signal: this.#exit.signal,
      why,
      ...messageOf(why, this.parts.spec),
      startTime: this.startTime,
      endTime: this.#exit.at,
      stdoutBytes: this.#bytes[1],
      stderrBytes: this.#bytes[2],
    })
  }
}

function messageOf(why: Why, spec: RunParts['spec']): { message?: string } {
  if (why === 'timeout') return { message: `stopped after ${spec.timeoutMs} ms` }
  if (why === 'limit') return { message: `stopped after ${spec.maxOutputBytes} bytes of output` }
  return {}
}
