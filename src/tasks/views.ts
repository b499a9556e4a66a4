/** Lists of tasks and the state that a watcher begins with, out of what is in memory and what is on the disk. Pages; never all. */
import type { TaskState } from '../../protocols/task/messages.ts'
import { ErrandError } from '../base/errors.ts'
import { type Archive, ENDED_STATES } from './archive.ts'
import type { Changes, WatchItem } from './changes.ts'
import { placeOf } from './journal.ts'
import type { Known } from './known.ts'
import { isOver, type Task, type TaskId } from './machine.ts'

/** A list answers with so many when nobody says how many. */
const LIST_DEFAULT = 50
const MAX_LIST = 1_000
/** Ended tasks in the state that a watcher begins with. */
const WATCH_ENDED = 50

export interface ListQuery {
  readonly states?: readonly TaskState[]
  /** 50 unless told; 1,000 at most. */
  readonly limit?: number
  /** `next` of the page before. */
  readonly before?: string
}

/** Newest submission first. */
export interface TaskPage {
  readonly tasks: readonly Task[]
  /** Where the next page begins; null behind the last one. */
  readonly next: string | null
  /** Tasks that stand here and whose records cannot be read any more. */
  readonly damaged: readonly TaskId[]
}

interface On {
  readonly known: Known
  readonly archive: Archive
}

/** @throws BAD_CURSOR */
export async function listTasks(on: On, q: ListQuery): Promise<TaskPage> {
  const { before } = q
  if (before !== undefined && !/^[0-9a-f]{14}\/[0-9a-f-]{36}$/.test(before)) throw new ErrandError('BAD_CURSOR', 'this is no place in the list of tasks')
  const limit = Math.max(1, Math.min(q.limit ?? LIST_DEFAULT, MAX_LIST))
  const places = await placesOf(on, q, limit + 1)
  const shown = places.slice(0, limit)
  const { tasks, damaged } = await tasksAt(on, shown, before === undefined)
  return { tasks: tasks.filter(({ state }) => q.states?.includes(state) ?? true), next: places.length > limit ? (shown.at(-1) ?? null) : null, damaged }
}

async function placesOf({ known, archive }: On, { states, before }: ListQuery, limit: number): Promise<readonly string[]> {
  const wanted = (state: TaskState): boolean => states?.includes(state) ?? true
  // What lives first: a task that ends while the disk is read stands in both, and in neither the other way round.
  const live = [...known.live.values()].filter(({ task }) => wanted(task.state)).map(({ task }) => placeOf(task))
  const pages = await Promise.all(ENDED_STATES.filter(wanted).map((state) => archive.places(state, { before, limit })))
  const all = new Set([...pages.flat(), ...live.filter((place) => before === undefined || place < before)])
  return [...all].sort().reverse().slice(0, limit)
}

/** @param again whether the same will be asked for soon: only the newest are. */
async function tasksAt(
  { known, archive }: On,
  places: readonly string[],
  again: boolean,
): Promise<{ readonly tasks: readonly Task[]; readonly damaged: readonly TaskId[] }> {
  const ids = places.map((place) => place.slice(place.indexOf('/') + 1) as TaskId)
  const held = new Map(ids.map((id) => [id, known.get(id)]))
  const missing = ids.filter((id) => held.get(id) === undefined)
  const read = await archive.allEnded(missing)
  const damaged = missing.filter((_, i) => read[i] === 'damaged')
  for (const found of read) {
    if (typeof found !== 'object') continue
    held.set(found.task.id, found.task)
    if (again) known.remember(found.task, found.bytes)
  }
  return { tasks: ids.flatMap((id) => held.get(id) ?? []), damaged }
}

/** Everything that lives and what ended lately, with the cursor that it stands at: nothing between the two is missing or told twice. */
export async function stateNow(on: On, changes: Changes): Promise<WatchItem & { t: 'state' }> {
  for (;;) {
    const began = changes.cursor
    const { tasks } = await listTasks(on, { states: ENDED_STATES, limit: WATCH_ENDED })
    if (!changes.holds(began)) continue
    const found = new Map(tasks.map((task) => [task.id, task]))
    // What ended while the disk was read may be in neither.
    for (let told = changes.after(began); told !== undefined; told = changes.after(told.cursor)) if (isOver(told.task.state)) found.set(told.task.id, told.task)
    for (const { task } of on.known.live.values()) found.set(task.id, task)
    return { t: 'state', cursor: changes.cursor, tasks: [...found.values()].sort((a, b) => (placeOf(a) < placeOf(b) ? 1 : -1)) }
  }
}
