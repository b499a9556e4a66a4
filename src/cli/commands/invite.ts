/** `errand invite`: one code for one device, with what it asks and gives said beside it. */

import { networkInterfaces } from 'node:os'
import type { InviteView, RightView } from '../../../protocols/local/messages.ts'
import { systemClock } from '../../base/clock.ts'
import { sayAbout } from '../../base/duration.ts'
import { ask as question } from '../ask.ts'
import type { Context } from '../context.ts'
import { clean } from '../render.ts'

export interface InviteOptions {
  readonly name?: string
  readonly mine?: boolean
  readonly ask?: string[]
  readonly role?: string
  readonly give?: string[]
  readonly for?: number
  readonly expires?: number
}

export async function invite(context: Context, { for: forMs, expires: expiresMs, name, mine, ask, role, give }: InviteOptions): Promise<number> {
  await offerNetwork(context)
  const made = await context.client.invite({
    ...(name === undefined ? {} : { name }),
    ...(mine === undefined ? {} : { mine }),
    ...(ask === undefined ? {} : { ask }),
    ...(role === undefined ? {} : { role }),
    ...(give === undefined ? {} : { give }),
    ...(forMs === undefined ? {} : { forMs }),
    ...(expiresMs === undefined ? {} : { expiresMs }),
  })
  context.print(made, () => inviteText(made))
  return 0
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

function inviteText({ code, expiresAt, membership, asks, gives, notes }: InviteView): string {
  return [
    '  On the other device:   errand join',
    `  and give it this code  (once, within ${sayAbout(Date.parse(expiresAt) - systemClock.now())}):`,
    '',
    clean(code),
    '',
    `  it becomes:   a ${membership}`,
    `  it gives:     ${rights(asks)}`,
    `  it gets:      ${rights(gives)}`,
    ...notes.map((note) => `  note: ${clean(note)}`),
  ].join('\n')
}

/** Rights in words, one a line; the following lines stand below the first. */
export function rights(all: readonly RightView[]): string {
  return all.length === 0 ? 'nothing' : all.map(sayRight).join(`\n${' '.repeat(16)}`)
}

function sayRight({ words, expiresAt }: RightView): string {
  const left = expiresAt === null ? '' : ` · ${sayAbout(Date.parse(expiresAt) - systemClock.now())}`
  return `${clean(words)}${left}`
}
