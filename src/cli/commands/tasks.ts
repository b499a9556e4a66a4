/** Tasks that were begun before: what they print, how they stand, and steering them. `run --detach` hands one over. */
import type { FanStand } from '../../../protocols/local/fans.ts'
import type { TaskUpdate, TaskView } from '../../../protocols/local/messages.ts'
import { stayAwake } from '../../base/awake.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exitcodes.ts'
import { clean, sayCommand, table } from '../render.ts'
import { drained } from '../writer.ts'
import { watchOutput } from './output.ts'
import { showTasks } from './show.ts'

export interface FromOptions {
  readonly from?: number
  readonly follow?: boolean
}

export async function attach(context: Context, task: string, { from }: FromOptions): Promise<number> {
  if (from === undefined && process.stdin.isTTY === true) {
    const { isATerminal, reattached } = await import('./terminal.ts')
    const seen = isATerminal(context) ? await context.client.task(task) : undefined
    if (seen?.tty === true && seen.endedAt === null) return await reattached(context, seen)
  }
  return await watchOutput(context, { task, ...(from === undefined ? {} : { from }), follow: true })
}

export async function logs(context: Context, task: string, { from, follow }: FromOptions): Promise<number> {
  const code = await watchOutput(context, { task, ...(from === undefined ? {} : { from }), follow: follow ?? false })
  return code === EXIT.interrupted ? code : code >= EXIT.timedOut && code <= EXIT.notFound ? code : EXIT.ok
}

export async function cancel(context: Context, task: string): Promise<number> {
  return show(context, await context.client.cancel(task))
}

export async function pause(context: Context, task: string): Promise<number> {
  return show(context, await context.client.pause(task))
}

export async function resume(context: Context, task: string): Promise<number> {
  return show(context, await context.client.resume(task))
}

function show(context: Context, seen: TaskView): number {
  context.print(seen, () => `${context.tick(`${seen.task}  ${seen.state}`)}${seen.exitCode === null ? '' : `  exit ${seen.exitCode}`}`)
  return EXIT.ok
}

export async function task(context: Context, id: string, { events }: { readonly events?: boolean }): Promise<number> {
  const seen = await context.client.task(id, events === true ? { events } : {})
  if (seen.children === undefined) context.print(seen, () => taskText(seen))
  else await showWhole(context, seen)
  return EXIT.ok
}

/** One command on many devices: with how it stands on each. */
async function showWhole(context: Context, seen: TaskView): Promise<void> {
  const { children } = await context.client.call<FanStand>('GET', `/api/runtime/fans/${seen.task}`)
  const rows = children.map(({ task: id, device, state, result, exitCode }) => [
    device,
    result ?? state ?? 'waiting',
    exitCode === null ? '-' : String(exitCode),
    id,
  ])
  context.print({ ...seen, children }, () => `${taskText(seen)}\n\n${table(['DEVICE', 'STANDS', 'EXIT', 'TASK'], rows)}`)
}

function taskText(seen: TaskView): string {
  const rows: readonly (readonly [string, string | null | undefined])[] = [
    ['task', seen.task],
    ['state', `${seen.state}  (${seen.why}${seen.place === null ? '' : `, place ${seen.place}`})${seen.message === null ? '' : `  ${seen.message}`}`],
    ['device', seen.device],
    ['command', sayCommand(seen.command)],
    ['submitted', `${seen.createdAt} by ${seen.submittedBy}`],
    ['started', seen.startedAt],
    ['ended', seen.endedAt],
    ['exit', seen.exitCode === null ? seen.signal : String(seen.exitCode)],
    ['output', `${seen.stdoutBytes} bytes on stdout, ${seen.stderrBytes} on stderr`],
    [
      'progress',
      seen.progress === null ? null : [seen.progress.percent === undefined ? '' : `${seen.progress.percent} %`, seen.progress.text ?? ''].join(' ').trim(),
    ],
    ['description', seen.description],
    ['agent', seen.agent],
    ['session', seen.session],
    ['parent', seen.parent],
    ['metadata', seen.metadata === undefined ? null : sayPairs(seen.metadata)],
  ]
  const said = rows.filter(([, value]) => value !== null && value !== undefined && value !== '')
  const events = (seen.events ?? []).map((event) => `  ${clean(JSON.stringify(event))}`)
  return [...said.map(([name, value]) => `${name.padEnd(12)}${clean(value ?? '')}`), ...(events.length === 0 ? [] : ['events', ...events])].join('\n')
}

function sayPairs(pairs: Readonly<Record<string, string>>): string {
  return Object.entries(pairs)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ')
}

export async function ps(context: Context, { all, watch }: { readonly all?: boolean; readonly watch?: boolean }): Promise<number> {
  if (watch === true) return await watchTasks(context)
  const seen = await context.client.tasks(all === true ? { all } : {})
  showTasks(context, seen)
  return EXIT.ok
}

/** With --json every update is a line; else each change is one. */
async function watchTasks(context: Context): Promise<number> {
  stayAwake()
  for await (const update of context.client.watch()) {
    if (context.json) await drained(process.stdout, `${JSON.stringify(update)}\n`)
    else await showUpdate(context, update)
  }
  return EXIT.ok
}

async function showUpdate(context: Context, update: TaskUpdate): Promise<void> {
  if (update.t === 'state') return showTasks(context, update.tasks)
  if (update.t === 'gap') return context.say(`${update.to - update.from} changes came too fast to be shown; this is how things stand now`)
  const { task: id, state, device, exitCode, why, command } = update.task
  const end = exitCode === null ? why : `exit ${exitCode}`
  await drained(process.stdout, `${clean(id)}  ${state.padEnd(9)}  ${clean(device)}  ${end}  ${sayCommand(command)}\n`)
}
