/**
 * One task in the host: its process, its spool, and who reads along. Output goes into the spool first; readers pull from there.
 * What nobody reads blocks an attached command; a detached one meets its spool's policy.
 */
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Ended } from '../../protocols/exec/messages.ts'
import { HOST, type Order } from '../../protocols/host/messages.ts'
import type { Clock } from '../base/clock.ts'
import { readProgress } from './progress.ts'
import { type JobRecord, RECORD_FILE, SPOOL_DIR } from './records.ts'
import { Run } from './run.ts'
import type { Prepared, Spawned } from './spawn.ts'
import { Spool } from './spool.ts'
import { birthOf, bootId, Tree } from './tree.ts'

/** How far an attached command may be ahead of its slowest reader. */
const AHEAD_BYTES = 1 << 19

/** Somebody who reads the output. */
export interface Reader {
  /** Everything before this offset has been taken. */
  readonly position: number
}

export class Job {
  readonly task: string
  readonly isAttached: boolean
  readonly spool: Spool
  readonly ended: Promise<Ended>
  /** Resolves when the end is in the files too. */
  readonly saved: Promise<void>
  readonly run: Run
  readonly pid: number
  readonly #tree: Tree
  readonly #directory: string
  readonly #readers = new Set<Reader>()
  readonly #progressed = new Set<(line: Uint8Array) => void>()
  #lastProgress: Uint8Array | undefined
  #waiting: (() => void)[] = []
  #isUnbound = false
  /** How far the slowest reader had come when the last one left. */
  #position = 0
  #grace: (() => void) | undefined
  #isPaused = false
  #saved: Promise<void> = Promise.resolve()
  readonly #birth: Pick<JobRecord, 'birth' | 'boot'>

  private constructor(
    private readonly order: Order,
    private readonly on: { readonly clock: Clock; readonly jobs: string },
    { pid, child, ends, progress }: Spawned,
  ) {
    const { task, spec, attached, spool } = order
    this.task = task
    this.isAttached = attached
    this.pid = pid
    this.#directory = join(on.jobs, task)
    this.spool = new Spool(join(this.#directory, SPOOL_DIR), spool.maxBytes)
    this.#tree = new Tree(pid, task)
    this.#birth = { birth: birthOf(pid), boot: bootId() }
    this.run = new Run({ spec, ends, take: (fd, chunk) => this.#take(fd, chunk), tree: this.#tree, clock: on.clock })
    child.once('exit', (code, signal) => this.run.exited(code, signal))
    if (progress !== undefined) readProgress(progress, on.clock, (line) => this.#report(line))
    this.ended = this.run.ended.then((ended) => this.#finish(ended))
    this.saved = this.ended.then(async (ended) => {
      await this.spool.close()
      await this.#record(ended)
    })
    void this.#record(null)
    this.#watchReaders()
  }

  /** @throws ErrandError what `spawn` throws; then nothing runs. */
  static async start(order: Order, prepared: Prepared, on: { readonly clock: Clock; readonly jobs: string }): Promise<Job> {
    return new Job(order, on, await prepared.spawn())
  }

  get startTime(): number {
    return this.run.startTime
  }

  join(reader: Reader): void {
    this.#readers.add(reader)
    this.#grace?.()
    this.#grace = undefined
  }

  leave(reader: Reader): void {
    this.#position = reader.position
    this.#readers.delete(reader)
    this.#watchReaders()
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

  #take(fd: 1 | 2, chunk: Uint8Array): Promise<void> | undefined {
    const disk = this.spool.append(fd, chunk)
    if (this.#isTooFull()) this.stop('limit')
    if (!this.#isTooFarAhead()) return disk
    const turn = new Promise<void>((resolve) => this.#waiting.push(resolve))
    return disk === undefined ? turn : Promise.all([disk, turn]).then(() => undefined)
  }

  #isTooFarAhead(): boolean {
    if (this.#isUnbound) return false
    const ahead = this.spool.end - this.#slowest()
    if (this.isAttached) return ahead > AHEAD_BYTES
    return this.order.spool.policy === 'block' && ahead >= this.order.spool.maxBytes
  }

  #isTooFull(): boolean {
    const { policy, maxBytes } = this.order.spool
    return !this.isAttached && policy === 'kill' && !this.#isUnbound && this.spool.end > maxBytes
  }

  #slowest(): number {
    if (this.#readers.size === 0) return this.#position
    return Math.min(...[...this.#readers].map(({ position }) => position))
  }

  /** Who waits for an attached command and went away may come back for a while. */
  #watchReaders(): void {
    if (!this.isAttached || this.#readers.size > 0) return
    this.#grace ??= this.on.clock.after(HOST.graceMs, () => this.stop('lost'))
  }

  #report(line: Uint8Array): void {
    this.#lastProgress = line
    for (const tell of this.#progressed) tell(line)
  }

  #finish(ended: Ended): Ended {
    this.#grace?.()
    return this.spool.start > 0 ? { ...ended, droppedBytes: this.spool.start } : ended
  }

  #record(ended: Ended | null): Promise<void> {
    const kept = ended === null ? {} : { kept: { from: this.spool.start, to: this.spool.end } }
    const record: JobRecord = { v: 1, task: this.task, pid: this.pid, ...this.#birth, startTime: this.run.startTime, ended, ...kept }
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
