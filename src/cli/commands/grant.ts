/** `errand grant` and `errand revoke`: give rights, take them back, and say who has heard of it. */
import type { GrantRequest, RevokeView } from '../../../protocols/local/messages.ts'
import type { RoleView } from '../../../protocols/local/roles.ts'
import { systemClock } from '../../base/clock.ts'
import { sayAbout, sayDuration } from '../../base/duration.ts'
import { ErrandError } from '../../base/errors.ts'
import { ask } from '../ask.ts'
import type { Context } from '../context.ts'
import { clean, plural, shortCid, shortDid } from '../render.ts'

interface Giving {
  readonly on?: string
  readonly can?: string[]
  readonly role?: string
  readonly for: number
  readonly from?: number
  readonly passOn: boolean
  readonly maxStaleness?: number
  readonly yes?: boolean
}

/** On a terminal it says in words what it gives, and asks before anything is signed. */
export async function grant(context: Context, who: string, o: Giving): Promise<number> {
  if (o.role !== undefined) return await grantRole(context, who, { ...o, role: o.role })
  const request: GrantRequest = {
    ...{ who, on: o.on ?? '', can: o.can ?? [], forMs: o.for },
    ...(o.from === undefined ? {} : { fromMs: o.from }),
    ...(o.passOn ? {} : { passOn: false }),
    ...(o.maxStaleness === undefined ? {} : { maxStalenessMs: o.maxStaleness }),
  }
  if (isAsked(context, o)) await agree((await context.client.grant({ ...request, whatIf: true })).map(({ words }) => words))
  const made = await context.client.grant(request)
  context.print(made, () => made.map(({ words, cid }) => context.tick(`${words} · ${shortCid(cid)}`)).join('\n'))
  return 0
}

async function grantRole(context: Context, who: string, o: Giving & { readonly role: string }): Promise<number> {
  if (o.maxStaleness !== undefined)
    throw new ErrandError('BAD_RIGHT', 'a role says nothing of staleness', { hint: 'leave --max-staleness out, or name rights with --can' })
  if (isAsked(context, o)) {
    const roles = await context.client.call<RoleView[]>('GET', '/api/runtime/roles')
    const where = o.on === undefined ? 'every device of the owner' : o.on
    const last = o.passOn ? '' : ', not to be passed on'
    await agree([`${who} becomes ${o.role} on ${where}, for ${sayDuration(o.for)}${last}, and may`, ...rightsOf(o.role, roles).map((right) => `  ${right}`)])
  }
  return await (await import('./role.ts')).assign(context, o.role, who, o)
}

/** With all that it inherits; a role that nobody knows is refused when it is asked for. */
function rightsOf(name: string, roles: readonly RoleView[]): string[] {
  const found = [name === 'viewer' ? 'readonly' : name]
  const rights = new Set<string>()
  for (const role of found) {
    const view = roles.find((one) => one.role === role)
    for (const right of view?.can ?? []) rights.add(right)
    for (const inner of view?.inherits ?? []) if (!found.includes(inner)) found.push(inner)
  }
  return [...rights]
}

/** Scripts are asked nothing: there, what is typed is meant. */
function isAsked({ json }: Context, { yes }: Giving): boolean {
  return yes !== true && !json && process.stdin.isTTY === true
}

/** @throws NOT_AGREED */
async function agree(words: readonly string[]): Promise<void> {
  process.stderr.write(`  You give:\n${words.map((line) => `    ${clean(line)}\n`).join('')}`)
  const answer = await ask('  Sign this? [y/N] ')
  if (!/^y(es)?$/i.test(answer.trim())) throw new ErrandError('NOT_AGREED', 'not granted', { hint: 'nothing was signed' })
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
