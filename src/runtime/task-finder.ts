/**
 * Which device answers for a task: what is written here says it, else the logs of the mesh, else the devices at hand that this one may ask.
 * Shows no task itself.
 */
import type { Answer, Ask } from '../../protocols/call/messages.ts'
import { query } from '../audit/query.ts'
import type { LogReader } from '../audit/segments.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { type Did, isDid } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { TaskBook } from '../tasks/book.ts'
import type { Task, TaskId } from '../tasks/machine.ts'
import type { FarSide } from './far.ts'

const PART = /^[0-9a-f-]{6,36}$/
const WHOLE_LENGTH = 36
const MAX_ASKED = 32
/** Devices that do not answer hold nobody up for longer. */
const ASK_MS = 3_000

/** Asks the runtime of another device. */
export interface CallRoute {
  call(device: Did, ask: (far: { challenge: Uint8Array; synced: Promise<void> }) => Promise<Ask>, o: { signal: AbortSignal }): Promise<Answer>
}

export interface TaskFinderOn {
  readonly self: Did
  readonly book: TaskBook
  readonly directory: Directory
  readonly side: FarSide
  readonly calls: CallRoute
  readonly logs: LogReader
  /** Asks the connected devices for the news of their logs; bounded. */
  readonly refreshLogs: () => Promise<void>
  readonly isOnline: (did: Did) => boolean
}

export interface Found {
  readonly id: TaskId
  readonly device: Did
  /** What is known of it here. */
  readonly known: Task | undefined
}

export class TaskFinder {
  constructor(private readonly on: TaskFinderOn) {}

  /** @param text a whole id, or 6 characters at least of its beginning or end. @throws NO_SUCH_TASK, AMBIGUOUS_TASK */
  async find(text: string): Promise<Found> {
    const asked = text.toLowerCase()
    const found = (await this.#here(asked)) ?? (PART.test(asked) ? await this.#elsewhere(asked) : undefined)
    if (found === undefined) throw noSuchTask(text)
    return found
  }

  async #here(text: string): Promise<Found | undefined> {
    try {
      const id = await this.on.book.resolve(text)
      const known = await this.on.book.get(id)
      return known === undefined ? undefined : { id, device: known.device as Did, known }
    } catch (thrown) {
      if (asErrand(thrown).code !== 'NO_SUCH_TASK') throw thrown
      return undefined
    }
  }

  async #elsewhere(text: string): Promise<Found | undefined> {
    const logged = await this.#inLogs(text)
    if (logged !== undefined) return logged
    const asking = this.#onDevices(text)
    asking.catch(() => undefined) // what the logs say counts first
    await this.on.refreshLogs()
    return (await this.#inLogs(text)) ?? (await asking)
  }

  async #inLogs(text: string): Promise<Found | undefined> {
    const found = new Map<string, Did>()
    for await (const one of query(this.on.logs, {})) {
      if (one.t === 'problem' || one.record.task === null) continue
      const { task, action, subject, device } = one.record
      if (!task.startsWith(text) && !task.endsWith(text)) continue
      if (action === 'exec.start') found.set(task, device as Did)
      else if (action === 'task.submit' && subject !== null && isDid(subject) && !found.has(task)) found.set(task, subject)
    }
    return onlyOne(text, found)
  }

  /** Only those that are likely to answer are asked: a question without a right would be written down as a refusal. */
  async #onDevices(text: string): Promise<Found | undefined> {
    const { directory, self, isOnline, side } = this.on
    const task = text.length === WHOLE_LENGTH ? text : '' // part of an id is looked for in what a device lists
    const others = directory.members().map(({ device }) => device as Did)
    const askable = others.filter((device) => device !== self && isOnline(device) && side.may(device, '/task/read', { task }))
    const answers = await Promise.all(askable.slice(0, MAX_ASKED).map((device) => this.#ask(device, task)))
    const found = new Map<string, Did>()
    for (const { id, device } of answers.flat()) if (id.startsWith(text) || id.endsWith(text)) found.set(id, device as Did)
    return onlyOne(text, found)
  }

  async #ask(device: Did, task: string): Promise<Answer['tasks']> {
    const { calls, side } = this.on
    const question = '/task/read' as const
    const ask = async (far: { challenge: Uint8Array; synced: Promise<void> }): Promise<Ask> => ({
      ...{ question, task, ...(await side.sign(device, question, { task }, far)) },
    })
    const { tasks } = await calls.call(device, ask, { signal: AbortSignal.timeout(ASK_MS) }).catch(() => ({ tasks: [] }))
    return tasks
  }
}

function onlyOne(text: string, found: ReadonlyMap<string, Did>): Found | undefined {
  const [first, ...more] = found
  if (first === undefined) return undefined
  if (more.length > 0) throw new ErrandError('AMBIGUOUS_TASK', `${found.size} tasks begin or end with ${text}`, { hint: 'give more of the id' })
  return { id: first[0] as TaskId, device: first[1], known: undefined }
}

export function noSuchTask(text: string): ErrandError {
  return new ErrandError('NO_SUCH_TASK', `no task ${text.slice(0, 64)} is known here, or to the devices that answer this one`, {
    hint: 'errand ps --all shows those of this device; others take the right /task/read; give the whole id, or 6 characters of its beginning or end',
  })
}
