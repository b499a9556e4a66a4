/** Changes that may wait a moment for a commit of their task that happens anyway, so that a short command costs no sync of its own. */
import type { Clock } from '../base/clock.ts'
import { type Change, canHappen, isOver, moved, type Task, type TaskEvent, type TaskId } from './machine.ts'

export interface Deferred {
  change: Change
  readonly resolve: (task: Task | undefined) => void
  readonly reject: (error: unknown) => void
  readonly kept: Promise<Task | undefined>
}

/** Of these only the newest counts; older ones that nobody was told of give way. */
const REPORTS: readonly string[] = ['progressed', 'printed']

export class Later {
  readonly #waiting = new Map<TaskId, Deferred[]>()
  #due: number | undefined
  #cancel = (): void => {}

  constructor(
    private readonly clock: Clock,
    private readonly flush: () => Promise<void>,
  ) {}

  /** Resolves when the change is durable. */
  add(id: TaskId, change: Change, withinMs: number): Promise<Task | undefined> {
    const list = this.#waiting.get(id) ?? []
    this.#waiting.set(id, list)
    const older = REPORTS.includes(change.t) ? list.find((one) => one.change.t === change.t) : undefined
    if (older !== undefined) {
      older.change = change
      return older.kept
    }
    const deferred = deferredOf(change)
    list.push(deferred)
    this.#arm(withinMs)
    return deferred.kept
  }

  has(id: TaskId): boolean {
    return this.#waiting.has(id)
  }

  ids(): readonly TaskId[] {
    return [...this.#waiting.keys()]
  }

  take(id: TaskId): readonly Deferred[] {
    const list = this.#waiting.get(id) ?? []
    this.#waiting.delete(id)
    return list
  }

  /** For those whose commit was refused for a reason that is not theirs. */
  putBack(id: TaskId, list: readonly Deferred[], withinMs: number): void {
    if (list.length === 0) return
    this.#waiting.set(id, [...list, ...(this.#waiting.get(id) ?? [])])
    this.#arm(withinMs)
  }

  stop(): void {
    this.#cancel()
    this.#due = undefined
  }

  #arm(withinMs: number): void {
    const due = this.clock.monotonic() + withinMs
    if (this.#due !== undefined && this.#due <= due) return
    this.#cancel()
    this.#due = due
    this.#cancel = this.clock.after(withinMs, () => {
      this.#due = undefined
      void this.flush()
    })
  }
}

function deferredOf(change: Change): Deferred {
  let settle: Pick<Deferred, 'resolve' | 'reject'> = { resolve: () => undefined, reject: () => undefined }
  const kept = new Promise<Task | undefined>((resolve, reject) => (settle = { resolve, reject }))
  kept.catch(() => undefined) // whoever does not wait for it does not want to know
  return { change, kept, ...settle }
}

export interface Happened {
  readonly event: TaskEvent
  /** After the event. */
  readonly task: Task
}

/**
 * What changes make of a task, one by one, with its events numbered. What comes after the end is left out; so is what waited too long to make sense.
 * @throws RangeError for a move that the table does not have
 */
export function folded(from: Task, changes: readonly Change[], waiting: readonly Deferred[] = []): readonly Happened[] {
  const happened: Happened[] = []
  const late = waiting.map(({ change }) => change)
  for (const change of [...late, ...changes]) {
    const task = happened.at(-1)?.task ?? from
    if (isOver(task.state) || (late.includes(change) && !canHappen(task, change))) continue
    const event: TaskEvent = { ...change, seq: task.seq + 1 }
    happened.push({ event, task: moved(task, event) })
  }
  return happened
}
