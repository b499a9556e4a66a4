/** One thing at a time for each key, in the order of asking; different keys do not wait for each other. */
export class Turns<K> {
  readonly #last = new Map<K, Promise<void>>()

  /** Runs `act` when everything asked for this key before has settled; in this very turn when nothing is under way. */
  take<T>(key: K, act: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key)
    const run = before === undefined ? act() : before.then(act)
    const settled: Promise<void> = run.then(
      () => this.#done(key, settled),
      () => this.#done(key, settled),
    )
    this.#last.set(key, settled)
    return run
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values())
  }

  #done(key: K, settled: Promise<void>): void {
    if (this.#last.get(key) === settled) this.#last.delete(key)
  }
}
