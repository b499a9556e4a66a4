/** The joining side: what a device says to become a member, and how it checks what it is told. Dials nobody itself. */

import { createHash } from 'node:crypto'
import type { Ask, Welcome } from '../../protocols/join/messages.ts'
import { Genesis, Membership } from '../../protocols/member/messages.ts'
import { DOMAIN, decodeAs, Envelope, MAX_ENVELOPE_BYTES, NO_MESH, sameBytes } from '../../protocols/wire.ts'
import { signDelegation, signInvocation } from '../authority/token.ts'
import type { Clock, Random } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { type Opened, open } from '../identity/envelope.ts'
import type { Did, Identity } from '../identity/identity.ts'
import { Orders } from '../registry/orders.ts'
import { Owners } from '../registry/owners.ts'
import type { ReadCode } from './invite-code.ts'
import { NONCE_BYTES } from './keyring.ts'
import { rightFields } from './offers.ts'

const ASK_LIFE_SECONDS = 120

/** A mesh as its members know it: the id is the hash of the genesis document. */
export interface KnownMesh {
  readonly id: Uint8Array
  readonly genesis: Genesis
  /** The signed document. */
  readonly bytes: Uint8Array
}

/** @throws BAD_GENESIS unless one of its own owners signed it. */
export function readGenesis(bytes: Uint8Array): KnownMesh {
  try {
    const { value, by } = open(Genesis, DOMAIN.genesis, NO_MESH, bytes)
    if (!value.owners.includes(by)) throw new TypeError('signed by nobody who owns it')
    const [, payload] = decodeAs(Envelope, bytes, MAX_ENVELOPE_BYTES)
    return { id: new Uint8Array(createHash('sha256').update(payload).digest()), genesis: value, bytes }
  } catch (cause) {
    throw new ErrandError('BAD_GENESIS', `the genesis document of this mesh does not hold: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    })
  }
}

/** @throws BAD_MEMBERSHIP unless it is a signed membership of this mesh. Whether the signer may admit devices is the directory's to judge. */
export function readMembership(mesh: KnownMesh, bytes: Uint8Array): Membership {
  return openMembership(mesh, bytes).value
}

function openMembership(mesh: KnownMesh, bytes: Uint8Array): Opened<Membership> {
  try {
    return open(Membership, DOMAIN.membership, mesh.id, bytes)
  } catch (cause) {
    throw new ErrandError('BAD_MEMBERSHIP', `the membership does not hold: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

export interface JoinerOn {
  readonly device: Identity
  readonly clock: Clock
  readonly random: Random
  readonly version: string
}

/** The ask: the invite key hands its right on to this device, the device invokes it on this connection, and gives exactly what was offered. */
export function makeAsk(code: ReadCode, o: JoinerOn & { readonly name: string; readonly challenge: Uint8Array }): Ask {
  const { device, random } = o
  const { offer, inviteKey, inviter } = code
  const now = Math.floor(o.clock.now() / 1_000)
  const nonce = (): Uint8Array => random(NONCE_BYTES)
  const handed = signDelegation(inviteKey, { aud: device.did, sub: inviter, cmd: '/mesh/join', pol: [], exp: offer.expiresAt, nonce: nonce() })
  const invocation = signInvocation(device, {
    sub: inviter,
    aud: inviter,
    cmd: '/mesh/join',
    args: { device: device.did, name: o.name },
    prf: [offer.proof, handed.cid],
    nonce: Buffer.concat([o.challenge, random(NONCE_BYTES)]),
    exp: now + ASK_LIFE_SECONDS,
    iat: now,
  })
  const owner = offer.owner as Did
  const gives = offer.mine
    ? [signDelegation(device, { aud: owner, sub: device.did, cmd: '/', pol: [], exp: null, nonce: nonce() })]
    : offer.asks.map((right) => signDelegation(device, { ...rightFields(right), aud: owner, sub: device.did, nonce: nonce() }))
  return { t: 'ask', v: 1, version: o.version, invocation: invocation.bytes, proofs: [handed.bytes], gives: gives.map((link) => link.bytes) }
}

/** Checks a welcome against the code: the mesh is the one that was invited to, and the membership is this device's own. @throws BAD_WELCOME */
export function checkWelcome(welcome: Welcome, code: ReadCode, device: Did): { mesh: KnownMesh; membership: Membership } {
  const bad = (why: string): ErrandError =>
    new ErrandError('BAD_WELCOME', `the inviting device answered wrongly: ${why}`, { hint: 'do not join this mesh with this code' })
  const mesh = readGenesis(welcome.genesis)
  if (!sameBytes(mesh.id, code.meshId)) throw bad('it leads into another mesh than the code says')
  const owners = ownersIn(mesh, welcome.orders)
  if (!owners.has(code.offer.owner)) throw bad('the code gives power over this device to somebody who does not own the mesh')
  const { value: membership, by } = openMembership(mesh, welcome.membership)
  if (!owners.counts(by, welcome.membership) && membership.proofs.length === 0) throw bad('nobody who may admit signed the membership')
  if (membership.device !== device) throw bad('the membership is that of another device')
  if (membership.own !== code.offer.mine || membership.kind !== code.offer.kind) throw bad('the membership is not what the code offered')
  return { mesh, membership }
}

/** Who owns a mesh, by what was brought along: the signatures in it say so, whoever brought it. */
function ownersIn(mesh: KnownMesh, brought: readonly Uint8Array[] = []): Owners {
  const orders = new Orders(new Owners(mesh))
  for (const bytes of brought) orders.admit(bytes)
  return orders.owners
}
