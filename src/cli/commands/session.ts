/** `errand session`: opens, shows and closes sessions of this device. */
import type { SessionClosed, SessionOpened, SessionView } from '../../../protocols/local/sessions.ts'
import { systemClock } from '../../base/clock.ts'
import { sayAbout } from '../../base/duration.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exitcodes.ts'
import { clean, plural, table } from '../render.ts'

const ROUTE = '/api/runtime/sessions'

export interface OpenOptions {
  readonly on: string[]
  readonly can?: string[]
  readonly role?: string
  readonly for?: number
  readonly idle?: number
  readonly env?: Record<string, string>
  readonly name?: string
}

export async function open(context: Context, { for: forMs, idle: idleMs, ...same }: OpenOptions): Promise<number> {
  const given = { ...same, ...(forMs === undefined ? {} : { forMs }), ...(idleMs === undefined ? {} : { idleMs }) }
  const seen = await context.client.call<SessionOpened>('POST', ROUTE, given)
  context.print(seen, () => [context.tick(`session ${seen.session}`), ...linesOf(seen), `  token     ${seen.token}`].join('\n'))
  if (!context.json) context.say('the token is shown once: whoever has it acts in this session and does nothing else (ERRAND_SESSION)')
  return EXIT.ok
}

export async function list(context: Context): Promise<number> {
  const seen = await context.client.call<SessionView[]>('GET', ROUTE)
  context.print(seen, () => table(['SESSION', 'NAME', 'STATE', 'ENDS', 'TASKS', 'MAY'], seen.map(rowOf)))
  return EXIT.ok
}

export async function show(context: Context, session: string): Promise<number> {
  const seen = await context.client.call<SessionView>('GET', `${ROUTE}/${encodeURIComponent(session)}`)
  context.print(seen, () => [`session ${seen.session}`, ...linesOf(seen)].join('\n'))
  return EXIT.ok
}

export async function close(context: Context, session: string): Promise<number> {
  const seen = await context.client.call<SessionClosed>('POST', `${ROUTE}/${encodeURIComponent(session)}/close`, {})
  context.print(seen, () => context.tick(closedText(seen)))
  return EXIT.ok
}

function linesOf({ name, state, why, can, env, expiresAt, endsAt, endedAt, tasks }: SessionView): string[] {
  const idle = endsAt === expiresAt ? '' : `, or in ${left(endsAt)} if nobody uses it`
  const ends = endedAt === null ? `in ${left(expiresAt)}${idle}` : `${endedAt} (${why ?? ''})`
  return [
    ...(name === null ? [] : [`  name      ${clean(name)}`]),
    `  state     ${state}`,
    `  ${endedAt === null ? 'ends ' : 'ended'}     ${ends}`,
    ...can.map(({ device, words }) => `  may       ${clean(words)} on ${clean(device)}`),
    ...(env.length === 0 ? [] : [`  env       ${env.join(', ')}`]),
    `  tasks     ${tasks.active} active, ${tasks.total} in all`,
  ]
}

function rowOf({ session, name, state, endsAt, endedAt, tasks, can }: SessionView): string[] {
  const may = can.map(({ device, words }) => `${words} on ${device}`).join('; ')
  return [session, name ?? '-', state, endedAt === null ? `in ${left(endsAt)}` : '-', `${tasks.active}/${tasks.total}`, may]
}

function closedText({ session, stopped, acknowledged, unreachable }: SessionClosed): string {
  const parts = [
    `closed ${session}`,
    stopped.length === 0 ? 'nothing ran' : `${plural(stopped.length, 'live task')} stopped`,
    ...(acknowledged.length === 0 ? [] : [`acknowledged by ${acknowledged.join(', ')}`]),
    ...unreachable.map(({ device, expiresAt }) => `${device} offline${expiresAt === null ? '' : ` (ends there in ${left(expiresAt)})`}`),
  ]
  return parts.join(' · ')
}

function left(time: string): string {
  return sayAbout(Math.max(0, Date.parse(time) - systemClock.now()))
}
