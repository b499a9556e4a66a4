/** `errand invite`: one code for one device, with what it asks and gives said beside it. */
import type { InviteView, RightView } from '../../../protocols/local/messages.ts'
import { systemClock } from '../../base/clock.ts'
import { sayDuration } from '../../base/duration.ts'
import type { Context } from '../context.ts'
import { clean } from '../render.ts'

export interface InviteOptions {
  readonly name?: string
  readonly mine?: boolean
  readonly ask?: string[]
  readonly role?: string
  readonly give?: string[]
  readonly for?: number
}

export async function invite(context: Context, { for: forMs, name, mine, ask, role, give }: InviteOptions): Promise<number> {
  const made = await context.client.invite({
    ...(name === undefined ? {} : { name }),
    ...(mine === undefined ? {} : { mine }),
    ...(ask === undefined ? {} : { ask }),
    ...(role === undefined ? {} : { role }),
    ...(give === undefined ? {} : { give }),
    ...(forMs === undefined ? {} : { forMs }),
  })
  context.print(made, () => inviteText(made))
  return 0
}

function inviteText({ code, expiresAt, membership, asks, gives, notes }: InviteView): string {
  return [
    '  On the other device:   errand join',
    `  and give it this code  (once, within ${sayDuration(Date.parse(expiresAt) - systemClock.now())}):`,
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
  const left = expiresAt === null ? '' : ` · ${sayDuration(Date.parse(expiresAt) - systemClock.now())}`
  return `${clean(words)}${left}`
}
