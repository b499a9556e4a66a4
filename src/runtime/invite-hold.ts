/** Who may come in with a valid invite, and when: the device that its short code was typed on, after a person here has looked where one wants to. */
import type { Offer } from '../../protocols/join/messages.ts'
import type { InviteAnswer, InviteProgressView } from '../../protocols/local/messages.ts'
import type { Fact } from '../audit/facts.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import { checkOf } from './invite-code.ts'
import type { InviteProgress } from './invite-progress.ts'

export interface InviteHoldOn {
  readonly self: Did
  readonly progress: InviteProgress
  readonly audit: { append(fact: Fact): Promise<unknown> }
}

export interface NotThisOne {
  readonly code: 'INVITE_USED' | 'JOIN_DENIED'
  readonly message: string
  /** The invite is of no use to anybody any more. */
  readonly isSpent: boolean
}

export class InviteHold {
  constructor(private readonly on: InviteHoldOn) {}

  begin({ id, expiresAtMs }: { readonly id: string; readonly expiresAtMs: number }): void {
    this.on.progress.begin(id, expiresAtMs)
  }

  joined({ invite }: Offer, device: { readonly did: Did; readonly name: string }): void {
    this.on.progress.joined(invite, device)
  }

  /** @returns why not; undefined: it may come in. @throws JOIN_HELD until somebody has answered; the joiner asks again. */
  async look(offer: Offer, from: { readonly did: Did; readonly name: string; readonly address: string }, approve: boolean): Promise<NotThisOne | undefined> {
    const { did, name, address } = from
    const check = checkOf({ invite: offer.invite, inviter: this.on.self, joiner: did })
    const verdict = this.on.progress.look(offer.invite, { did, name, check }, { approve, expiresAtMs: offer.expiresAt * 1_000 })
    if (verdict === 'admit') return undefined
    if (verdict === 'other') return { code: 'INVITE_USED', message: 'this code is for another device, which came first', isSpent: false }
    if (verdict === 'denied') return { code: 'JOIN_DENIED', message: `somebody at ${offer.inviterName} said no`, isSpent: true }
    if (verdict === 'asked')
      await this.on.audit.append({ actor: did, action: 'device.join-asked', result: 'ok', subject: did, details: { name, from: address } })
    throw new ErrandError('JOIN_HELD', `waits until somebody at ${offer.inviterName} says yes`, { hint: 'ask again in a moment', retryable: true })
  }

  /** A person's word on whoever waits; in the log before it counts. @throws NO_SUCH_INVITE, NOBODY_WAITS */
  async answer(id: string, { allow }: InviteAnswer): Promise<InviteProgressView> {
    const { progress, audit, self } = this.on
    const device = progress.whoWaits(id)
    const said = allow ? ({ action: 'device.join-allowed', result: 'allowed' } as const) : ({ action: 'device.join-refused', result: 'denied' } as const)
    await audit.append({ ...said, actor: self, subject: device.did, details: { name: device.name } })
    return progress.answer(id, allow)
  }

  watch(id: string, o: { readonly after?: number | undefined; readonly signal: AbortSignal }): Promise<InviteProgressView> {
    return this.on.progress.watch(id, o)
  }
}
