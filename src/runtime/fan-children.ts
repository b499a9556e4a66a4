/** How one command of a fan-out is begun: attached, its frames carried to whoever asked; or handed over, its end awaited in the book. */
import { TAG } from '../../protocols/exec/messages.ts'
import { LOCAL } from '../../protocols/local/frames.ts'
import type { ExecOutcome, ExecRequest } from '../../protocols/local/messages.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError, type WireError } from '../base/errors.ts'
import { type Frame, FrameLink } from '../base/frames.ts'
import { memoryLinks } from '../base/memory-link.ts'
import type { TaskBook } from '../tasks/book.ts'
import { isOver, type Task, type TaskId } from '../tasks/machine.ts'
import { type ChildEnd, endOfError, endOfOutcome, endOfTask } from './fan-ends.ts'
import type { Begun } from './fan-run.ts'
import type { Session } from './session.ts'
import type { Submitter } from './submit.ts'

/** From the wish to end a command to leaving it: the device's ladder takes 7 s at most. */
const CANCEL_MS = 15_000
/** What its caller gets to see of it; the ends are told for the fan-out as a whole. */
const CARRIED: readonly number[] = [TAG.accepted, TAG.queued, TAG.waits, TAG.stdout, TAG.stderr, TAG.at]

export interface AttachedOn {
  readonly submitter: Pick<Submitter, 'exec'>
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly scope: Session | undefined
  /** A promise holds the command's output back. */
  readonly carry: (frame: Frame) => Promise<void> | undefined
}

export function attachedChild(request: ExecRequest, { submitter, clock, signal, scope, carry }: AttachedOn): Begun {
  const [near, far] = memoryLinks()
  const link = new FrameLink(near, LOCAL.maxFrameBytes)
  const left = new AbortController()
  const leave = (): void => left.abort(new ErrandError('CANCELLED', 'it was ended'))
  let isAccepted = false
  void submitter.exec(request, new FrameLink(far, LOCAL.maxFrameBytes), { signal: AbortSignal.any([signal, left.signal]), scope, isFresh: true })
  const heard = (frame: Frame): Promise<void> | undefined => {
    isAccepted ||= frame.tag === TAG.accepted
    return CARRIED.includes(frame.tag) ? carry(frame) : undefined
  }
  let enough: () => void = () => undefined
  const cancel = (): void => {
    if (!isAccepted) return leave()
    void link.write(TAG.cancel)
    enough = clock.after(CANCEL_MS, leave)
  }
  const hangUp = (): void => {
    enough()
    void link.end()
  }
  return { ended: hear(link, heard).finally(hangUp), cancel }
}

async function hear(link: FrameLink, heard: (frame: Frame) => Promise<void> | undefined): Promise<ChildEnd> {
  for (let frame = await link.read(); frame !== undefined; frame = await link.read()) {
    if (frame.tag === TAG.ended) return endOfOutcome(jsonOf<ExecOutcome>(frame))
    if (frame.tag === TAG.refused) return endOfError(jsonOf<WireError>(frame))
    const wait = heard(frame)
    if (wait !== undefined) await wait
  }
  return endOfError({ code: 'LINK_LOST', message: 'its stream ended before it did' })
}

export interface DetachedOn {
  readonly submitter: Pick<Submitter, 'submit'>
  readonly scope: Session | undefined
  readonly ends: TaskEnds
  readonly cancel: (task: TaskId) => Promise<unknown>
}

export function detachedChild(request: ExecRequest & { readonly id: string }, { submitter, scope, ends, cancel }: DetachedOn): Begun {
  const id = request.id as TaskId
  let isUnwanted = false
  const end = (): void => void cancel(id).catch(() => undefined) // it may be over by now
  const run = async (): Promise<ChildEnd> => {
    const over = ends.of(id)
    await submitter.submit(request, scope)
    if (isUnwanted) end()
    return await over
  }
  return {
    ended: run().finally(() => ends.forget(id)),
    cancel: () => {
      isUnwanted = true
      end()
    },
  }
}

/** A command that an earlier start of this node handed over. */
export function adoptedChild(id: TaskId, { ends, cancel }: Pick<DetachedOn, 'ends' | 'cancel'>): Begun {
  return { ended: ends.of(id).finally(() => ends.forget(id)), cancel: () => void cancel(id).catch(() => undefined) }
}

/** The ends of tasks, as the book tells them: one watch for all that are awaited. */
export class TaskEnds {
  readonly #awaited = new Map<TaskId, (end: ChildEnd) => void>()
  #watch: AbortController | undefined

  constructor(private readonly book: Pick<TaskBook, 'watch' | 'get' | 'cursor'>) {}

  of(id: TaskId): Promise<ChildEnd> {
    const ended = new Promise<ChildEnd>((resolve) => this.#awaited.set(id, resolve))
    if (this.#watch === undefined) void this.#follow()
    void this.#look(id)
    return ended
  }

  forget(id: TaskId): void {
    this.#awaited.delete(id)
    if (this.#awaited.size > 0) return
    this.#watch?.abort()
    this.#watch = undefined
  }

  async #follow(): Promise<void> {
    const watch = new AbortController()
    this.#watch = watch
    for await (const item of this.book.watch({ cursor: this.book.cursor, signal: watch.signal })) {
      if (item.t === 'changed') this.#tell(item.task)
      else for (const id of this.#awaited.keys()) void this.#look(id)
    }
    if (this.#watch === watch) this.#watch = undefined
  }

  async #look(id: TaskId): Promise<void> {
    const task = await this.book.get(id).catch(() => undefined)
    if (task !== undefined) this.#tell(task)
  }

  #tell(task: Task): void {
    const end = isOver(task.state) ? endOfTask(task) : undefined
    if (end !== undefined) this.#awaited.get(task.id)?.(end)
  }
}

function jsonOf<T>({ payload }: Frame): T {
  return JSON.parse(Buffer.from(payload.subarray()).toString()) as T
}
