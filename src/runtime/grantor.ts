/** Which key of this device may sign a right, and what would be signed, in words. Signs nothing. */
import type { GrantRequest } from '../../protocols/local/messages.ts'
import type { Limits } from '../../protocols/task/limits.ts'
import type { Policy } from '../authority/policy.ts'
import type { Rate } from '../authority/rate.ts'
import type { Revocations } from '../authority/revocations.ts'
import { parseRight, wordsOfRight } from '../authority/rights.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Clock } from '../base/clock.ts'
import { sayAbout } from '../base/duration.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did, Identity } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { Keyring } from './keyring.ts'

export interface GrantorOn {
  readonly keyring: Keyring
  readonly wallet: Wallet
  readonly revocations: Revocations
  readonly directory: Pick<Directory, 'named' | 'resolve'>
  readonly clock: Clock
}

/** @param exp of what is to be signed, seconds. @throws CANNOT_GRANT */
export function grantorFor(
  { keyring, wallet, revocations, directory }: GrantorOn,
  o: { subject: Did; command: string; policy: Policy; rate?: Rate | undefined; limits?: Limits | undefined; exp: number },
): Identity {
  const { subject, command, policy, rate, limits, exp } = o
  const whys: string[] = []
  for (const key of new Set([keyring.device, ...keyring.keys()])) {
    const may = wallet.canDelegate({ issuer: key.did, subject, command, policy, rate, limits, now: keyring.nowSeconds(), revocations }, exp)
    if (may.ok) return key
    if (may.code !== 'NO_GRANT' || whys.length === 0) whys.unshift(may.why)
  }
  throw new ErrandError('CANNOT_GRANT', `this device cannot grant ${command} on ${directory.named(subject)}: ${whys[0] ?? 'it holds no such right'}`, {
    hint: 'run it on a device that holds the right: errand grants shows what this one holds',
  })
}

/** What a request would sign. @throws UNKNOWN_DEVICE, BAD_RIGHT, CANNOT_GRANT */
export function wordsOfGrant(on: GrantorOn, request: GrantRequest): string[] {
  const { directory, clock } = on
  const [subject, audience] = [directory.resolve(request.on), directory.resolve(request.who)]
  const exp = Math.ceil((Math.max(clock.now(), request.fromMs ?? 0) + request.forMs) / 1_000)
  const last = request.passOn === false ? ', not to be passed on' : ''
  return request.can.map(parseRight).map((right) => {
    grantorFor(on, { subject, command: right.cmd, policy: right.pol, rate: right.rate, limits: right.limits, exp })
    const words = wordsOfRight(right)
    return `${directory.named(audience)} may ${words === 'everything' ? 'do everything' : words} on ${directory.named(subject)}, for ${sayAbout(request.forMs)}${last}`
  })
}

/** @throws BAD_RIGHT, CANNOT_GRANT when this device could not grant it however briefly. */
export function refuseUngrantable(on: GrantorOn, subject: Did, can: readonly string[]): void {
  const exp = on.keyring.nowSeconds() + 1
  for (const { cmd, pol, rate, limits } of can.map(parseRight)) grantorFor(on, { subject, command: cmd, policy: pol, rate, limits, exp })
}
