/**
 * Who waits for an attached command. When nobody does, it is ended, but not at once: a link that is cut comes back, and who asked comes
 * back with it. One that left by itself, or whose node died, will hardly.
 */
import type { Clock } from '../base/clock.ts'

/** The link fell silent: as long as a cut may last, and the time to come back. */
export const AWAY_MS = 120_000
/** The other side ended the connection. Longer than it takes to come back when it was the network that did. */
export const LEFT_MS = 5_000

export type Absence = 'away' | 'left'

export class Attendance {
  #present = 0
  #cancel: (() => void) | undefined
  #isOver = false

  /** @param on.end called once, when nobody has come in time. */
  constructor(private readonly on: { readonly clock: Clock; readonly end: () => void }) {}

  /** Somebody is there. The returned function says that they are not any more, and how they went. */
  come(): (absence: Absence) => void {
    this.#present++
    this.#cancel?.()
    let isGone = false
    return (absence) => {
      if (isGone) return
      isGone = true
      this.#present--
      this.expect(absence)
    }
  }

  /** Nobody may be there: from now on somebody is waited for. */
  expect(absence: Absence): void {
    if (this.#present > 0 || this.#isOver) return
    this.#cancel?.()
    this.#cancel = this.on.clock.after(absence === 'away' ? AWAY_MS : LEFT_MS, this.on.end)
  }

  /** The command has ended: nobody is waited for any more. */
  over(): void {
    this.#isOver = true
    this.#cancel?.()
  }
}
