/**
 * One task in the host: its process, its spool, and who reads along. Output goes into the spool first; readers pull from there.
 * What nobody reads blocks an attached command; a detached one meets its spool's policy.
 */
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Ended } from '../../protocols/exec/messages.ts'
import type { Order } from '../../protocols/host/messages.ts'
import { type Clock, pause } from '../base/clock.ts'
import type { Held } from './held.ts'
import { readProgress } from './progress.ts'
import { type JobRecord, RECORD_FILE, SPOOL_DIR } from './records.ts'
import { Run } from './run.ts'
import type { Bounded, Spawned } from './spawn.ts'
import { Spool } from './spool.ts'
import { birthOf, bootId, Tree } from './tree.ts'

/** How far an attached command may be ahead of its slowest reader. */
const AHEAD_BYTES = 1 << 19
/** A process that outlives its command may hold descriptor 3; nobody waits longer for it than this. */
const LAST_REPORT_MS = 50

/** So long a reader may stand still after another one has come. */
const STUCK_MS = 300
const RECORD_AFTER_MS = 50
/** A terminal has the three descriptors that terminals have. */
const NO_PROGRESS = { over: Promise.resolve(), close: () => undefined }
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

/** Somebody who reads the output. */
export interface Reader {
  /** Everything before this offset has been taken. */
  readonly position: number
  /** Ends one that can come back another way and loses nothing by it. */
  readonly drop?: (() => void) | undefined
}

export interface JobOn {
  readonly clock: Clock
  readonly jobs: string
  readonly graceMs: number
  /** Told how many bytes were printed. */
  readonly printed: (bytes: number) => void
}

export class Job {
  readonly task: string
  #isAttached: boolean
  #policy: Order['spool']['policy']
  readonly spool: Spool
  readonly ended: Promise<Ended>
  /** Resolves when the end is in the files too; a detached job has not ended before. */
  readonly saved: Promise<Ended>
  readonly run: Run
  readonly pid: number
  readonly #tree: Tree
  readonly #held: Held | undefined
  readonly #directory: string
  readonly #readers = new Set<Reader>()
  readonly #progressed = new Set<(line: Uint8Array) => void>()
  #lastProgress: Uint8Array | undefined
  #waiting: (() => void)[] = []
  #isUnbound = false
  #isOverfull = false
  /** How far the slowest reader had come when the last one left. */
  #position = 0
  #grace: (() => void) | undefined
  #isPaused = false
  #saved: Promise<void> = Promise.resolve()
  readonly #noRecordYet: () => void

  private constructor(
    private readonly order: Order,
    private readonly on: JobOn,
    { pid, onExit, ends, held }: Spawned,
  ) {
    const { task, spec, attached, spool } = order
    this.task = task
    this.#isAttached = attached
    this.#policy = spool.policy
    this.pid = pid
    this.#directory = join(on.jobs, task)
    this.spool = new Spool(join(this.#directory, SPOOL_DIR), spool.maxBytes)
    this.#held = held
    this.#tree = held?.tree(pid, task) ?? new Tree(pid, task)
    this.run = new Run({ spec, ends, take: (fd, chunk) => this.#take(fd, chunk), tree: this.#tree, clock: on.clock, gone: () => this.#unbind() })
    onExit((code, signal) => this.run.exited(code, signal))
    held?.watch(on.clock, () => this.stop('limit'))
    const progress = 'progress' in ends ? readProgress(ends.progress, on.clock, (line) => this.#report(line)) : NO_PROGRESS
    const over = this.run.ended.then(async (ended) => {
      await Promise.race([progress.over, pause(on.clock, LAST_REPORT_MS)])
      progress.close()
      return this.#finish(ended)
    })
    this.saved = over.then((ended) => this.#save(ended))
    this.ended = attached ? over : this.saved
    // A command that is over at once needs one record only; who looks for a longer one finds it.
    this.#noRecordYet = on.clock.after(RECORD_AFTER_MS, () => void this.#record(null))
    this.#watchReaders()
  }

  /** @throws ErrandError what `spawn` throws; then nothing runs. */
  static async start(order: Order, prepared: Pick<Bounded, 'spawn'>, on: JobOn): Promise<Job> {
    return new Job(order, on, await prepared.spawn())
  }

  get isAttached(): boolean {
    return this.#isAttached
  }

  get startTime(): number {
    return this.run.startTime
  }

  join(reader: Reader): void {
    for (const other of this.#readers) this.#dropIfStuck(other)
    this.#readers.add(reader)
    this.#grace?.()
    this.#grace = undefined
  }

  /** Somebody comes for the output: it may be the same one whose link was cut, and a reader whom nobody reads must not hold it up. */
  #dropIfStuck(reader: Reader): void {
    const { position, drop } = reader
    if (drop === undefined) return
    this.on.clock.after(STUCK_MS, () => {
      if (this.#readers.has(reader) && reader.position === position && position < this.spool.end) drop()
    })
  }

  leave(reader: Reader): void {
    this.#position = reader.position
    this.#readers.delete(reader)
    this.#watchReaders()
    this.advanced() // it may have been the one that all waited for
  }

  /** A reader has got further. */
  advanced(): void {
    if (this.#waiting.length > 0 && !this.#isTooFarAhead()) for (const go of this.#waiting.splice(0)) go()
  }

  onProgress(tell: (line: Uint8Array) => void): () => void {
    this.#progressed.add(tell)
    if (this.#lastProgress !== undefined) tell(this.#lastProgress)
    return () => this.#progressed.delete(tell)
  }

  /** Its caller leaves it to itself: from now on its spool's policy rules. */
  detach(policy: Order['spool']['policy']): void {
    if (!this.#isAttached) return
    this.#isAttached = false
    this.#policy = policy
    this.#grace?.()
    this.#grace = undefined
    this.advanced()
  }

  pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#tree.signalAll('SIGSTOP')
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#tree.signalAll('SIGCONT')
  }

  stop(why: Ended['why']): void {
    if (why === 'lost' || why === 'limit') this.#isUnbound = true
    this.run.stop(why)
    this.advanced()
  }

  /** From now on nothing waits for a reader: there is hardly anything left to print, and the end must not depend on one. */
  #unbind(): void {
    this.#isUnbound = true
    this.advanced()
  }

  #take(fd: 1 | 2, chunk: Uint8Array): Promise<void> | undefined {
    const disk = this.spool.append(fd, chunk)
    this.on.printed(chunk.length)
    if (this.#isTooFull()) {
      this.#isOverfull = true
      this.stop('limit')
    }
    if (!this.#isTooFarAhead()) return disk
    const turn = new Promise<void>((resolve) => this.#waiting.push(resolve))
    return disk === undefined ? turn : Promise.all([disk, turn]).then(() => undefined)
  }

  #isTooFarAhead(): boolean {
    if (this.#isUnbound) return false
    const ahead = this.spool.end - this.#slowest()
    if (this.#isAttached) return ahead > AHEAD_BYTES
    return this.#policy === 'block' && ahead >= this.order.spool.maxBytes
  }

  #isTooFull(): boolean {
    return !this.#isAttached && this.#policy === 'kill' && !this.#isUnbound && this.spool.end > this.order.spool.maxBytes
  }

  #slowest(): number {
    if (this.#readers.size === 0) return this.#position
    return Math.min(...[...this.#readers].map(({ position }) => position))
  }

  /** Who waits for an attached command and went away may come back for a while. */
  #watchReaders(): void {
    if (!this.#isAttached || this.#readers.size > 0) return
    this.#grace ??= this.on.clock.after(this.on.graceMs, () => this.stop('lost'))
  }

  #report(line: Uint8Array): void {
    this.#lastProgress = line
    for (const tell of this.#progressed) tell(line)
  }

  #finish(ended: Ended): Ended {
    this.#grace?.()
    this.#noRecordYet()
    const told = this.#held?.told(ended) ?? ended
    this.#held?.release(this.on.clock)
    return this.#isOverfull && ended.why === 'limit' ? { ...ended, message: `stopped: its spool of ${this.order.spool.maxBytes} bytes was full` } : told
  }

  /** What an attached command printed was read before it was dropped. */
  async #save(ended: Ended): Promise<Ended> {
    await this.spool.close()
    const { kept } = this.spool
    const whole = this.#isAttached || kept === 0 ? ended : { ...ended, droppedBytes: kept }
    await this.#record(whole)
    return whole
  }

  #record(ended: Ended | null): Promise<void> {
    const kept = ended === null ? {} : { kept: { from: this.spool.kept, to: this.spool.end } }
    const { invocation, proofs } = this.order.warrant
    const record: JobRecord = {
      ...{ v: 1, task: this.task, pid: this.pid, birth: birthOf(this.pid), boot: bootId(), startTime: this.run.startTime, ended, ...kept },
      ...{ invocation: base64(invocation), proofs: proofs.map(base64) },
    }
    const path = join(this.#directory, RECORD_FILE)
    this.#saved = this.#saved.then(async () => {
      await writeFile(`${path}.new`, JSON.stringify(record), { mode: 0o600 })
      await rename(`${path}.new`, path)
    })
    // A full disk costs the record: the task then counts as lost once its host is gone, never as a success.
    this.#saved = this.#saved.catch(() => undefined)
    return this.#saved
  }
}
