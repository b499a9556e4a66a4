/** A fan-out that runs: begins its commands as there is room, ends them when it is stopped, and says what came of each. Knows no links and no disk. */
import type { FanEnd } from '../../protocols/local/fans.ts'
import { asErrand } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import { Fan, type FanOf } from '../tasks/fan.ts'
import type { TaskId } from '../tasks/machine.ts'
import { type ChildEnd, endOfError, NOT_STARTED } from './fan-ends.ts'

/** One of its commands. */
export interface Child {
  readonly index: number
  readonly task: TaskId
  readonly did: Did
  readonly name: string
}

/** A command that was begun. */
export interface Begun {
  /** How it ended; a rejection is an end as well. */
  readonly ended: Promise<ChildEnd>
  cancel(): void
}

export interface FanRunOn {
  readonly children: readonly Child[]
  readonly begin: (child: Child) => Begun
  /** Told once for each of them, before the whole is over. */
  readonly settled: (end: FanEnd) => void
}

export class FanRun {
  readonly fan: Fan
  /** Resolves when nothing of it runs any more. */
  readonly over: Promise<void>
  readonly #begun = new Map<number, Begun>()
  readonly #told = new Set<number>()
  #end: () => void = () => undefined

  constructor(
    of: Omit<FanOf, 'count'>,
    private readonly on: FanRunOn,
  ) {
    this.fan = new Fan({ ...of, count: on.children.length })
    this.over = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  /** Begins what may begin. */
  go(): void {
    for (const index of this.fan.start()) {
      const child = this.on.children[index]
      if (child !== undefined) this.#follow(child, this.on.begin(child))
    }
  }

  /** Ends what runs; the rest does not begin. */
  cancel(): void {
    this.#endAll(this.fan.stop('cancelled'))
    this.#close()
  }

  #follow(child: Child, begun: Begun): void {
    this.#begun.set(child.index, begun)
    void begun.ended
      .catch((thrown: unknown) => endOfError(asErrand(thrown)))
      .then((end) => {
        this.#begun.delete(child.index)
        this.#tell(child, end)
        this.#endAll(this.fan.settled(child.index, end))
        this.go()
        this.#close()
      })
  }

  #endAll(indexes: readonly number[]): void {
    for (const index of indexes) this.#begun.get(index)?.cancel()
  }

  #close(): void {
    for (const child of this.on.children) if (this.fan.endOf(child.index)?.result === 'not-started') this.#tell(child, NOT_STARTED)
    if (this.fan.isOver) this.#end()
  }

  #tell({ index, task, name }: Child, end: ChildEnd): void {
    if (this.#told.has(index)) return
    this.#told.add(index)
    this.on.settled({ index, task, device: name, ...end })
  }
}
