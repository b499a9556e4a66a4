/** The tasks in memory: all that live, and a window of those that ended or were asked for lately. What stands here is durable. */
import type { Op } from '../base/op.ts'
import { eventKey, type OpMaker } from './journal.ts'
import { isOver, type Task, type TaskEvent, type TaskId } from './machine.ts'

const WINDOW_TASKS = 1_024
/** Tasks with long prompts or contexts are read from the disk again. */
const WINDOW_TASK_BYTES = 8_192
/** Reports of one kind that a task's history keeps: the newest ones. */
const KEPT_REPORTS = 128

export class Live {
  readonly #reports: Record<'progressed' | 'printed', number[]> = { progressed: [], printed: [] }

  constructor(
    public task: Task,
    /** Of its submission, on the disk. */
    readonly bytes: number,
    events: readonly TaskEvent[] = [],
  ) {
    for (const event of events) this.#note(event)
  }

  /** What gives way to these events: a command that reports every second for a month must not fill the disk. */
  thinningOps(make: OpMaker, events: readonly TaskEvent[]): readonly Op[] {
    return events.flatMap((event) => this.#note(event).map((seq) => make.delOp(eventKey(this.task.id, seq))))
  }

  #note({ t, seq }: TaskEvent): readonly number[] {
    if (t !== 'progressed' && t !== 'printed') return []
    this.#reports[t].push(seq)
    return this.#reports[t].splice(0, this.#reports[t].length - KEPT_REPORTS)
  }
}

export class Known {
  readonly live = new Map<TaskId, Live>()
  readonly #window = new Map<TaskId, Task>()
  #idle: (() => void)[] = []
  #opening = 0

  constructor(private ended: number) {}

  get(id: TaskId): Task | undefined {
    return this.live.get(id)?.task ?? this.#window.get(id)
  }

  /** A task as it stands now. */
  adopt(entry: Live, task: Task): void {
    entry.task = task
    if (!isOver(task.state)) {
      this.live.set(task.id, entry)
      return
    }
    this.ended++
    this.remember(task, entry.bytes)
    this.drop(task.id)
  }

  /** It is over for this start of the daemon, whatever the disk will say at the next. */
  drop(id: TaskId): void {
    this.live.delete(id)
    this.#tellIdle()
  }

  /** While it runs, one more task is active: a submission on its way to the disk. */
  async opening<T>(open: () => Promise<T>): Promise<T> {
    this.#opening++
    try {
      return await open()
    } finally {
      this.#opening--
      this.#tellIdle()
    }
  }

  /** For the next who asks. */
  remember(task: Task, bytes: number): Task {
    if (bytes > WINDOW_TASK_BYTES) return task
    this.#window.delete(task.id)
    this.#window.set(task.id, task)
    const [oldest] = this.#window.keys()
    if (this.#window.size > WINDOW_TASKS && oldest !== undefined) this.#window.delete(oldest)
    return task
  }

  counts(): { active: number; total: number } {
    const active = this.live.size + this.#opening
    return { active, total: this.ended + active }
  }

  /** Resolves when nothing is active. */
  idle(): Promise<void> {
    if (this.counts().active === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  #tellIdle(): void {
    if (this.counts().active === 0) for (const tell of this.#idle.splice(0)) tell()
  }
}
