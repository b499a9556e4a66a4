/** Hands out rights, lists them, takes them back. What is signed here narrows; what would widen is refused before it is signed. */
import type { GrantRequest, GrantView, RevokeRequest, RevokeView } from '../../protocols/local/messages.ts'
import { type SetName, SYNC } from '../../protocols/sync/messages.ts'
import type { Fact } from '../audit/facts.ts'
import { rightMeta } from '../authority/approval.ts'
import { LAST_LINK } from '../authority/chain.ts'
import { coversPath } from '../authority/commands.ts'
import { SIGNED_META, STALE_META } from '../authority/freshness.ts'
import { type Revocations, revoke } from '../authority/revocations.ts'
import { parseRight, type Right, sayRight } from '../authority/rights.ts'
import { type AnyRecord, type Delegation, type DelegationFields, signDelegation } from '../authority/token.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Clock, Random } from '../base/clock.ts'
import { sayAbout } from '../base/duration.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did, Identity } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import { grantorFor } from './grantor.ts'
import { type Groups, groupMarks } from './groups.ts'
import { refuseGuestGrant } from './guest-request.ts'
import { type Keyring, NONCE_BYTES } from './keyring.ts'
import { Lineage } from './lineage.ts'
import type { MeshRecords } from './records.ts'
import { unreached } from './unreached.ts'

/** Tells other devices; resolves with who has acknowledged. */
export interface Telling {
  push(set: SetName, records: Uint8Array[], to?: readonly Did[]): Promise<{ did: Did; acknowledged: boolean; stopped: string[]; ms: number }[]>
  gossipRevocation(bytes: Uint8Array): void
}

export interface RightsOn {
  readonly keyring: Keyring
  readonly wallet: Wallet
  readonly revocations: Revocations
  readonly directory: Directory
  readonly groups: Pick<Groups, 'resolve'>
  readonly records: MeshRecords
  readonly telling: Telling
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly clock: Clock
  readonly random: Random
  /** Throws while nothing may be given. */
  readonly mayGive: () => void
}

const MIN_ID_CHARS = 6

/** A grant before it is signed. */
interface Planned {
  readonly by: Identity
  readonly fields: DelegationFields
}

export class RightsDesk {
  readonly #lineage: Lineage

  constructor(private readonly on: RightsOn) {
    const { wallet, revocations, keyring } = on
    this.#lineage = new Lineage({ wallet, revocations, nowSeconds: () => keyring.nowSeconds() })
  }

  /** @throws UNKNOWN_DEVICE, BAD_RIGHT, CANNOT_GRANT when this device does not hold what it would hand on. */
  async grant(request: GrantRequest): Promise<GrantView[]> {
    const [on, to] = [this.on.groups.resolve(request.on), this.on.groups.resolve(request.who)]
    const ends = on.devices.flatMap((subject) =>
      to.devices.filter((did) => on.group === undefined || did !== subject).map((audience) => ({ subject, audience })),
    )
    const exp = Math.ceil((Math.max(this.on.clock.now(), request.fromMs ?? 0) + request.forMs) / 1_000)
    const rights = request.can.map(parseRight)
    const stale = request.maxStalenessMs === undefined ? {} : { [STALE_META]: Math.ceil(request.maxStalenessMs / 1_000) }
    const marks = { ...groupMarks({ on, to }), ...stale, ...(request.passOn === false ? { [LAST_LINK]: true } : {}) }
    const planned = rights.flatMap((right) => ends.map((end) => this.#plan(right, { ...end, exp, marks, fromMs: request.fromMs })))
    if (request.whatIf === true) return planned.map(({ by, fields }) => this.#view({ ...fields, iss: by.did, cid: '', bytes: new Uint8Array() }))
    return await this.issue(
      planned.map(({ by, fields }) => signDelegation(by, fields)),
      'grant.issue',
    )
  }

  /** Writes new links down, keeps them, and brings them with all they rest on to whom they concern. Whether they may be signed was asked before. */
  async issue(
    links: readonly Delegation[],
    action: 'grant.issue' | 'grant.import' | 'role.grant' | 'role.assign' | 'group.join' | 'grant.follow',
  ): Promise<GrantView[]> {
    const { keyring, records, telling, audit, mayGive } = this.on
    mayGive()
    for (const link of links) {
      await audit.append({
        ...{ actor: keyring.device.did, action, result: 'ok', subject: link.aud, grant: link.cid },
        details: {
          words: sayRight(link.cmd, link.pol, link.meta),
          ...(link.sub === null ? {} : { device: link.sub }),
          ...(link.exp === null ? {} : { expiresAt: link.exp * 1_000 }),
        },
      })
      await records.admit('delegations', link.bytes)
    }
    const concerned = [...new Set([...links.flatMap(({ aud, sub }) => [aud, ...(sub === null ? [] : [sub])]), ...this.#ownDevices()])]
    const carried = [...new Set([...links, ...links.flatMap((link) => this.#lineage.support(link))])].slice(0, SYNC.maxRecords)
    await telling.push(
      'delegations',
      carried.map((link) => link.bytes),
      concerned.filter((did) => did !== keyring.device.did),
    )
    return links.map((link) => this.#view(link))
  }

  list(): GrantView[] {
    return this.on.wallet
      .list()
      .map((link) => this.#view(link))
      .sort((a, b) => (a.device ?? '').localeCompare(b.device ?? '') || a.cid.localeCompare(b.cid))
  }

  /** What a request is about, and whose word takes it back. @throws NO_SUCH_GRANT, AMBIGUOUS_GRANT, CANNOT_REVOKE */
  plan(request: RevokeRequest): { readonly link: Delegation; readonly by: Identity }[] {
    return this.#chosen(request).map((link) => ({ link, by: this.#revoker(link) }))
  }

  /** @throws NO_SUCH_GRANT, AMBIGUOUS_GRANT, CANNOT_REVOKE */
  async revoke(request: RevokeRequest): Promise<RevokeView> {
    return await this.takeBack(this.#chosen(request), 'grant.revoke')
  }

  /** @throws CANNOT_REVOKE when neither this device nor its owner stands above one of them. */
  async takeBack(links: readonly Delegation[], action: 'grant.revoke' | 'role.unassign' | 'role.narrow' | 'group.leave', by?: Identity): Promise<RevokeView> {
    const { keyring, records, telling, audit } = this.on
    const signed = links.map((link) => ({ link, revocation: revoke(by ?? this.#revoker(link), link.cid, this.on.random) }))
    const stopped = new Set<string>()
    for (const { link, revocation } of signed) {
      await audit.append({
        actor: keyring.device.did,
        action,
        result: 'ok',
        subject: link.aud,
        grant: link.cid,
        details: { words: sayRight(link.cmd, link.pol, link.meta), ...(link.sub === null ? {} : { device: link.sub }) },
      })
      const kept = await records.admit('revocations', revocation.bytes)
      if (kept.verdict === 'refused') throw tooMany()
      for (const task of kept.stopped) stopped.add(task)
      telling.gossipRevocation(revocation.bytes)
    }
    const told = await telling.push(
      'revocations',
      signed.map(({ revocation }) => revocation.bytes),
    )
    for (const task of told.flatMap((one) => one.stopped)) stopped.add(task)
    const heard = told.filter((one) => one.acknowledged)
    const hearers = heard.map(({ did }) => did)
    const acks = heard.map(({ did, ms }) => ({ device: this.#name(did), ms }))
    return {
      grants: links.map((link) => link.cid),
      stopped: [...stopped],
      acknowledged: acks.map(({ device }) => device),
      acks,
      unreachable: unreached(links, hearers, { directory: this.on.directory, self: keyring.device.did }),
    }
  }

  #plan(right: Right, o: { subject: Did; audience: Did; exp: number; marks: AnyRecord; fromMs: number | undefined }): Planned {
    const { subject, audience, exp, marks, fromMs } = o
    const { cmd, pol, rate, limits } = right
    const to = this.on.directory.member(audience)
    refuseGuestGrant(to, { cmd, exp })
    const by = grantorFor(this.on, { subject, command: cmd, policy: pol, rate, limits, exp })
    if (by.did === audience) throw new ErrandError('CANNOT_GRANT', `${this.#name(audience)} already holds what it would be given`)
    const meta = { ...marks, ...rightMeta(right), ...(to?.kind === 'guest' ? { [LAST_LINK]: true } : {}) }
    const begins = fromMs === undefined ? {} : { nbf: Math.floor(fromMs / 1_000) }
    const nonce = this.on.random(NONCE_BYTES)
    return { by, fields: { aud: audience, sub: subject, cmd, pol, exp, nonce, ...begins, meta: { [SIGNED_META]: this.on.keyring.nowSeconds(), ...meta } } }
  }

  /** Who may sign this revocation here: the issuer of the link, or of one nearer the root. */
  #revoker(link: Delegation): Identity {
    const upstream = new Set([link.iss, ...this.#lineage.above(link).map((one) => one.iss)])
    const key = this.on.keyring.keys().find((one) => upstream.has(one.did))
    if (key !== undefined) return key
    throw new ErrandError('CANNOT_REVOKE', `grant ${link.cid} was not given by this device or its owner`, {
      hint: `who gave it can revoke it: ${this.#name(link.iss)}`,
    })
  }

  #chosen(request: RevokeRequest): Delegation[] {
    if (request.grant !== undefined) return [this.find(request.grant)]
    if (request.on === undefined) throw new ErrandError('BAD_REVOKE', 'name a grant, or a device with --on', { hint: 'errand grants lists them' })
    const { wallet, groups } = this.on
    const subjects: readonly (string | null)[] = groups.resolve(request.on).devices
    const audiences = request.to === undefined ? undefined : groups.resolve(request.to).devices
    const path = request.can === undefined ? '/' : commandOf(request.can)
    const fits = (link: Delegation): boolean =>
      subjects.includes(link.sub) &&
      (link.iss !== link.sub || !this.#isOwner(link.aud)) &&
      coversPath(path, link.cmd) &&
      (audiences === undefined || audiences.includes(link.aud)) &&
      this.#lineage.isLive(link)
    const chosen = wallet.list().filter((link) => fits(link) && this.#canRevoke(link))
    if (chosen.length === 0)
      throw new ErrandError('NO_SUCH_GRANT', `no live grant on ${request.on} that this device could take back fits that`, { hint: this.#othersHint(subjects) })
    return chosen
  }

  /** What a device itself gave the owner is never swept away by a filter: it is taken back there, by name. */
  #othersHint(subjects: readonly (string | null)[]): string {
    const root = this.on.wallet.list().find((link) => subjects.includes(link.sub) && link.iss === link.sub && this.#lineage.isLive(link))
    if (root === undefined) return 'errand grants lists them'
    const name = this.#name(root.iss)
    return `what ${name} gave ${this.#name(root.aud)} is taken back on ${name} itself: errand revoke ${root.cid.slice(-MIN_ID_CHARS)}`
  }

  /** A grant by its CID, or 6 characters at least of its beginning or end. @throws NO_SUCH_GRANT, AMBIGUOUS_GRANT */
  find(id: string): Delegation {
    const fitting = this.on.wallet.list().filter((link) => link.cid === id || (id.length >= MIN_ID_CHARS && (link.cid.startsWith(id) || link.cid.endsWith(id))))
    const [only] = fitting
    if (only === undefined)
      throw new ErrandError('NO_SUCH_GRANT', `no grant "${id}" is known here`, {
        hint: 'errand grants lists them; any unique prefix or suffix of 6 characters or more will do',
      })
    if (fitting.length > 1) throw new ErrandError('AMBIGUOUS_GRANT', `${fitting.length} grants fit "${id}"`, { hint: 'give more characters' })
    return only
  }

  #canRevoke(link: Delegation): boolean {
    const upstream = new Set([link.iss, ...this.#lineage.above(link).map((one) => one.iss)])
    return this.on.keyring.keys().some((key) => upstream.has(key.did))
  }

  #isOwner(did: string): boolean {
    return this.on.keyring.owner?.did === did || !this.on.directory.isKnown(did)
  }

  #ownDevices(): Did[] {
    return this.on.directory
      .members()
      .filter((member) => member.own)
      .map((member) => member.device as Did)
  }

  #view(link: Delegation): GrantView {
    const words = sayRight(link.cmd, link.pol, link.meta)
    const until =
      link.exp === null ? 'without end' : link.exp > this.on.keyring.nowSeconds() ? `for ${sayAbout(link.exp * 1_000 - this.on.clock.now())}` : 'expired'
    const device = link.sub === null ? null : this.#name(link.sub)
    return {
      cid: link.cid,
      issuer: this.#name(link.iss),
      audience: this.#name(link.aud),
      device,
      can: [words],
      words: `${this.#name(link.aud)} may ${words === 'everything' ? 'do everything' : words} on ${device ?? 'every device of the giver'}, ${until}${this.#sayStart(link)}${link.meta?.[LAST_LINK] === true ? ', not to be passed on' : ''}`,
      expiresAt: link.exp === null ? null : new Date(link.exp * 1_000).toISOString(),
      revoked: this.#lineage.isRevoked(link),
      parents: this.#lineage.above(link).map((one) => one.cid),
    }
  }

  #sayStart({ nbf }: Delegation): string {
    const ahead = (nbf ?? 0) * 1_000 - this.on.clock.now()
    return ahead > 0 ? `, beginning in ${sayAbout(ahead)}` : ''
  }

  #name(did: string): string {
    return this.on.directory.named(did)
  }
}

/** `exec`, `/exec/run` or a whole right: what commands a revocation is about. */
function commandOf(text: string): string {
  if (/^[a-z]+$/.test(text)) return `/${text}`
  return text.startsWith('/') ? text : parseRight(text).cmd
}

function tooMany(): ErrandError {
  const hint = 'let an owner revoke the others, or wait until they expire'
  return new ErrandError('CANNOT_REVOKE', 'this device has signed more revocations than the mesh keeps of one device', { hint })
}
