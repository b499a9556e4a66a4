/**
 * One command on many devices: chooses them, writes the whole down as a task whose children the commands are, runs those as there is room, and
 * files what they come to. A child is a task like any other, under this device's rights on its device; the parent gives it none.
 */
import type { ChooseRequest, ChosenView, FanOutcome, FanRequest, FanStand, FanView } from '../../protocols/local/fans.ts'
import { FAN } from '../../protocols/local/fans.ts'
import type { ExecRequest } from '../../protocols/local/messages.ts'
import type { Fact } from '../audit/facts.ts'
import type { FrameLink } from '../base/frames.ts'
import { asDid, type Did } from '../identity/identity.ts'
import type { TaskBook } from '../tasks/book.ts'
import { sayCounts } from '../tasks/fan.ts'
import { type Change, endedBy, type Task, type TaskId } from '../tasks/machine.ts'
import { declare } from './declared.ts'
import { adoptedChild, attachedChild, detachedChild, TaskEnds } from './fan-children.ts'
import { type ChildEnd, endOfTask, NOT_STARTED } from './fan-ends.ts'
import { FanFace } from './fan-face.ts'
import { FanPlan, type FanPlanOn, type Planned } from './fan-plan.ts'
import { type Begun, type Child, FanRun } from './fan-run.ts'
import type { LiveCommands } from './live.ts'
import type { FanRoom } from './runtime.ts'
import type { Session } from './session.ts'
import { aboutOf, submissionFor } from './submission.ts'
import type { SubmitOn, Submitter } from './submit.ts'
import type { TaskDesk } from './task-desk.ts'

export interface FanDeskOn extends FanPlanOn {
  readonly book: TaskBook
  readonly tasks: Pick<TaskDesk, 'get' | 'steer'>
  readonly submitter: Pick<Submitter, 'exec' | 'submit'>
  /** Knows how to end a parent when somebody cancels it. */
  readonly live: Pick<LiveCommands, 'whenCancelled' | 'forget'>
  readonly audit: SubmitOn['audit']
}

/** How late a note of how far it is may be on the disk. */
const PROGRESS_WITHIN_MS = 1_000

interface Opened {
  readonly id: TaskId
  readonly children: readonly Child[]
  readonly request: FanRequest
  readonly scope: Session | undefined
}

export class FanDesk {
  readonly #plan: FanPlan
  readonly #ends: TaskEnds

  constructor(private readonly on: FanDeskOn) {
    this.#plan = new FanPlan(on)
    this.#ends = new TaskEnds(on.book)
  }

  /** What can be asked of it, by this device or in a session. */
  room(scope?: Session): FanRoom {
    return {
      choose: async (request) => this.#choose(request, scope),
      submit: (request) => this.#submit(request, scope),
      stand: (task) => this.#stand(task, scope),
      run: (request, link, { signal }) => this.#attached(request, link, { signal, scope }),
    }
  }

  /** Fan-outs of an earlier start of this node: what was handed over is followed to its end, what had not begun never will. */
  async recover(): Promise<void> {
    for (const task of this.on.book.live()) if (task.children !== undefined) await this.#adopt(task)
  }

  #choose(request: ChooseRequest, scope: Session | undefined): ChosenView {
    const { chosen, leftOut } = this.#plan.plan(request, scope)
    return { devices: chosen.map(({ did, name, online }) => ({ device: name, did, online })), leftOut: [...leftOut] }
  }

  async #submit(request: FanRequest, scope: Session | undefined): Promise<FanView> {
    const planned = this.#planned(request, scope)
    const opened = await this.#open(request, planned, { scope, detached: true })
    const cancel = (task: TaskId): Promise<unknown> => this.on.tasks.steer(task, 'cancel', scope)
    const on = { submitter: this.on.submitter, scope, ends: this.#ends, cancel }
    void this.#go(opened, { begin: (child) => detachedChild(requestFor(opened, child), on), settled: () => undefined }).catch(() => undefined)
    return viewOf(opened, planned)
  }

  /** Never rejects. */
  async #attached(request: FanRequest, link: FrameLink, { signal, scope }: { signal: AbortSignal; scope: Session | undefined }): Promise<void> {
    const face = new FanFace(link)
    try {
      const planned = this.#planned(request, scope)
      const opened = await this.#open(request, planned, { scope, detached: false })
      await face.fanned(viewOf(opened, planned))
      const { submitter, clock } = this.on
      const begin = (child: Child): Begun =>
        attachedChild(requestFor(opened, child), { submitter, clock, signal, scope, carry: (frame) => face.carry(child.index, frame) })
      const outcome = await this.#go(opened, { begin, settled: (end) => face.settled(end), cancelled: face.cancelled(signal) })
      await face.ended(outcome)
    } catch (thrown) {
      await face.refused(thrown)
    }
    await link.end().catch(() => undefined)
  }

  #planned(request: FanRequest, scope: Session | undefined): Planned {
    return this.#plan.plan({ ...request, env: Object.keys(request.env ?? {}) }, scope)
  }

  /** Durable before anything of it begins. */
  async #open(request: FanRequest, { chosen }: Planned, o: { scope: Session | undefined; detached: boolean }): Promise<Opened> {
    const { self, book, clock, newTaskId, audit } = this.on
    const id = newTaskId() as TaskId
    const children = chosen.map(({ did, name }, index) => ({ index, task: newTaskId() as TaskId, did, name }))
    const { args } = declare({ ...request, env: Object.keys(request.env ?? {}) }, id)
    const createdAt = clock.now()
    const about = aboutOf({ ...request, device: self }, { detached: o.detached, session: o.scope?.id })
    const record = {
      ...submissionFor(args, about, { device: self, submittedBy: self, createdAt }),
      children: children.map(({ task, did }) => ({ task, device: did })),
    }
    const changes: Change[] = [
      { t: 'planned', at: createdAt },
      { t: 'started', at: createdAt },
      { t: 'waiting', at: createdAt, why: 'children' },
    ]
    o.scope?.tasks.add(id)
    const details = { command: record.command, words: `on ${children.length} devices` }
    const fact: Fact = { actor: self, action: 'task.submit', result: 'ok', subject: self, task: id, session: o.scope?.id ?? null, details }
    await book.submit(record, { changes, carry: (ops) => audit.append(fact, ops), fresh: true })
    return { id, children, request, scope: o.scope }
  }

  /** Runs it to its end, and files that. */
  async #go(opened: Opened, on: { begin: (child: Child) => Begun; settled: FanFace['settled']; cancelled?: AbortSignal }): Promise<FanOutcome> {
    const { id, children, request, scope } = opened
    const of = { atOnce: request.maxParallel ?? FAN.parallel, failFast: request.failFast === true }
    let done = 0
    const settled: FanFace['settled'] = (end) => {
      done++
      this.#progressed(id, { done, of: children.length })
      on.settled(end)
    }
    const run = new FanRun(of, { children, begin: on.begin, settled })
    const cancel = (): void => run.cancel()
    const forget = this.on.live.whenCancelled(id, cancel)
    const stops = AbortSignal.any([on.cancelled, scope?.over].filter((signal) => signal !== undefined))
    stops.addEventListener('abort', cancel, { once: true })
    run.go()
    if (stops.aborted) cancel()
    await run.over
    forget()
    await this.#file(opened, run)
    this.on.live.forget(id)
    const { exitCode, stopped, counts } = run.fan
    return { parent: id, exitCode, stopped, counts }
  }

  #progressed(id: TaskId, { done, of }: { done: number; of: number }): void {
    const progress = { percent: Math.floor((done * 100) / of), text: `${done} of ${of} ended` }
    void this.on.book.note(id, [{ t: 'progressed', at: this.on.clock.now(), progress }], { withinMs: PROGRESS_WITHIN_MS }).catch(() => undefined)
  }

  async #file({ id, children, scope }: Pick<Opened, 'id' | 'children' | 'scope'>, { fan }: FanRun): Promise<void> {
    const { book, clock, audit, self } = this.on
    const message = `${children.length} devices: ${sayCounts(fan.counts)}`
    const isCancelled = fan.stopped === 'cancelled'
    const { exitCode } = fan
    const end = endedBy({ at: clock.now(), why: isCancelled ? 'cancelled' : 'exit', exitCode: isCancelled ? null : exitCode, signal: null, message })
    const details = { words: message, ...(isCancelled ? {} : { exitCode }) }
    const fact: Fact = {
      actor: self,
      action: 'task.end',
      result: exitCode === 0 ? 'ok' : 'failed',
      subject: self,
      task: id,
      session: scope?.id ?? null,
      details,
    }
    await book.note(id, [end], { carry: (ops) => audit.append(fact, ops) })
  }

  async #stand(text: string, scope: Session | undefined): Promise<FanStand> {
    const seen = await this.on.tasks.get(text, { scope })
    const parent = await this.on.book.get(seen.task as TaskId)
    const children = await Promise.all((parent?.children ?? []).map(async (child) => this.#standing(child, parent)))
    return { parent: seen.task, children }
  }

  async #standing({ task, device }: { task: string; device: string }, parent: Task | undefined): Promise<FanStand['children'][number]> {
    const known = await this.on.book.get(task as TaskId)
    const end = known === undefined ? (parent?.endedAt === null ? undefined : NOT_STARTED) : endOfTask(known)
    const name = this.on.directory.nameOf(device) ?? device
    return { task, device: name, state: known?.state ?? null, result: end?.result ?? null, exitCode: end?.exitCode ?? null }
  }

  async #adopt(parent: Task): Promise<void> {
    const { directory, book, tasks } = this.on
    const cancel = (task: TaskId): Promise<unknown> => tasks.steer(task, 'cancel')
    const all = (parent.children ?? []).map(({ task, device }, index) => ({
      index,
      task: task as TaskId,
      did: asDid(device),
      name: directory.nameOf(device) ?? device,
    }))
    const known = await Promise.all(all.map(({ task }) => book.get(task)))
    const begin = (child: Child): Begun => (known[child.index] === undefined ? never() : adoptedChild(child.task, { ends: this.#ends, cancel }))
    const request = { command: [...parent.command], maxParallel: FAN.maxDevices }
    void this.#go({ id: parent.id, children: all, request, scope: undefined }, { begin, settled: () => undefined }).catch(() => undefined)
  }
}

function never(): Begun {
  return { ended: Promise.resolve<ChildEnd>(NOT_STARTED), cancel: () => undefined }
}

function viewOf({ id, children }: Opened, { leftOut }: Planned): FanView {
  return {
    parent: id,
    tasks: children.map(({ task }) => task),
    children: children.map(({ task, name, did }) => ({ task, device: name, did })),
    leftOut: [...leftOut],
  }
}

/** What the parent was asked for, on one device. */
function requestFor({ id, request }: Opened, { task, did }: Pick<Child, 'task' | 'did'> & { did: Did }): ExecRequest & { readonly id: string } {
  const { on: _on, all: _all, count: _count, maxParallel: _max, failFast: _fast, ...same } = request
  return { ...same, id: task, device: did, parent: id }
}
