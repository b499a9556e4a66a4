/** `errand grant` and `errand revoke`: give rights, take them back, and say who has heard of it. */
import type { RevokeView } from '../../../protocols/local/messages.ts'
import { systemClock } from '../../base/clock.ts'
import { sayAbout } from '../../base/duration.ts'
import type { Context } from '../context.ts'
import { clean, plural, shortCid, shortDid } from '../render.ts'

export async function grant(
  context: Context,
  who: string,
  {
    on,
    can,
    for: forMs,
    from: fromMs,
    passOn,
    maxStaleness,
  }: { readonly on: string; readonly can: string[]; readonly for: number; readonly from?: number; readonly passOn: boolean; readonly maxStaleness?: number },
): Promise<number> {
  const made = await context.client.grant({
    who,
    on,
    can,
    forMs,
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(passOn ? {} : { passOn }),
    ...(maxStaleness === undefined ? {} : { maxStalenessMs: maxStaleness }),
  })
  context.print(made, () => made.map(({ words, cid }) => context.tick(`${words} · ${shortCid(cid)}`)).join('\n'))
  return 0
}

export async function revoke(
  context: Context,
  grant: string | undefined,
  { on, can, to, whatIf }: { readonly on?: string; readonly can?: string; readonly to?: string; readonly whatIf?: boolean },
): Promise<number> {
  const done = await context.client.revoke({
    ...(grant === undefined ? {} : { grant: unshorten(grant) }),
    ...(on === undefined ? {} : { on }),
    ...(can === undefined ? {} : { can }),
    ...(to === undefined ? {} : { to }),
    ...(whatIf === true ? { whatIf } : {}),
  })
  context.print(done, () => (done.whatIf === true ? whatIfText(done) : context.tick(revokeText(done))))
  return 0
}

/** CIDs are shown as bafyre…fuoise and copied like that; all begin alike, so the end is what tells. */
function unshorten(cid: string): string {
  return cid.split('…').at(-1) ?? cid
}

function revokeText({ grants, stopped, acks, unreachable }: RevokeView): string {
  const parts = [
    `${plural(grants.length, 'grant')} revoked`,
    ...(stopped.length === 0 ? [] : [`${plural(stopped.length, 'live task')} stopped`]),
    ...(acks.length === 0 ? [] : [`acknowledged by ${acks.map(({ device, ms }) => `${called(device)} ${(ms / 1_000).toFixed(1)} s`).join(', ')}`]),
    ...unreachable.map(sayAway),
  ]
  return parts.join(' · ')
}

/** Names what would die, so that it can be looked at before. */
function whatIfText({ grants, stopped, acknowledged, unreachable }: RevokeView): string {
  const parts = [
    `${plural(grants.length, 'grant')} would die: ${grants.map(shortCid).join(', ')}`,
    stopped.length === 0 ? 'no task rests on them' : `${plural(stopped.length, 'task')} would stop: ${stopped.map(clean).join(', ')}`,
    ...(acknowledged.length === 0 ? [] : [`asked ${acknowledged.map(called).join(', ')}`]),
    ...unreachable.map(sayAway),
  ]
  return `nothing was revoked · ${parts.join(' · ')}`
}

function sayAway({ device, expiresAt }: RevokeView['unreachable'][number]): string {
  return `${called(device)} offline${expiresAt === null ? '' : ` (grant dies in ${sayAbout(Date.parse(expiresAt) - systemClock.now())})`}`
}

function called(device: string): string {
  return device.startsWith('did:') ? shortDid(device) : device
}
