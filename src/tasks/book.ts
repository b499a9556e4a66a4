/**
 * The tasks this device knows of: those it submitted and those it runs. Journal first: a change is on the disk, in one batch with the
 * audit entry that belongs to it, before anybody can see it. Runs nothing and decides nothing. Decision: docs/decisions/0014.
 */
import * as v from 'valibot'
import { Count, decodeAs, encode } from '../../protocols/wire.ts'
import { type Clock, pause } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Op } from '../base/op.ts'
import { Archive } from './archive.ts'
import { Changes, follow, type WatchItem, type WatchOptions } from './changes.ts'
import { encodeSubmission, eventOps, isSameRequest, submissionOf, submissionOps, type TaskStore } from './journal.ts'
import { Known, Live } from './known.ts'
import { type Deferred, folded, type Happened, Later } from './later.ts'
import { type Change, type Submitted, submitted, type Task, type TaskEvent, type TaskId } from './machine.ts'
import { Turns } from './turns.ts'
import { type ListQuery, listTasks, stateNow, type TaskPage } from './views.ts'

/** Tasks that have not ended; each costs memory. */
const MAX_LIVE = 10_000
/** How long a change that could not ride along waits for the next chance. */
const RETRY_MS = 1_000
/** How long a reader waits for what is just being written, so that it sees what was done before it asked. */
const FRESH_MS = 100
const EXISTS_HINT = 'errand ps shows it; without --id every run gets an id of its own'
const EPOCH_KEY = 'epoch'
const Epoch = v.object({ n: Count })

/** Commits `ops` together with something of the caller's, an audit entry for example. Called at most once, also with no ops. */
export type Carry = (ops: readonly Op[]) => Promise<unknown>

export interface BookOn {
  readonly store: TaskStore
  readonly clock: Clock
}

export interface SubmitOptions {
  /** Changes that happen in the same moment. */
  readonly changes?: readonly Change[]
  readonly carry?: Carry
  /** The id was made a moment ago, so nobody can know it: the disk is not asked. */
  readonly fresh?: boolean
}

/** Pieces of a history that gave way to newer reports. */
export type HistoryItem = TaskEvent | { readonly t: 'gap'; readonly from: number; readonly to: number }

/** One commit in the making. */
interface Step {
  readonly entry: Live
  readonly told: readonly Happened[]
}

export class TaskBook {
  readonly #on: BookOn
  readonly #archive: Archive
  readonly #changes: Changes
  readonly #known: Known
  readonly #turns = new Turns<TaskId>()
  readonly #later: Later
  readonly #flushing = new Set<Promise<void>>()

  private constructor(
    on: BookOn,
    from: { readonly epoch: number; readonly ended: number },
    /** Tasks that should live and whose records cannot be read any more. */
    readonly damaged: readonly TaskId[],
  ) {
    this.#on = on
    this.#archive = new Archive(on.store)
    this.#changes = new Changes(from.epoch)
    this.#known = new Known(from.ended)
    this.#later = new Later(on.clock, () => this.flush())
  }

  /** Reads what lives from the disk; what ended stays there. Whoever opens decides what becomes of `live()`: reattached, or ended as lost. */
  static async open(on: BookOn): Promise<TaskBook> {
    const archive = new Archive(on.store)
    const stored = await on.store.get(EPOCH_KEY)
    const epoch = (stored === undefined ? 0 : decodeAs(Epoch, stored, 64).n) + 1
    await on.store.commit([on.store.putOp(EPOCH_KEY, encode({ n: epoch }))])
    const damaged: TaskId[] = []
    const book = new TaskBook(on, { epoch, ended: await archive.countEnded() }, damaged)
    for (const id of await archive.live()) {
      try {
        const { task, events } = await archive.refold(id)
        book.#known.adopt(new Live(task, encodeSubmission(submissionOf(task)).length, events), task)
      } catch (thrown) {
        if (asErrand(thrown).code !== 'TASK_DAMAGED') throw thrown
        damaged.push(id)
      }
    }
    return book
  }

  /**
   * Takes a submission down, with changes that happen in the same moment. The same one under the same id is the task that is known
   * already, and nothing is written; `carry` is then not called.
   * @throws TASK_EXISTS for another submission under this id; BAD_TASK, TOO_LARGE; TOO_BUSY; and what `carry` throws: then there is no task.
   */
  async submit(submission: Submitted, o: SubmitOptions = {}): Promise<{ readonly task: Task; readonly isNew: boolean }> {
    return await this.#known.opening(() => this.#turns.take(submission.id, () => this.#submit(submission, o)))
  }

  /**
   * Notes what happened to a task. Resolves when it is durable and told, with the task as it then stands.
   * What comes after the end changes nothing, and so does news of an unknown task: then undefined; `carry` is called all the same.
   * @param o.withinMs may wait that long for a commit of this task that happens anyway; of waiting reports only the newest counts.
   * @throws RangeError for a move that the table does not have; what `carry` throws: then nothing happened.
   */
  async note(id: TaskId, changes: readonly Change[], o: { readonly carry?: Carry; readonly withinMs?: number } = {}): Promise<Task | undefined> {
    const { withinMs } = o
    if (withinMs !== undefined) return (await Promise.all(changes.map((one) => this.#later.add(id, one, withinMs)))).at(-1)
    return await this.#turns.take(id, () => this.#write(id, changes, o.carry))
  }

  /** Whether it is one that has not ended. */
  lives(id: TaskId): boolean {
    return this.#known.live.has(id)
  }

  /** @throws TASK_DAMAGED */
  async get(id: TaskId): Promise<Task | undefined> {
    await this.#fresh([id])
    return this.#known.get(id) ?? (await this.#ended(id))
  }

  /** The id that a whole id, its beginning or its end (6 characters at least) stands for. @throws BAD_TASK, NO_SUCH_TASK, AMBIGUOUS_TASK */
  async resolve(text: string): Promise<TaskId> {
    return await this.#archive.resolve(text)
  }

  /** @throws BAD_CURSOR */
  async list(query: ListQuery = {}): Promise<TaskPage> {
    await this.#fresh(this.#later.ids())
    return await listTasks({ known: this.#known, archive: this.#archive }, query)
  }

  /** All that have not ended, in memory. */
  live(): readonly Task[] {
    return [...this.#known.live.values()].map(({ task }) => task)
  }

  counts(): { active: number; total: number } {
    return this.#known.counts()
  }

  /** Resolves when nothing is active. */
  idle(): Promise<void> {
    return this.#known.idle()
  }

  /** First the state, then each change, from `cursor` on without the state when that is still possible. A reader that falls behind gets a gap and the state anew. */
  watch(o: WatchOptions): AsyncIterable<WatchItem> {
    return follow(this.#changes, () => this.#state(), o)
  }

  /** Of the newest change that was told. */
  get cursor(): number {
    return this.#changes.cursor
  }

  /** The events of a task with `seq > after`, in order; a gap where reports gave way to newer ones. @throws TASK_DAMAGED */
  async *history(id: TaskId, { after = 0 }: { readonly after?: number } = {}): AsyncGenerator<HistoryItem> {
    await this.#fresh([id])
    const upTo = this.#known.live.get(id)?.task.seq ?? Number.MAX_SAFE_INTEGER
    let seen = after
    for await (const event of this.#archive.events(id, { after, upTo })) {
      if (event.seq > seen + 1) yield { t: 'gap', from: seen + 1, to: event.seq - 1 }
      seen = event.seq
      yield event
    }
  }

  /** Writes down what was allowed to wait. */
  async flush(): Promise<void> {
    await Promise.all(this.#later.ids().map((id) => this.#flushOne(id)))
  }

  /** Ends every watcher; resolves when all that was noted is on the disk or was refused. */
  async close(): Promise<void> {
    this.#later.stop()
    await this.flush()
    await this.#turns.idle()
    this.#changes.close()
  }

  async #ended(id: TaskId): Promise<Task | undefined> {
    if (this.damaged.includes(id)) await this.#archive.refold(id) // says what is wrong
    const found = await this.#archive.ended(id)
    return found === undefined ? undefined : this.#known.remember(found.task, found.bytes)
  }

  async #state(): Promise<WatchItem & { t: 'state' }> {
    await this.#fresh(this.#later.ids())
    return await stateNow({ known: this.#known, archive: this.#archive }, this.#changes)
  }

  #flushOne(id: TaskId): Promise<void> {
    if (!this.#later.has(id)) return Promise.resolve()
    const flushing: Promise<void> = this.#turns
      .take(id, () => this.#write(id, []))
      .then(
        () => undefined,
        () => undefined, // told to whoever noted it
      )
      .finally(() => this.#flushing.delete(flushing))
    this.#flushing.add(flushing)
    return flushing
  }

  /** A task whose audit entry is held up must not hold up those who only want to look. */
  async #fresh(ids: readonly TaskId[]): Promise<void> {
    const written = [...ids.filter((id) => this.#later.has(id)).map((id) => this.#flushOne(id)), ...this.#flushing]
    if (written.length > 0) await Promise.race([Promise.all(written), pause(this.#on.clock, FRESH_MS)])
  }

  async #submit(submission: Submitted, o: SubmitOptions): Promise<{ readonly task: Task; readonly isNew: boolean }> {
    const known = this.#known.get(submission.id) ?? (o.fresh === true ? undefined : await this.#ended(submission.id))
    if (known === undefined) return { task: await this.#open(submission, o), isNew: true }
    if (isSameRequest(known, submission)) return { task: known, isNew: false }
    throw new ErrandError('TASK_EXISTS', `a task with the id ${submission.id} exists already`, { hint: EXISTS_HINT })
  }

  async #open(submission: Submitted, o: SubmitOptions): Promise<Task> {
    if (this.#known.live.size >= MAX_LIVE)
      throw new ErrandError('TOO_BUSY', `${MAX_LIVE} tasks of this device have not ended`, {
        retryable: true,
        hint: 'errand ps shows them, errand cancel ends one',
      })
    const bytes = encodeSubmission(submission)
    const first = submitted(submission)
    const born = { event: { t: 'submitted', seq: 1, at: submission.createdAt } as const, task: first }
    const entry = new Live(first, bytes.length)
    const step = { entry, told: [born, ...folded(first, o.changes ?? [])] }
    return await this.#commit(step, o.carry ?? this.#own, submissionOps(this.#on.store, first.id, bytes))
  }

  async #write(id: TaskId, changes: readonly Change[], carry?: Carry): Promise<Task | undefined> {
    const entry = this.#known.live.get(id)
    const waiting = this.#later.take(id)
    if (entry === undefined) {
      for (const one of waiting) one.resolve(undefined)
      await carry?.([])
      return undefined
    }
    try {
      const told = folded(entry.task, changes, waiting)
      const task = await this.#commit({ entry, told }, carry ?? this.#own)
      for (const one of waiting) one.resolve(task)
      return task
    } catch (thrown) {
      this.#refused(id, { waiting, changes, byCarrier: carry !== undefined }, thrown)
      throw thrown
    }
  }

  /** Nothing was written. What only rode along tries again; an end that the disk refuses is an end all the same, said at the next start. */
  #refused(id: TaskId, o: { waiting: readonly Deferred[]; changes: readonly Change[]; byCarrier: boolean }, thrown: unknown): void {
    if (o.byCarrier) return this.#later.putBack(id, o.waiting, RETRY_MS)
    for (const one of o.waiting) one.reject(thrown)
    if ([...o.changes, ...o.waiting.map(({ change }) => change)].some(({ t }) => t === 'ended') && !(thrown instanceof RangeError)) this.#known.drop(id)
  }

  readonly #own: Carry = (ops) => this.#on.store.commit(ops)

  /** 1. durable, 2. known, 3. told. */
  async #commit({ entry, told }: Step, carry: Carry, first: readonly Op[] = []): Promise<Task> {
    const { store } = this.#on
    const events = told.map(({ event }) => event)
    const after = told.at(-1)?.task ?? entry.task
    const ops = told.length === 0 ? [] : [...first, ...eventOps(store, after, events), ...entry.thinningOps(store, events)]
    if (ops.length > 0 || carry !== this.#own) await carry(ops)
    this.#known.adopt(entry, after)
    for (const { event, task } of told) this.#changes.tell(event, task, entry.bytes)
    return after
  }
}
