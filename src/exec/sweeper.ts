/** Ends what left the group of a command that is over. Looks once for all that ended lately: reading /proc for each would cost more than a small command. */
import type { Clock } from '../base/clock.ts'
import { STOP_GRACE_MS } from './run.ts'
import { marked } from './tree.ts'

const LOOK_AFTER_MS = 1_000

export class Sweeper {
  readonly #ended = new Map<string, (task: string) => boolean>()
  #isDue = false

  constructor(private readonly clock: Clock) {}

  /** @param runs whether a task of this id runs (again). */
  ended(task: string, runs: (task: string) => boolean): void {
    this.#ended.set(task, runs)
    if (this.#isDue) return
    this.#isDue = true
    this.clock.after(LOOK_AFTER_MS, () => this.#sweep())
  }

  #sweep(): void {
    this.#isDue = false
    const over = new Set([...this.#ended].filter(([task, runs]) => !runs(task)).map(([task]) => task))
    this.#ended.clear()
    const left = marked().filter(({ task }) => over.has(task))
    for (const { pid } of left) send(pid, 'SIGTERM')
    if (left.length > 0) this.clock.after(STOP_GRACE_MS, () => this.#killLeft(over))
  }

  #killLeft(over: ReadonlySet<string>): void {
    for (const { pid, task } of marked()) if (over.has(task)) send(pid, 'SIGKILL')
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // Gone by itself.
  }
}
