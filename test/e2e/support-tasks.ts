/** Tasks of real nodes as a program sees them, over the socket. */
import type { ExecOutcome, TaskView } from '../../protocols/local/messages.ts'
import { until } from '../support/world.ts'
import { clientOf, processesWith } from './support-exec.ts'

type Request = Parameters<ReturnType<typeof clientOf>['submit']>[0]

/** Runs `ask` with a client of the node of this home. */
export async function asking<T>(home: string, ask: (client: ReturnType<typeof clientOf>) => Promise<T>): Promise<T> {
  const client = clientOf(home)
  try {
    return await ask(client)
  } finally {
    client.close()
  }
}

/** Hands a command over. @returns the id of its task. */
export async function detach(home: string, request: Request): Promise<string> {
  return (await asking(home, (client) => client.submit(request))).task
}

export async function taskOf(home: string, task: string): Promise<TaskView> {
  return await asking(home, (client) => client.task(task))
}

/** As `errand ps` on this device shows it. */
export async function listed(home: string, task: string): Promise<TaskView | undefined> {
  return (await asking(home, (client) => client.tasks({ all: true }))).find((one) => one.task === task)
}

export async function inState(home: string, task: string, state: TaskView['state'], withinMs = 30_000): Promise<TaskView> {
  return await until(
    `${task} is ${state}`,
    async () => {
      const seen = await taskOf(home, task)
      return seen.state === state && seen
    },
    withinMs,
  )
}

export interface Heard {
  readonly stdout: Buffer
  readonly outcome: ExecOutcome | undefined
  readonly skippedBytes: number
}

/** What a task prints from an offset on; with `follow`, to its end. */
export async function heard(home: string, task: string, o: { from?: number; follow?: boolean } = {}): Promise<Heard> {
  const chunks: Uint8Array[] = []
  let skippedBytes = 0
  const outcome = await asking(home, (client) =>
    client.attach(
      { task, ...o },
      {
        onStdout: (chunk) => void chunks.push(chunk),
        onSkipped: (bytes) => {
          skippedBytes += bytes
        },
      },
    ),
  )
  return { stdout: Buffer.concat(chunks), outcome, skippedBytes }
}

/** Processes of exactly this command line. */
export function running(command: string): number[] {
  return processesWith(command)
    .filter((seen) => seen.command === command)
    .map(({ pid }) => pid)
}

/** Lines `1` to `count`, as `seq` prints them. */
export function lines(count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, (_, i) => `${i + 1}\n`).join(''))
}
