/**
 * What a revocation would end, without revoking: on this device, and on every one that can be asked. The question is signed by who would sign
 * the revocation and can never be one; so it tells nobody more than revoking would.
 */
import { BINDING, QUESTION_META } from '../../protocols/authority/messages.ts'
import { type Answer, type Ask, CALL, WHAT_IF } from '../../protocols/call/messages.ts'
import type { RevokeRequest, RevokeView } from '../../protocols/local/messages.ts'
import { sameBytes } from '../../protocols/wire.ts'
import { diesWith } from '../authority/chain.ts'
import { type Killed, REVOKE, type Revocations, type RevocationView } from '../authority/revocations.ts'
import { type Delegation, decodeInvocation, linkTo, signInvocation } from '../authority/token.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Clock, Random } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did, Identity } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { ExecCaller } from './exec-admission.ts'
import type { LiveCommands } from './live.ts'
import type { RateGate } from './rates.ts'
import type { RightsDesk } from './rights-desk.ts'
import type { CallRoute } from './task-finder.ts'
import { unreached } from './unreached.ts'

const ASK_MS = 5_000
const TTL_SECONDS = 120

export interface WhatIfOn {
  readonly self: Did
  readonly rights: Pick<RightsDesk, 'plan'>
  readonly live: Pick<LiveCommands, 'killedBy'>
  readonly wallet: Wallet
  readonly revocations: Revocations
  readonly directory: Directory
  readonly calls: CallRoute
  readonly isOnline: (did: Did) => boolean
  readonly clock: Clock
  readonly random: Random
}

interface Planned {
  readonly link: Delegation
  readonly by: Identity
}

/** A set of revocations that has these too. */
class Supposed implements RevocationView {
  readonly #signers = new Map<string, Set<Did>>()

  constructor(supposed: readonly { readonly of: string; readonly by: Did }[]) {
    for (const { of, by } of supposed) this.#signers.set(of, (this.#signers.get(of) ?? new Set()).add(by))
  }

  kills(chain: readonly Delegation[]): Killed | undefined {
    const upstream = new Set<Did>()
    for (const link of chain) {
      upstream.add(link.iss)
      const signers = [link.cid, diesWith(link) ?? ''].flatMap((cid) => [...(this.#signers.get(cid) ?? [])])
      const by = signers.find((signer) => upstream.has(signer))
      if (by !== undefined) return { link, words: `the grant would be revoked by ${by}` }
    }
    return undefined
  }
}

/** Answers others: which tasks here would end. */
export class Suppositions {
  constructor(private readonly on: Pick<WhatIfOn, 'live' | 'clock'> & { readonly rates: Pick<RateGate, 'take'> }) {}

  /** @throws DENIED for a question that was not signed for this connection, now; TOO_BUSY, before any signature is looked at. */
  answer({ supposed = [] }: Pick<Ask, 'supposed'>, caller: Pick<ExecCaller, 'challenge' | 'did'>): Answer {
    this.on.rates.take(caller.did)
    const now = Math.floor(this.on.clock.now() / 1_000)
    const revocations = supposed.map((bytes) => {
      const { iss, sub, cmd, args, meta, exp, nonce } = decodeInvocation(bytes)
      const isQuestion = cmd === REVOKE && sub === iss && meta?.[QUESTION_META] === true
      const isFresh = exp !== null && exp + BINDING.skewSeconds > now && exp <= now + BINDING.ttlSeconds + BINDING.skewSeconds
      const isHere = sameBytes(nonce.subarray(0, BINDING.challengeBytes), caller.challenge)
      if (!isQuestion || !isFresh || !isHere) throw new ErrandError('DENIED', 'that is no question about a revocation, asked on this connection')
      return { of: String(args['ucan']), by: iss }
    })
    return { tasks: [], stops: this.on.live.killedBy(new Supposed(revocations)).slice(0, CALL.maxStops) }
  }
}

export class WhatIf {
  constructor(private readonly on: WhatIfOn) {}

  /** @throws NO_SUCH_GRANT, AMBIGUOUS_GRANT, CANNOT_REVOKE, as revoking would */
  async revoke(request: RevokeRequest): Promise<RevokeView> {
    const { self, rights, live, directory, isOnline } = this.on
    const plan = rights.plan(request)
    const supposed = new Supposed(plan.map(({ link, by }) => ({ of: link.cid, by: by.did })))
    const others = directory.members().map(({ device }) => device as Did)
    const asked = await Promise.all(others.filter((did) => did !== self && isOnline(did)).map((did) => this.#ask(did, plan)))
    const answered = asked.filter((one) => one !== undefined)
    const direct = plan.map(({ link }) => link)
    return {
      grants: [...new Set([...direct, ...this.#resting(supposed)].map(({ cid }) => cid))],
      stopped: [...new Set([...live.killedBy(supposed), ...answered.flatMap(({ stops }) => stops)])],
      acknowledged: answered.map(({ did }) => directory.named(did)),
      acks: answered.map(({ did, ms }) => ({ device: directory.named(did), ms })),
      unreachable: unreached(
        direct,
        answered.map(({ did }) => did),
        { directory, self },
      ),
      whatIf: true,
    }
  }

  async #ask(did: Did, plan: readonly Planned[]): Promise<{ did: Did; stops: string[]; ms: number } | undefined> {
    const { calls, clock } = this.on
    const begun = clock.monotonic()
    const ask = (far: { challenge: Uint8Array }): Promise<Ask> =>
      Promise.resolve({ question: WHAT_IF, task: '', supposed: plan.slice(0, CALL.maxSupposed).map((one) => this.#suppose(one, far.challenge)), ...NO_PROOF })
    try {
      const { stops = [] } = await calls.call(did, ask, { signal: AbortSignal.timeout(ASK_MS) })
      return { did, stops: [...stops], ms: Math.round(clock.monotonic() - begun) }
    } catch {
      return undefined // it is among the unreachable
    }
  }

  /** It expires and is marked: of both, a revocation is neither. */
  #suppose({ link, by }: Planned, challenge: Uint8Array): Uint8Array {
    const { clock, random } = this.on
    return signInvocation(by, {
      ...{ sub: by.did, cmd: REVOKE, args: { ucan: linkTo(link.cid) }, prf: [], meta: { [QUESTION_META]: true } },
      nonce: Buffer.concat([challenge, random(BINDING.randomBytes)]),
      exp: Math.floor(clock.now() / 1_000) + TTL_SECONDS,
    }).bytes
  }

  /** Grants that live now and would have no living way to their root. */
  #resting(supposed: RevocationView): Delegation[] {
    const { wallet, revocations } = this.on
    const both: RevocationView = { kills: (chain) => revocations.kills(chain) ?? supposed.kills(chain) }
    return wallet.list().filter((link) => this.#lives(link, revocations) && !this.#lives(link, both))
  }

  #lives(link: Delegation, view: RevocationView): boolean {
    const now = Math.floor(this.on.clock.now() / 1_000)
    if (link.sub === null || (link.exp !== null && link.exp <= now)) return false
    if (link.iss === link.sub) return view.kills([link]) === undefined
    const above = this.on.wallet.find({ issuer: link.iss, subject: link.sub, command: link.cmd, now, revocations: view })
    return above.ok && view.kills([...above.chain, link]) === undefined
  }
}

const NO_PROOF = { invocation: new Uint8Array(), proofs: [] }
