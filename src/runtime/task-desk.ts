/** Everybody's tasks as this node's user sees them: asks the device that answers for one, and falls back on what is known here. */
import type { Answer, Ask, TaskQuestion } from '../../protocols/call/messages.ts'
import { type Attach, TAG } from '../../protocols/exec/messages.ts'
import type { AttachRequest, TaskView } from '../../protocols/local/messages.ts'
import { encode } from '../../protocols/wire.ts'
import { type Clock, pause } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { FrameLink } from '../base/frames.ts'
import type { Did } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import { noSuchTask as notInSession } from '../sessions/own-tasks.ts'
import type { HistoryItem, TaskBook } from '../tasks/book.ts'
import { isOver, type Task, type TaskId } from '../tasks/machine.ts'
import { carry } from './carried.ts'
import type { ExecCaller } from './exec-admission.ts'
import type { FarSide, Side } from './far.ts'
import { NearHearer, NO_NEWS } from './hearers.ts'
import { Line } from './line.ts'
import { mirrored } from './mirror.ts'
import type { Session } from './session.ts'
import { type CallRoute, type Found, noSuchTask, type TaskFinder } from './task-finder.ts'
import type { TaskSteward } from './task-steward.ts'

const REFRESH_MS = 2_000
const MAX_ASKED = 32
const WATCHED: ReadonlySet<number> = new Set([TAG.bulkTake, TAG.resumeAt])
const TYPED: ReadonlySet<number> = new Set([...WATCHED, TAG.stdin, TAG.stdinEnd, TAG.resize])

export interface TaskDeskOn {
  readonly self: Did
  readonly book: TaskBook
  readonly directory: Directory
  readonly steward: TaskSteward
  readonly side: FarSide
  readonly calls: CallRoute
  readonly finder: TaskFinder
  readonly clock: Clock
  readonly isOnline: (did: Did) => boolean
}

interface AttachOn {
  readonly at: { readonly task: string; readonly device: Did; readonly name: string }
  readonly signal: AbortSignal
  readonly side: Side
}

export class TaskDesk {
  constructor(private readonly on: TaskDeskOn) {}

  /** @param text a whole id, or 6 characters at least of its beginning or end. @throws NO_SUCH_TASK, AMBIGUOUS_TASK, DENIED */
  async get(text: string, o: { events?: boolean; scope?: Session | undefined } = {}): Promise<TaskView> {
    const found = await this.#find(text, o.scope)
    const answer = await this.#ask('/task/read', found, o).catch((thrown: unknown) => this.#fromHere(found, thrown))
    const [task] = answer.tasks
    if (task === undefined) throw noSuchTask(text)
    await this.#keep(task as Task)
    return { ...this.view(task as Task), ...(o.events === true ? { events: answer.events ?? [] } : {}) }
  }

  async steer(text: string, what: 'cancel' | 'pause' | 'resume', scope?: Session): Promise<TaskView> {
    const found = await this.#find(text, scope)
    const [task] = (await this.#ask(`/task/${what}`, found, { scope })).tasks
    if (task === undefined) throw noSuchTask(text)
    await this.#keep(task as Task)
    return this.view(task as Task)
  }

  /** Output of a task from an offset on, and its end, as frames on `near`. Never rejects. */
  async attach(request: AttachRequest, near: FrameLink, { signal, scope }: { signal: AbortSignal; scope?: Session | undefined }): Promise<void> {
    let at = { task: '', device: '' as Did, name: '' }
    try {
      const { id, device, known } = await this.#find(request.task, scope)
      if (request.input === true && known?.submittedBy !== this.on.self) throw notTheirs()
      at = { task: id, device, name: this.on.directory.nameOf(device) ?? device }
      await this.#attach(request, near, { at, signal, side: this.on.side.in(scope) })
    } catch (thrown) {
      await new NearHearer(near, at, { before: () => Promise.resolve(), ...NO_NEWS }).failed(asErrand(thrown))
    }
    await near.end().catch(() => undefined)
  }

  /** Newest last. Tasks that run elsewhere are asked for first, where their device is at hand. */
  async list(o: { all?: boolean; scope?: Session | undefined } = {}): Promise<TaskView[]> {
    await this.refresh()
    const { book } = this.on
    const limit = o.all === true ? 1_000 : 100
    const { scope } = o
    const tasks = scope === undefined ? (await book.list({ limit })).tasks : await this.#tasksOf(scope, limit)
    return [...tasks].reverse().map((task) => this.view(task))
  }

  /** Asks the devices at hand how those tasks stand that were submitted here and run there. Bounded in time. */
  async refresh(): Promise<void> {
    const { book, self, clock, isOnline } = this.on
    const elsewhere = book.live().filter(({ device }) => device !== self && isOnline(device as Did))
    const asked = elsewhere.slice(0, MAX_ASKED).map((task) => this.#refresh(task).catch(() => undefined))
    const enough = new AbortController()
    await Promise.race([Promise.all(asked), pause(clock, REFRESH_MS, enough.signal)])
    enough.abort()
  }

  view(task: Task): TaskView {
    const { directory } = this.on
    const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())
    const { id, state, device, command, submittedBy, createdAt, startedAt, endedAt, exitCode, why, attempts, message, signal, progress, place } = task
    const { description, input, prompt, agent, session, parent, metadata, context, idempotent, tty, detached, stdoutBytes, stderrBytes } = task
    const children = task.children?.map((child) => ({ task: child.task, device: directory.nameOf(child.device) ?? child.device }))
    const said = { description, input, prompt, agent, session, parent, children, metadata, context, idempotent, tty }
    return {
      ...{ task: id, state, device: directory.nameOf(device) ?? device, command: [...command] },
      ...{ submittedBy: directory.nameOf(submittedBy) ?? submittedBy, createdAt: new Date(createdAt).toISOString() },
      ...{ startedAt: iso(startedAt), endedAt: iso(endedAt), exitCode, signal, why, message, attempts, detached, progress, place, stdoutBytes, stderrBytes },
      receipt: null,
      ...(Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)) as Partial<TaskView>),
    }
  }

  async #tasksOf(scope: Session, limit: number): Promise<Task[]> {
    const tasks = await Promise.all(scope.tasks.newest(limit).map((id) => this.on.book.get(id as TaskId)))
    return tasks.filter((task) => task !== undefined).filter((task) => scope.has(task))
  }

  /** In a session only among its own: no other device is asked, and no log is read. @throws NO_SUCH_TASK, AMBIGUOUS_TASK */
  async #find(text: string, scope: Session | undefined): Promise<Found> {
    if (scope === undefined) return await this.on.finder.find(text)
    const id = scope.tasks.resolve(text) as TaskId
    const known = await this.on.book.get(id)
    if (known === undefined || !scope.has(known)) throw notInSession(text)
    return { id, device: known.device as Did, known }
  }

  async #attach({ from, follow, input }: AttachRequest, near: FrameLink, o: AttachOn): Promise<void> {
    const { at, signal, side } = o
    const { clock } = this.on
    const far = await side.open(at.device, signal)
    const hearer = new NearHearer(near, at, { before: () => Promise.resolve(), ...NO_NEWS })
    const start = from ?? 0
    const line = new Line(far, at, { side, clock, hearer, signal, from: start, forNow: follow === false })
    const gone = (): void => line.abort(new ErrandError('CANCELLED', 'whoever watched is gone'))
    signal.addEventListener('abort', gone, { once: true })
    const signed = await side.sign(at.device, '/task/logs', { task: at.task }, far)
    await line.open(TAG.attach, encode({ task: at.task, from: start, follow: follow ?? true, ...signed } satisfies Attach))
    void this.#passOn(near, line, input === true)
    const ended = await line.hear()
    if (ended !== undefined) await hearer.ended(ended)
  }

  /** From a watcher only what concerns the way of the output goes on; from who types, also that. Nobody leaves here what others wait for, or ends it. */
  async #passOn(near: FrameLink, line: Line, mayType: boolean): Promise<void> {
    const passes = mayType ? TYPED : WATCHED
    try {
      for (let frame = await near.read(); frame !== undefined; frame = await near.read()) {
        if (passes.has(frame.tag)) await carry(frame, line)
      }
    } catch {
      // Gone, or talking nonsense; its signal says the first.
    }
  }

  async #ask(question: TaskQuestion, { id, device }: Pick<Found, 'id' | 'device'>, o: { events?: boolean; scope?: Session | undefined } = {}): Promise<Answer> {
    const events = o.events === true ? { events: true } : {}
    if (device === this.on.self) {
      const caller: ExecCaller = { did: device, challenge: new Uint8Array(16), address: 'this device', synced: Promise.resolve() }
      return await this.on.steward.answer({ question, task: id, ...events, invocation: new Uint8Array(), proofs: [] }, caller)
    }
    const ask = async (far: { challenge: Uint8Array; synced: Promise<void> }): Promise<Ask> => ({
      question,
      task: id,
      ...events,
      ...(await this.on.side.in(o.scope).sign(device, question, { task: id }, far)),
    })
    return await this.on.calls.call(device, ask, { signal: AbortSignal.timeout(20_000) })
  }

  /** A device that cannot be asked: what is known here is better than nothing. */
  async #fromHere({ known }: Found, thrown: unknown): Promise<Answer> {
    const { code } = asErrand(thrown)
    if (known === undefined || !['NO_ROUTE', 'LINK_CLOSED', 'NO_SUCH_TASK', 'UNSUPPORTED'].includes(code)) throw thrown
    const events: HistoryItem[] = []
    for await (const event of this.on.book.history(known.id)) events.push(event)
    return { tasks: [known as Answer['tasks'][number]], events }
  }

  async #refresh(task: Task): Promise<void> {
    const [now] = (await this.#ask('/task/read', { id: task.id, device: task.device as Did })).tasks
    if (now !== undefined) await this.#keep(now as Task)
  }

  /** What its device says of a task that was submitted here. */
  async #keep(now: Task): Promise<void> {
    const { book, self } = this.on
    const known = await book.get(now.id)
    if (known === undefined || known.device === self || isOver(known.state)) return
    await book.note(now.id, mirrored(known, now), { withinMs: 0 }).catch(() => undefined)
  }
}

function notTheirs(): ErrandError {
  return new ErrandError('DENIED', 'only the device that began a terminal types there', { hint: 'leave input out to watch it; or attach to it on that device' })
}
