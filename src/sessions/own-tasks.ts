/** The tasks of one session, in the order in which they were submitted: what it can see, and what its short words for a task can mean. In memory. */
import { ErrandError } from '../base/errors.ts'

/** Ids of one session, at 100 bytes each. */
const MAX_TASKS = 50_000
/** Fewer characters of an id name too many tasks by chance. */
const PART = /^[0-9a-f-]{6,36}$/

export class OwnTasks {
  readonly #ids = new Set<string>()

  get size(): number {
    return this.#ids.size
  }

  /** @throws TOO_BUSY */
  add(id: string): void {
    if (this.#ids.size >= MAX_TASKS && !this.#ids.has(id))
      throw new ErrandError('TOO_BUSY', `a session has ${MAX_TASKS} tasks at most`, { hint: 'open another one: errand session open' })
    this.#ids.add(id)
  }

  /** Newest first. */
  newest(limit: number): readonly string[] {
    return [...this.#ids].slice(-limit).reverse()
  }

  /**
   * The task that a whole id, its beginning or its end stands for. Tasks of others are not looked at, so no answer tells of them.
   * @throws NO_SUCH_TASK, AMBIGUOUS_TASK
   */
  resolve(text: string): string {
    const part = text.toLowerCase()
    if (this.#ids.has(part)) return part
    const found = PART.test(part) ? [...this.#ids].filter((id) => id.startsWith(part) || id.endsWith(part)) : []
    const [only] = found
    if (only === undefined) throw noSuchTask(text)
    if (found.length > 1) throw new ErrandError('AMBIGUOUS_TASK', `${found.length} tasks of this session fit "${part}"`, { hint: 'give more characters' })
    return only
  }
}

/** The same words for a task that is not there and for one that is somebody else's. */
export function noSuchTask(text: string): ErrandError {
  return new ErrandError('NO_SUCH_TASK', `this session has no task ${text.slice(0, 64)}`, { hint: 'errand ps shows those it has' })
}
