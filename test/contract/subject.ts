/** What the contract asks of a face, and how it listens to one: a command's output as one text, a task's end, the changes until one of them. */
import { createHash } from 'node:crypto'
import type { TaskUpdate, TaskView } from '../../protocols/local/messages.ts'
import type { ExecuteEvent, RuntimeClient } from '../../src/local/runtime-client.ts'
import { until } from '../support/world.ts'

/** One face of a running node. */
export interface Subject {
  readonly runtime: RuntimeClient
  /** Where this caller may run `sh`, with GREETING in its environment, and the command that does not exist. */
  readonly device: string
  /** What this caller may not run. */
  readonly denied: { readonly device: string; readonly command: readonly string[] }
  /** Of the client; the world ends the nodes. */
  close(): Promise<void>
}

/** A subject that is there once the tests run: they are declared before it is opened. */
export type At = Omit<Subject, 'close'>

export const NO_SUCH_COMMAND = 'errand-no-such-command'
export const sh = (script: string): string[] => ['sh', '-c', script]

export interface Collected {
  readonly stdout: string
  readonly end: Extract<ExecuteEvent, { t: 'ended' }>['end'] | undefined
}

export async function collect(events: AsyncIterable<ExecuteEvent>): Promise<Collected> {
  const printed: Uint8Array[] = []
  for await (const event of events) {
    if (event.t === 'printed' && event.fd === 1) printed.push(event.bytes)
    if (event.t === 'ended') return { stdout: Buffer.concat(printed).toString(), end: event.end }
  }
  return { stdout: Buffer.concat(printed).toString(), end: undefined }
}

export async function sofar(at: At, task: string): Promise<string> {
  return (await collect(at.runtime.attach(task, { follow: false }))).stdout
}

export async function ended(at: At, task: string): Promise<TaskView> {
  return await until(`${task} has ended`, async () => {
    const seen = await at.runtime.getTask(task)
    return isOver(seen) && seen
  })
}

export function isOver({ endedAt }: TaskView): boolean {
  return endedAt !== null
}

/** Begins once the watch stands. */
export async function changesUntil(
  at: At,
  from: { cursor?: number },
  { begun, done }: { begun: () => Promise<unknown>; done: (task: TaskView) => boolean },
): Promise<TaskUpdate[]> {
  const seen: TaskUpdate[] = []
  const late = AbortSignal.timeout(30_000)
  let beginning: Promise<unknown> = from.cursor === undefined ? Promise.resolve() : begun()
  for await (const update of at.runtime.streamTaskUpdates({ ...from, signal: late })) {
    seen.push(update)
    if (update.t === 'state' && seen.length === 1) beginning = begun()
    if (update.t === 'changed' && done(update.task)) break
  }
  await beginning
  return seen
}

export function tasksIn(updates: readonly TaskUpdate[]): TaskView[] {
  return updates.flatMap((update) => (update.t === 'changed' ? [update.task] : []))
}

export function cursorOf(updates: readonly TaskUpdate[]): number {
  return updates.reduce((last, update) => ('cursor' in update ? update.cursor : last), 0)
}

export async function codeOf(asked: Promise<unknown>): Promise<string> {
  return await asked.then(
    () => 'no error',
    (thrown: unknown) => (thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown)),
  )
}

export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString()
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
