/** Who owns the mesh, and changes of that. */
import type { OwnerCardView, OwnerChangeRequest, OwnerChangeView, OwnersView } from '../../../protocols/local/owners.ts'
import type { Context } from '../context.ts'
import { clean, plural } from '../render.ts'
import { heardBy } from './device.ts'

const SHOWN_ID = 12

export async function list(context: Context): Promise<number> {
  const seen = await context.client.call<OwnersView>('GET', '/api/runtime/owners')
  context.print(seen, () => sayOwners(seen, context))
  return 0
}

export async function fresh(context: Context): Promise<number> {
  const seen = await context.client.call<OwnerCardView>('POST', '/api/runtime/owners/card', {})
  context.print(seen, () => seen.card)
  if (context.json) return 0
  context.say(`${seen.created ? 'an owner’s key was made on this device' : 'the owner’s key of this device'}: ${seen.words}`)
  context.say('nothing in the card is secret; an owner adds it with:  errand owner add CARD')
  return 0
}

export async function change(context: Context, request: OwnerChangeRequest): Promise<number> {
  const seen = await context.client.call<OwnerChangeView>('POST', '/api/runtime/owners/change', request)
  sayDone(context, seen)
  return 0
}

export async function sign(context: Context, id?: string): Promise<number> {
  const seen = await context.client.call<OwnerChangeView>('POST', '/api/runtime/owners/sign', id === undefined ? {} : { id })
  sayDone(context, seen)
  return 0
}

/** What has become of a change. */
export function sayDone(context: Context, seen: OwnerChangeView): void {
  const ended = seen.stopped.length === 0 ? '' : ` · ${plural(seen.stopped.length, 'live task')} stopped`
  context.print(seen, () => (seen.done ? context.tick(`${seen.words}${ended} · ${heardBy(seen)}`) : waiting(seen)))
  if (context.json || !seen.done || !seen.words.includes('no more')) return
  context.say('what they had signed goes on to count: see errand grants, errand role list and errand devices for what should not')
}

function waiting({ id, words, signedBy, needed }: OwnerChangeView): string {
  return `${clean(words)}\nsigned by ${signedBy.join(', ')} · ${signedBy.length} of ${needed}; another owner signs it with:  errand owner sign ${id.slice(0, SHOWN_ID)}`
}

function sayOwners(seen: OwnersView, { paint }: Context): string {
  const owners = seen.owners.map(({ did, words, here }) => `${clean(words)}  ${paint.dim(did)}${here ? '  (its key is on this device)' : ''}`)
  const rule =
    seen.owners.length === 1
      ? 'one owner decides'
      : `${seen.threshold} of ${seen.owners.length} sign a change of the owners; each alone admits devices and gives rights`
  const words = seen.recovery === null ? 'no recovery words yet: errand recovery new' : 'recovery words: made'
  const pending = seen.pending.flatMap((one) => [
    `waits: ${clean(one.words)}`,
    `  signed by ${one.signedBy.join(', ')} · ${one.signedBy.length} of ${one.needed} · errand owner sign ${one.id.slice(0, SHOWN_ID)}`,
    ...(one.unknown === 0 ? [] : [`  it keeps ${plural(one.unknown, 'record')} of those who leave that this device has not seen: ask before you sign`]),
  ])
  const conflict = seen.conflict ? [paint.bad('another list of owners was signed as well; it does not count here')] : []
  const key = seen.key === 'locked' ? ['the owner’s key of this device is locked: errand owner unlock'] : []
  return [...owners, paint.dim(rule), paint.dim(words), ...key, ...pending, ...conflict].join('\n')
}
