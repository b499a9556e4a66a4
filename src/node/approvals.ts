/** Approvals in a node: what waits here, who may decide on it, and the desk of this node's user. Builds, starts nothing. */
import { APPROVAL_GRANT } from '../authority/commands.ts'
import { systemClock as clock, systemRandom as random } from '../base/clock.ts'
import { asDid, type Did } from '../identity/identity.ts'
import type { MeshNode } from '../mesh/mesh.ts'
import { ApprovalDesk } from '../runtime/approval-desk.ts'
import { ApprovalDoor } from '../runtime/approval-door.ts'
import { ApprovalGate } from '../runtime/approval-gate.ts'
import { ApprovalWait } from '../runtime/approval-wait.ts'
import { Approvals } from '../runtime/approvals.ts'
import type { Check } from '../runtime/checks.ts'
import type { FarSide } from '../runtime/far.ts'
import { refuseUngrantable, wordsOfGrant } from '../runtime/grantor.ts'
import { RightsAskedHere } from '../runtime/rights-asked.ts'
import type { RightsDesk } from '../runtime/rights-desk.ts'
import { RightsWanted } from '../runtime/rights-wanted.ts'
import type { NodeParts } from './parts.ts'
import type { Cellar, Rooms } from './rooms.ts'

/** Names in a sentence. */
const MAX_NAMED = 8

export interface OpenedApprovals {
  readonly approvals: Approvals
  readonly approval: ApprovalWait
}

export function openApprovals(p: NodeParts, { store, audit }: Cellar, rooms: Rooms): OpenedApprovals {
  const { revocations, book } = rooms
  const approvals = new Approvals({
    ...{ self: p.device.did, revocations, clock, random, waitMs: p.config.security.approvalTimeoutMs },
    shelf: store.shelf('approvals'),
    isSamePerson: samePersonIn(rooms),
  })
  return { approvals, approval: new ApprovalWait({ approvals, approvers: (requester) => approversIn(p, rooms, requester), book, audit, clock }) }
}

export interface DeskOn {
  readonly approvals: Approvals
  readonly checks: readonly Check[]
  readonly rights: RightsDesk
  readonly side: FarSide
  readonly mesh: MeshNode
}

export interface OpenedDesk {
  readonly desk: ApprovalDesk
  readonly door: ApprovalDoor
  readonly asked: RightsAskedHere
  readonly wanted: RightsWanted
}

export function openApprovalDesk(p: NodeParts, { store, audit }: Cellar, rooms: Rooms, on: DeskOn): OpenedDesk {
  const { directory, revocations, records } = rooms
  const { approvals, checks, rights, side, mesh } = on
  const self = p.device.did
  const isSamePerson = samePersonIn(rooms)
  const gate = new ApprovalGate({
    self,
    revocations,
    approvals,
    audit,
    checks,
    clock,
    isSamePerson,
    named: (text, reader) => records.guests.named(text, reader),
  })
  const shelf = store.shelf('rights-asked')
  const grantorOn = { ...rooms, clock }
  const asked = new RightsAskedHere({
    ...{ shelf, audit, clock },
    refuseUngrantable: (device, can) => refuseUngrantable(grantorOn, device, can),
    mayAskAbout: (device, asker) => directory.isMember(device) && (directory.isMember(asker) || records.guests.knows(asker, device)),
  })
  const isOnline = (did: Did): boolean => mesh.lineTo(did) !== undefined
  const calls = mesh
  const wanted = new RightsWanted({ shelf, calls, isOnline, clock })
  const door = new ApprovalDoor({ gate, asked })
  const granters = (device: Did): Did[] => grantersIn(rooms, device)
  const desk = new ApprovalDesk({
    self,
    directory,
    side,
    calls,
    door,
    asked,
    wanted,
    rights,
    isOnline,
    isSamePerson,
    granters,
    clock,
    random,
    wordsOfGrant: (request) => wordsOfGrant(grantorOn, request),
  })
  return { desk, door, asked, wanted }
}

/** What the mesh knows of who is who: the devices that an owner called their own are one person's. */
function samePersonIn({ directory }: Rooms): (a: Did, b: Did) => boolean {
  const isOwn = (did: Did): boolean => directory.member(did)?.own === true
  return (a, b) => a === b || (isOwn(a) && isOwn(b))
}

/** Whose yes would count, as far as this device knows: the owner, this device, those who were given the right. */
function approversIn(p: NodeParts, rooms: Rooms, requester: Did): string[] {
  const { directory, owners, wallet, revocations } = rooms
  const self = p.device.did
  const isSamePerson = samePersonIn(rooms)
  const wanted = { subject: self, command: APPROVAL_GRANT, now: Math.floor(clock.now() / 1_000), revocations }
  const ownersMay = owners.list().some((owner) => wallet.find({ ...wanted, issuer: owner }).ok)
  const isOwners = (did: Did): boolean => directory.member(did)?.own === true
  const given = [...new Set(wallet.list().map(({ aud }) => aud))].filter((did) => directory.isMember(did) && wallet.find({ ...wanted, issuer: did }).ok)
  const others = [...new Set([...given, ...(ownersMay && isOwners(self) ? [] : [self])])].filter((did) => !isSamePerson(did, requester))
  const owner = ownersMay && !isOwners(requester) ? ['the owner'] : []
  return [...owner, ...others.map((did) => directory.nameOf(did) ?? did)].slice(0, MAX_NAMED)
}

/** The device itself, the owner's own, and whoever was given everything there. */
function grantersIn({ directory, wallet }: Rooms, device: Did): Did[] {
  const admins = wallet.list().filter(({ cmd, sub }) => cmd === '/' && (sub === null || sub === device))
  const own = directory.members().filter((member) => member.own)
  return [...new Set([device, ...own.map((member) => asDid(member.device)), ...admins.map(({ aud }) => aud)])].filter((did) => directory.isMember(did))
}
