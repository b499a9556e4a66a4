/**
 * What happened lately, for everybody who watches. One ring that all readers share: a reader is a position in it and costs no memory;
 * one that the ring has left behind is told so and begins anew. Tells only what it is given, and it is given only what is durable.
 */
import type { Task, TaskEvent } from './machine.ts'

/** Changes kept for readers that are behind. */
const KEPT_CHANGES = 1_024
/** And what their tasks may weigh: submissions carry prompts and contexts. */
const KEPT_CHANGES_BYTES = 8 << 20
/** Cursors of one start of the daemon; the next start counts from the next multiple, so that no cursor is ever used twice. */
const CURSORS_PER_EPOCH = 2 ** 36

export interface Told {
  readonly cursor: number
  readonly event: TaskEvent
  /** After the event. */
  readonly task: Task
}

export class Changes {
  readonly #ring: (Told & { readonly bytes: number })[] = []
  #bytes = 0
  #cursor: number
  #closed = false
  readonly #waiting = new Set<() => void>()

  /** @param epoch one more than at any start before. */
  constructor(epoch: number) {
    this.#cursor = epoch * CURSORS_PER_EPOCH
  }

  /** Of the newest change. */
  get cursor(): number {
    return this.#cursor
  }

  get closed(): boolean {
    return this.#closed
  }

  tell(event: TaskEvent, task: Task, bytes: number): void {
    this.#cursor++
    this.#ring.push({ cursor: this.#cursor, event, task, bytes })
    this.#bytes += bytes
    while (this.#ring.length > KEPT_CHANGES || this.#bytes > KEPT_CHANGES_BYTES) this.#bytes -= this.#ring.shift()?.bytes ?? 0
    this.#wake()
  }

  /** Whether everything after this cursor can still be told one by one. */
  holds(cursor: number): boolean {
    return Number.isInteger(cursor) && cursor <= this.#cursor && cursor >= this.#cursor - this.#ring.length
  }

  /** The change after this cursor. */
  after(cursor: number): Told | undefined {
    return this.#ring[cursor - (this.#cursor - this.#ring.length)]
  }

  /** Resolves with the next change, when the signal aborts, or when this is closed. */
  more(signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#closed) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#waiting.add(done)
      signal.addEventListener('abort', done, { once: true })
    })
  }

  /** Ends every reader. */
  close(): void {
    this.#closed = true
    this.#wake()
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done()
  }
}

export type WatchItem =
  /** First, and after a gap: everything that lives, and what ended lately. */
  | { readonly t: 'state'; readonly cursor: number; readonly tasks: readonly Task[] }
  | ({ readonly t: 'changed' } & Told)
  /** Changes with `from < cursor <= to` are not told one by one; the state that follows has them in it. */
  | { readonly t: 'gap'; readonly from: number; readonly to: number }

export interface WatchOptions {
  /** Of the last item that was seen; without it the state comes first. */
  readonly cursor?: number
  readonly signal: AbortSignal
}

/** Follows the changes from a cursor on. @param state must have everything up to its cursor in it, and nothing after. */
export async function* follow(changes: Changes, state: () => Promise<WatchItem & { t: 'state' }>, o: WatchOptions): AsyncGenerator<WatchItem> {
  let at = o.cursor
  while (!o.signal.aborted && !changes.closed) {
    if (at === undefined || !changes.holds(at)) {
      if (at !== undefined) yield { t: 'gap', from: at, to: changes.cursor }
      const fresh = await state()
      at = fresh.cursor
      yield fresh
      continue
    }
    const next = changes.after(at)
    if (next === undefined) {
      await changes.more(o.signal)
      continue
    }
    at = next.cursor
    yield { t: 'changed', cursor: next.cursor, event: next.event, task: next.task }
  }
}
