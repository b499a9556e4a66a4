/** Ends what left the group of a command that is over. Looks once for all that ended lately: reading /proc for each would cost more than a small command. */
import { type Clock, pause } from '../base/clock.ts'
import { STOP_GRACE_MS } from './run.ts'
import { marked } from './tree.ts'

const LOOK_AFTER_MS = 1_000

export class Sweeper {
  readonly #ended = new Set<string>()
  #cancel: (() => void) | undefined
  #sweeping: Promise<void> = Promise.resolve()

  constructor(private readonly clock: Clock) {}

  ended(task: string): void {
    this.#ended.add(task)
    this.#cancel ??= this.clock.after(LOOK_AFTER_MS, () => void this.finish())
  }

  /** Looks at once; resolves when nothing is left of the commands that ended. */
  finish(): Promise<void> {
    this.#cancel?.()
    this.#cancel = undefined
    const over = new Set(this.#ended)
    this.#ended.clear()
    if (over.size > 0) this.#sweeping = Promise.all([this.#sweeping, this.#sweep(over)]).then(() => undefined)
    return this.#sweeping
  }

  async #sweep(over: ReadonlySet<string>): Promise<void> {
    if (signalLeft(over, 'SIGTERM') === 0) return
    await pause(this.clock, STOP_GRACE_MS)
    signalLeft(over, 'SIGKILL')
  }
}

/** @returns how many there were. */
function signalLeft(over: ReadonlySet<string>, signal: NodeJS.Signals): number {
  const left = marked().filter(({ task }) => over.has(task))
  for (const { pid } of left) {
    try {
      process.kill(pid, signal)
    } catch {
      // Gone by itself.
    }
  }
  return left.length
}
