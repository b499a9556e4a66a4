/** Reads tasks back from the store: single ones, pages of those that ended, their histories. Holds nothing in memory and writes nothing. */
import type { TaskState } from '../../protocols/task/messages.ts'
import { BadBytes } from '../../protocols/wire.ts'
import { ErrandError } from '../base/errors.ts'
import { backwards, decodeEnded, decodeEvent, decodeSubmission, ENDS, eventKey, LAST, standingKey, submissionKey, type TaskStore } from './journal.ts'
import { isOver, moved, submitted, type Task, type TaskEvent, type TaskId } from './machine.ts'

const PAGE = 1_024
/** Fewer characters of an id name too many tasks by chance. */
const MIN_PART_CHARS = 6
const MAX_CANDIDATES = 8

/** A task that ended, and the bytes of its submission. */
export interface Stored {
  readonly task: Task
  readonly bytes: number
}

/** A task read back from its events, and which of them are reports that give way to newer ones. */
export interface Refolded {
  readonly task: Task
  readonly events: readonly TaskEvent[]
}

export class Archive {
  constructor(private readonly store: TaskStore) {}

  /** A task that ended; undefined for one that is unknown or lives. @throws TASK_DAMAGED */
  async ended(id: TaskId): Promise<Stored | undefined> {
    const [found] = await this.allEnded([id])
    if (found === 'damaged') throw damaged(id, 'its records cannot be read')
    return found
  }

  /** The same for several at once, in their order. */
  async allEnded(ids: readonly TaskId[]): Promise<readonly (Stored | 'damaged' | undefined)[]> {
    const values = await this.store.getMany(ids.flatMap((id) => [submissionKey(id), standingKey(id)]))
    return ids.map((_, i) => storedOf(values[2 * i], values[2 * i + 1]))
  }

  /** A task from its events, ended or not. @throws TASK_DAMAGED */
  async refold(id: TaskId): Promise<Refolded> {
    const submission = await this.store.get(submissionKey(id))
    if (submission === undefined) throw damaged(id, 'nothing says what was submitted')
    const events: TaskEvent[] = []
    for await (const event of this.events(id, { after: 1, upTo: Number.MAX_SAFE_INTEGER })) events.push(event)
    return readable(id, () => ({ task: events.reduce(moved, submitted(decodeSubmission(submission))), events }))
  }

  /** Events with `after < seq <= upTo`, in order. @throws TASK_DAMAGED */
  async *events(id: TaskId, { after, upTo }: { readonly after: number; readonly upTo: number }): AsyncGenerator<TaskEvent> {
    let gte = eventKey(id, after + 1)
    for (;;) {
      const page = await this.store.page({ gte, lt: `e/${id}/${LAST}`, limit: PAGE })
      for (const [key, bytes] of page) {
        const event = readable(id, () => decodeEvent(bytes))
        if (eventKey(id, event.seq) !== key) throw damaged(id, `event ${event.seq} lies in the place of another`)
        if (event.seq > upTo) return
        yield event
      }
      const last = page.at(-1)
      if (last === undefined || page.length < PAGE) return
      gte = `${last[0]}\0`
    }
  }

  /** Ids of those that have not ended. */
  async live(): Promise<readonly TaskId[]> {
    const found: TaskId[] = []
    for await (const key of this.#keys('l/')) found.push(key.slice(2) as TaskId)
    return found
  }

  async countEnded(): Promise<number> {
    let count = 0
    for await (const key of this.#keys('o/')) count += key.length > 0 ? 1 : 0
    return count
  }

  /** Places of those that ended so, newest first. @param before only places before this one. */
  async places(state: keyof typeof ENDS, { before, limit }: { readonly before: string | undefined; readonly limit: number }): Promise<readonly string[]> {
    const prefix = `o/${ENDS[state]}/`
    const page = await this.store.page({ gte: prefix, lt: prefix + (before ?? LAST), limit, reverse: true })
    return page.map(([key]) => key.slice(prefix.length))
  }

  /**
   * The one task whose id is this, begins with it or ends with it.
   * @throws BAD_TASK for what is no part of an id, NO_SUCH_TASK, AMBIGUOUS_TASK
   */
  async resolve(text: string): Promise<TaskId> {
    const part = text.toLowerCase()
    if (!/^[0-9a-f-]{6,36}$/.test(part)) {
      const hint = 'errand ps shows the ids of tasks; the last eight characters of one are enough'
      throw new ErrandError('BAD_TASK', `"${text.slice(0, 64)}" is no task id and no part of one: at least ${MIN_PART_CHARS} characters are needed`, { hint })
    }
    const found = await this.#candidates(part)
    const [id] = found
    if (id === undefined) throw new ErrandError('NO_SUCH_TASK', `no task with the id ${text} is known here`, { hint: 'errand ps shows the tasks' })
    if (found.length === 1) return id
    throw new ErrandError('AMBIGUOUS_TASK', `${text} may be ${found.length === MAX_CANDIDATES ? 'many tasks' : `one of ${found.length} tasks`}`, {
      hint: 'say more characters of the id; its end tells tasks apart sooner than its beginning',
      fields: { candidates: found },
    })
  }

  async #candidates(part: string): Promise<readonly TaskId[]> {
    if (part.length === 36) return (await this.store.get(submissionKey(part))) === undefined ? [] : [part as TaskId]
    const [limit, back] = [MAX_CANDIDATES, backwards(part)]
    const [starts, ends] = await Promise.all([
      this.store.page({ gte: submissionKey(part), lt: submissionKey(part) + LAST, limit }),
      this.store.page({ gte: `r/${back}`, lt: `r/${back}${LAST}`, limit }),
    ])
    const ids = [...starts.map(([key]) => key.slice(2)), ...ends.map(([key]) => backwards(key.slice(2)))]
    return [...new Set(ids)].slice(0, limit) as TaskId[]
  }

  async *#keys(prefix: string): AsyncGenerator<string> {
    let gte = prefix
    for (;;) {
      const page = await this.store.page({ gte, lt: prefix + LAST, limit: 4 * PAGE })
      for (const [key] of page) yield key
      const last = page.at(-1)
      if (last === undefined || page.length < 4 * PAGE) return
      gte = `${last[0]}\0`
    }
  }
}

function storedOf(submission: Uint8Array | undefined, standing: Uint8Array | undefined): Stored | 'damaged' | undefined {
  if (submission === undefined || standing === undefined) return undefined
  try {
    return { task: decodeEnded(submission, standing), bytes: submission.length }
  } catch (thrown) {
    if (thrown instanceof BadBytes) return 'damaged'
    throw thrown
  }
}

/** What the disk gave back is checked as if it came from a stranger. */
function readable<T>(id: TaskId, read: () => T): T {
  try {
    return read()
  } catch (thrown) {
    if (thrown instanceof BadBytes || thrown instanceof RangeError) throw damaged(id, thrown.message)
    throw thrown
  }
}

function damaged(id: TaskId, what: string): ErrandError {
  return new ErrandError('TASK_DAMAGED', `task ${id} in the database was changed or damaged: ${what}`, {
    hint: 'the log still says what happened: errand audit',
  })
}

export const ENDED_STATES = (Object.keys(ENDS) as (keyof typeof ENDS)[]).filter((state: TaskState) => isOver(state))
