/** A queue in which callers take turns: the first request of each, then the second of each, and within one caller in the order of asking. Pure. */

export class Turns<T> {
  /** In the order of their next turn; nobody without a request is in it. */
  readonly #callers = new Map<string, T[]>()
  #size = 0

  get size(): number {
    return this.#size
  }

  sizeOf(caller: string): number {
    return this.#callers.get(caller)?.length ?? 0
  }

  add(caller: string, item: T): void {
    const own = this.#callers.get(caller)
    if (own === undefined) this.#callers.set(caller, [item])
    else own.push(item)
    this.#size++
  }

  remove(caller: string, item: T): void {
    const own = this.#callers.get(caller) ?? []
    const at = own.indexOf(item)
    if (at < 0) return
    own.splice(at, 1)
    this.#size--
    if (own.length === 0) this.#callers.delete(caller)
  }

  /** Takes out whose turn it is; who may not have it now keeps its turn. */
  next(may: (caller: string) => boolean): T | undefined {
    for (const [caller, own] of this.#callers) {
      if (!may(caller)) continue
      const item = own.shift()
      this.#callers.delete(caller)
      if (own.length > 0) this.#callers.set(caller, own) // behind all others
      this.#size--
      return item
    }
    return undefined
  }

  /** As they would come if everybody may. */
  *inOrder(): Generator<T> {
    let asking = [...this.#callers.values()]
    for (let round = 0; asking.length > 0; round++) {
      for (const own of asking) {
        const item = own[round]
        if (item !== undefined) yield item
      }
      asking = asking.filter((own) => own.length > round + 1)
    }
  }

  /** What the number of one more request of this caller would be, from 1. */
  placeFor(caller: string): number {
    const round = this.sizeOf(caller)
    let before = 0
    let isPassed = false
    for (const [one, own] of this.#callers) {
      isPassed ||= one === caller
      before += Math.min(own.length, isPassed && one !== caller ? round : round + 1)
    }
    return before + 1
  }
}
