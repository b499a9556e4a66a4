/** Gives this device a new key: the old one names it, everybody is told, and the node starts again under it. The old key is gone from this device then. */
import type { RotateView } from '../../protocols/local/devices.ts'
import { DOMAIN } from '../../protocols/wire.ts'
import type { Fact } from '../audit/facts.ts'
import { type Clock, pause, type Random } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { seal } from '../identity/envelope.ts'
import { Identity } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import { acceptance } from '../registry/succession.ts'
import type { Keyring } from './keyring.ts'
import type { Telling } from './rights-desk.ts'
import { wordsOf } from './words.ts'

const MAX_PROOF_BYTES = 8_192
const SETTLE_MS = 1_000

/** What the runtime offers of it. */
export interface SuccessionRoom {
  /** Takes effect with the next start, which has to come at once. @throws BUSY while commands run; NOT_A_MEMBER, TOO_MANY_KEYS */
  rotate(): Promise<RotateView>
}

export interface SuccessionDeskOn {
  readonly mesh: Uint8Array
  readonly keyring: Keyring
  readonly directory: Directory
  readonly telling: Pick<Telling, 'push'>
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly active: () => number
  /** Resolves when nothing runs; what has just ended may still be written down. */
  readonly idle: () => Promise<void>
  /** Puts the next key and its membership on the disk, where the next start finds them. */
  readonly keep: (next: Identity, membership: Uint8Array) => void
  readonly clock: Clock
  readonly random: Random
}

export class SuccessionDesk implements SuccessionRoom {
  constructor(private readonly on: SuccessionDeskOn) {}

  async rotate(): Promise<RotateView> {
    const { keyring, directory, audit, active, idle, telling, keep, clock, random } = this.on
    const { device } = keyring
    await Promise.race([idle(), pause(clock, SETTLE_MS)])
    if (active() > 0) throw new ErrandError('BUSY', `${active()} commands are running`, { hint: 'try again when they have ended', retryable: true })
    const next = new Identity(random(32))
    const membership = this.#record(next)
    keep(next, membership) // 1. on the disk before anybody knows of it: a successor whose key is lost would be the end of the device
    const words = `this log ends; it goes on in that of ${next.did}`
    await audit.append({ actor: device.did, action: 'device.succeeded', result: 'ok', subject: next.did, details: { words } })
    const told = await telling.push('members', [membership]) // 2. from here on the old key is nobody
    const heard = told.filter((one) => one.acknowledged).map(({ did }) => did)
    return {
      ...{ did: next.did, peerId: next.peerId, words: wordsOf(next.did), before: device.did },
      acknowledged: heard.map((did) => directory.nameOf(did) ?? did),
      unreachable: unreachedNames(directory, [...heard, device.did]),
    }
  }

  #record(next: Identity): Uint8Array {
    const { keyring, directory, mesh, clock } = this.on
    const { device, owner } = keyring
    const held = directory.membershipBytes(device.did)
    const member = directory.member(device.did)
    if (held === undefined || member === undefined) throw new ErrandError('NOT_A_MEMBER', 'this device is in the mesh no more', { hint: 'errand status' })
    if (owner === undefined && held.length > MAX_PROOF_BYTES) {
      throw new ErrandError('TOO_MANY_KEYS', 'this device has had too many keys to name another one itself', { hint: 'let an owner invite it again' })
    }
    const { v, name, kind, own, until, host } = member
    const stay = { ...(until === undefined ? {} : { until }), ...(host === undefined ? {} : { host }) }
    const accepts = acceptance(mesh, next, device.did)
    const at = Math.max(clock.now(), member.at + 1)
    const fields = { v, device: next.did, name, kind, own, at, proofs: [held], ...stay, succeeds: device.did, accepts }
    return seal(owner ?? device, DOMAIN.membership, mesh, fields)
  }
}

function unreachedNames(directory: Directory, heard: readonly string[]): string[] {
  return directory.members().flatMap(({ device, name }) => (heard.includes(device) ? [] : [name]))
}
