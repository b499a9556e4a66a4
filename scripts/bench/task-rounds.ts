/** Short tasks from their submission to their end on one real node, through the local client as a program uses it. */
import type { LocalClient } from '../../src/local/client.ts'
import type { Round, RoundOf } from './redis.ts'
import type { Cleanup } from './support.ts'
import { type BenchNode, startNode } from './support-nodes.ts'

/** The ends that the node tells; kept until somebody asks, because an end may be told before the submission is answered. */
class Ends {
  readonly #told = new Map<string, string>()
  readonly #waiting = new Map<string, (state: string) => void>()

  async listen(client: LocalClient, signal: AbortSignal): Promise<void> {
    for await (const update of client.watch({ signal })) {
      if (update.t === 'gap') throw new Error(`the stream of updates has a gap of ${update.to - update.from}`)
      if (update.t === 'changed' && ['COMPLETED', 'FAILED', 'CANCELLED'].includes(update.task.state)) this.#tell(update.task.task, update.task.state)
    }
  }

  async of(task: string): Promise<void> {
    const state = this.#told.get(task) ?? (await new Promise<string>((resolve) => this.#waiting.set(task, resolve)))
    this.#told.delete(task)
    if (state !== 'COMPLETED') throw new Error(`task ${task} ended as ${state}`)
  }

  #tell(task: string, state: string): void {
    const waiting = this.#waiting.get(task)
    this.#waiting.delete(task)
    if (waiting === undefined) this.#told.set(task, state)
    else waiting(state)
  }
}

export class ErrandTasks {
  readonly #ends = new Ends()

  private constructor(readonly node: BenchNode) {}

  static async start(cleanup: Cleanup): Promise<ErrandTasks> {
    const tasks = new ErrandTasks(await startNode(cleanup, cleanup.directory(), 'near'))
    const over = new AbortController()
    cleanup.add(() => over.abort())
    tasks.#ends.listen(tasks.node.client, over.signal).catch((thrown: unknown) => {
      if (!over.signal.aborted) process.stderr.write(`the stream of updates: ${String(thrown)}\n`)
    })
    return tasks
  }

  async round({ count, inFlight }: RoundOf): Promise<Round> {
    const { client, name } = this.node
    const latencies: number[] = []
    let next = 0
    const one = async (): Promise<void> => {
      while (next++ < count) {
        const before = performance.now()
        const { task } = await client.submit({ device: name, command: ['true'] })
        await this.#ends.of(task)
        latencies.push(performance.now() - before)
      }
    }
    const began = performance.now()
    await Promise.all(Array.from({ length: inFlight }, one))
    return { perSecond: (count * 1_000) / (performance.now() - began), latencies }
  }
}
