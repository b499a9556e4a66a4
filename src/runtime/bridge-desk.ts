/**
 * The bridge to UCAN 0.8: takes a JWT that begins with a right of this device or its owner and gives its holder the same as a grant of ours;
 * writes a grant as such a JWT. Only at a person's word, never on the way of a command. Spec: protocols/bridge/README.md.
 */
import { createHash } from 'node:crypto'
import type { ExportGrantRequest, ExportView, ImportGrantRequest, ImportView } from '../../protocols/local/messages.ts'
import type { Fact } from '../audit/facts.ts'
import type { Revocations } from '../authority/revocations.ts'
import { sayRight } from '../authority/rights.ts'
import { type Delegation, signDelegation } from '../authority/token.ts'
import { boundsOf, everyToken, type OldToken, OldTokenError, pathTo, readOldToken, sealOldToken } from '../authority/ucan08.ts'
import { type Claim, judgeOldToken } from '../authority/ucan08-judge.ts'
import { capabilityOf, type ForeignRight, rightOf } from '../authority/ucan08-rights.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Clock } from '../base/clock.ts'
import { sayAbout } from '../base/duration.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Did, Identity } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import { DenialMeter } from './denial.ts'
import { type Keyring, NONCE_BYTES } from './keyring.ts'
import type { RightsDesk } from './rights-desk.ts'
import type { BridgeRoom } from './runtime.ts'

export interface BridgeOn {
  readonly keyring: Keyring
  readonly wallet: Wallet
  readonly revocations: Revocations
  readonly directory: Directory
  readonly rights: Pick<RightsDesk, 'issue' | 'list' | 'find'>
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly clock: Clock
  /** The bundled thread that holds the library of 0.8. */
  readonly bridgeFile: string
}

interface Proven {
  readonly right: ForeignRight
  readonly root: Identity
  readonly claim: Claim
}

export class BridgeDesk implements BridgeRoom {
  readonly #denials: DenialMeter
  #isChecking = false

  constructor(private readonly on: BridgeOn) {
    this.#denials = new DenialMeter(on.clock)
  }

  /** Shows what a token would give; signs it when that was agreed to. @throws OldTokenError, CANNOT_GRANT, REVOKED, BUSY */
  async import({ token, agreed }: ImportGrantRequest): Promise<ImportView> {
    if (this.#isChecking) throw new ErrandError('BUSY', 'another token is being checked', { hint: 'try again in a moment', retryable: true })
    this.#isChecking = true
    try {
      const old = readOldToken(token)
      const links = await this.#linksFor(token, old)
      const grants = agreed === true ? await this.on.rights.issue(links, 'grant.import') : []
      return { holder: this.#named(old.iss), gives: links.map((link) => this.#words(link)), expiresAt: iso(boundsOf(old).exp), grants }
    } catch (thrown) {
      await this.#refused(asErrand(thrown))
      throw thrown
    } finally {
      this.#isChecking = false
    }
  }

  /** @throws NO_SUCH_GRANT, AMBIGUOUS_GRANT, CANNOT_EXPORT */
  async export({ grant }: ExportGrantRequest): Promise<ExportView> {
    const { keyring, rights, audit } = this.on
    const link = rights.find(grant)
    const view = rights.list().find(({ cid }) => cid === link.cid)
    const key = keyring.keys().find(({ did }) => did === link.iss)
    const now = keyring.nowSeconds()
    if (view?.revoked !== false) throw cannotExport('it was revoked')
    if (link.exp !== null && link.exp <= now) throw cannotExport('it has expired')
    if ((link.nbf ?? 0) > now) throw cannotExport('it is not valid yet, and ucans takes no proof that began later than it was made', 'export it when it is')
    if (key === undefined) throw cannotExport(`it was given by ${this.#named(link.iss)}, whose key is not here`, 'who gave it can export it')
    const said = capabilityOf(link)
    if (!said.ok) throw cannotExport(said.why)
    await audit.append({
      ...{ actor: keyring.device.did, action: 'grant.export', result: 'ok', subject: link.aud, grant: link.cid },
      details: { words: sayRight(link.cmd, link.pol), expiresAt: said.exp * 1_000, ...(link.sub === null ? {} : { device: link.sub }) },
    })
    const jwt = sealOldToken(key, { aud: link.aud, exp: said.exp, att: [said.capability], grant: link.cid })
    return { jwt, issuer: key.did, audience: link.aud, capability: said.capability, words: view.words, expiresAt: iso(said.exp) }
  }

  /** In this order: what costs comes late, and what was proven is weighed again by our own rules. */
  async #linksFor(text: string, old: OldToken): Promise<Delegation[]> {
    this.#addressed(old) //                                              1. to this device or its owner, by somebody else
    this.#timely(old) //                                                 2. every token in it, by our clock
    this.#alive(old) //                                                  3. no grant that it was written for was taken back
    const proven = old.att.map((capability) => this.#proven(old, rightOf(capability), capability)) // 4. ours from the root, in our own reading
    const claims = proven.map(({ claim }) => claim)
    await judgeOldToken(this.on.bridgeFile, { token: text, audience: old.aud, claims }, this.on.clock) // 5. and in that of the library
    const { exp } = boundsOf(old)
    this.#timely(old) //                                                 6. still
    return proven.map(({ right, root }, at) => this.#sign(text, { at, right, root, audience: old.iss, exp }))
  }

  #addressed({ aud, iss }: OldToken): void {
    const own = this.on.keyring.keys().map(({ did }) => did)
    if (!own.includes(aud))
      throw new OldTokenError('WRONG_AUDIENCE', `the token is for ${this.#named(aud)}, and not for this device`, `its holder addresses it to ${own.at(-1)}`)
    if (own.includes(iss)) throw new ErrandError('CANNOT_GRANT', `the token is ${this.#named(iss)}'s own, who holds what it gives already`)
    if (!this.on.directory.isMember(iss))
      throw new ErrandError('UNKNOWN_DEVICE', `the token was made by ${iss}, which is no device of this mesh`, {
        hint: 'a grant is for a device: invite it first',
      })
  }

  #timely(old: OldToken): void {
    const now = this.on.keyring.nowSeconds()
    const { exp, nbf } = boundsOf(old)
    if (exp <= now) throw new OldTokenError('TOKEN_EXPIRED', `the token, or one of its proofs, expired ${now - exp} s ago`)
    if (nbf > now) throw new OldTokenError('TOKEN_TOO_EARLY', `the token, or one of its proofs, is valid in ${nbf - now} s only`)
  }

  #alive(old: OldToken): void {
    const { keyring, revocations, rights } = this.on
    const named = everyToken(old).flatMap(({ grants }) => grants)
    const own = new Set(keyring.keys().map(({ did }) => did))
    const known = new Map(rights.list().map((view) => [view.cid, view.revoked]))
    const dead = named.find((cid) => known.get(cid) === true || revocations.revokedBy(cid, own) !== undefined)
    if (dead !== undefined) throw revoked(`the grant ${dead} that this token was written for was revoked`)
  }

  #proven(old: OldToken, right: ForeignRight, capability: { with: string; can: string }): Proven {
    const root = this.on.keyring.keys().find(({ did }) => pathTo(did, old, capability) !== undefined)
    if (root !== undefined) return { right, root, claim: { ...capability, root: root.did } }
    throw new OldTokenError(
      'NOT_PROVEN',
      `no chain of proofs begins with this device or its owner and gives ${JSON.stringify(capability.can)} on ${this.#named(right.subject)}`,
      'only what was given from here can come back: errand grant export makes such a token',
    )
  }

  /** The same token always becomes the same grants: importing it twice gives nothing twice, and what was revoked stays revoked. */
  #sign(text: string, o: { at: number; right: ForeignRight; root: Identity; audience: Did; exp: number }): Delegation {
    const { wallet, revocations, keyring } = this.on
    const { at, right, root, audience, exp } = o
    const { subject, cmd, pol } = right
    const may = wallet.canDelegate({ issuer: root.did, subject, command: cmd, now: keyring.nowSeconds(), revocations }, exp)
    if (!may.ok) throw new ErrandError('CANNOT_GRANT', `${this.#named(root.did)} cannot grant ${cmd} on ${this.#named(subject)}: ${may.why}`)
    const nonce = new Uint8Array(createHash('sha256').update(`${text} ${at}`).digest().subarray(0, NONCE_BYTES))
    const link = signDelegation(root, { aud: audience, sub: subject, cmd, pol, exp, nonce })
    if (revocations.kills([...may.chain, link]) !== undefined) throw revoked('what this token gives was revoked here')
    return link
  }

  async #refused(error: ErrandError): Promise<void> {
    const self = this.on.keyring.device.did
    if (this.#denials.take(self) === undefined) return
    await this.on.audit.append({ actor: self, action: 'grant.import', result: 'denied', details: { reason: `${error.code}: ${error.message}` } })
  }

  #words({ cmd, pol, sub, exp, aud }: Delegation): string {
    const words = sayRight(cmd, pol)
    const left = sayAbout((exp ?? 0) * 1_000 - this.on.clock.now())
    const what = words === 'everything' ? 'do everything' : words === '/exec/run' ? 'run any command, as any user' : words
    return `${this.#named(aud)} may ${what} on ${this.#named(sub ?? '')}, for ${left}`
  }

  #named(did: string): string {
    return this.on.directory.named(did)
  }
}

function iso(seconds: number): string {
  return new Date(seconds * 1_000).toISOString()
}

function revoked(message: string): ErrandError {
  return new ErrandError('REVOKED', message, { hint: 'give a new grant, and export that' })
}

function cannotExport(why: string, hint = 'grant it anew in a form that UCAN 0.8 can hold'): ErrandError {
  return new ErrandError('CANNOT_EXPORT', `this grant cannot be written as a UCAN 0.8 token: ${why}`, { hint })
}
