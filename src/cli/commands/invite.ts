/** `errand invite`: one code for one device, with what it asks and gives said beside it, and what becomes of it while somebody watches. */

import { networkInterfaces } from 'node:os'
import type { InviteView, RightView } from '../../../protocols/local/messages.ts'
import { systemClock } from '../../base/clock.ts'
import { sayAbout } from '../../base/duration.ts'
import { ask as question } from '../ask.ts'
import type { Context } from '../context.ts'
import { clean } from '../render.ts'
import { present } from '../values.ts'
import { drawCode } from './qr.ts'
import { watchInvite } from './watch-invite.ts'

export interface InviteOptions {
  readonly name?: string
  readonly mine?: boolean
  readonly ask?: string[]
  readonly role?: string
  readonly give?: string[]
  readonly guest?: boolean
  readonly on?: string[]
  readonly for?: number
  readonly expires?: number
  readonly approve?: boolean
  readonly short?: boolean
  readonly long?: boolean
  readonly qr?: boolean
}

export async function invite(context: Context, options: InviteOptions): Promise<number> {
  await offerNetwork(context)
  const { for: forMs, expires: expiresMs, name, mine, ask, role, give, guest, on, approve } = options
  const short = wantsShort(context, options)
  const made = await context.client.invite({ ...present({ forMs, expiresMs, name, mine, ask, role, give, guest, on, approve }), ...(short ? { short } : {}) })
  context.print(made, () => inviteText(made, options))
  if (context.json) return 0
  const isWatched = process.stdin.isTTY === true && process.stdout.isTTY === true
  return approve === true || (made.shortCode !== null && isWatched) ? await watchInvite(context, made) : 0
}

/** Programs get what they can hand on in one piece; people get what they can type. */
function wantsShort({ json }: Context, { short, long, qr }: InviteOptions): boolean {
  return short ?? (!json && long !== true && qr !== true)
}

/** A code of a node that only this machine can reach is of little use: offers to listen on the local network, where a person can answer. */
async function offerNetwork(context: Context): Promise<void> {
  if (context.json || process.stdin.isTTY !== true) return
  const { preset } = await context.client.status()
  const address = preset === 'local' ? networkAddress() : undefined
  if (address === undefined) return
  const answer = await question(`  Open this device to your local network (/ip4/${address}/tcp/4701)? Only invited devices get past the handshake. [Y/n] `)
  if (/^(y(es)?)?$/i.test(answer.trim())) await context.client.listen({ preset: 'lan' })
}

function networkAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .find((one) => one.family === 'IPv4' && !one.internal)?.address
}

function inviteText(made: InviteView, options: InviteOptions): string {
  const { expiresAt, membership, asks, gives, notes } = made
  const life = sayAbout(Date.parse(expiresAt) - systemClock.now())
  return [
    '  On the other device:   errand join',
    ...codeLines(made, options, life),
    `  it becomes:   ${becomes(membership)}`,
    `  it gives:     ${rights(asks)}`,
    `  it gets:      ${rights(gives)}`,
    ...notes.map((note) => `  note: ${clean(note)}`),
  ].join('\n')
}

/** Into a pipe goes the long code as well: whoever reads there may have no keyboard on the other side. */
function codeLines({ code, shortCode }: InviteView, { qr }: InviteOptions, life: string): string[] {
  const drawn = qr === true ? ['', drawCode(code, process.stdout)] : []
  if (shortCode === null) return [`  and give it this code  (once, within ${life}):`, ...drawn, '', clean(code), '']
  const typed = `  and type this code:    ${clean(shortCode)}     (once, ${life}, same network; elsewhere: errand invite --long)`
  return process.stdout.isTTY === true ? [typed] : [typed, `  or give it this one     (once, within ${life}):`, '', clean(code), '']
}

/** What a membership is, for whoever gives one and for whoever gets one. */
export function becomes(membership: InviteView['membership']): string {
  return membership === 'guest' ? 'a guest: meets the devices named below and learns of no others; ends with the last of its rights' : 'a member'
}

/** Rights in words, one a line; the following lines stand below the first. */
export function rights(all: readonly RightView[]): string {
  return all.length === 0 ? 'nothing' : all.map(sayRight).join(`\n${' '.repeat(16)}`)
}

function sayRight({ words, expiresAt }: RightView): string {
  const left = expiresAt === null ? '' : ` · ${sayAbout(Date.parse(expiresAt) - systemClock.now())}`
  return `${clean(words)}${left}`
}
