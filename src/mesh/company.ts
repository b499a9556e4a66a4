/** Who meets whom, and what is served on the line to a guest: commands, questions about them, and the records that concern it. Nothing else, in neither direction. */
import { CALL } from '../../protocols/call/messages.ts'
import { EXEC } from '../../protocols/exec/messages.ts'
import { HELLO } from '../../protocols/hello/messages.ts'
import { JOIN } from '../../protocols/join/messages.ts'
import { SYNC } from '../../protocols/sync/messages.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'

export interface Company {
  /** This device is itself a guest. */
  isGuestHere(): boolean
  isGuest(did: string): boolean
  /** Whether this device and that one meet unasked: members do; a guest and a device where its grants or its host say so. */
  mayMeet(did: Did): boolean
}

/** Named one by one: what is added to a node later is not a guest's until it stands here. */
const FOR_GUESTS: readonly string[] = [...HELLO.ids, ...JOIN.ids, ...EXEC.ids, ...CALL.ids, ...SYNC.ids]
const PING = /^\/errand\/[0-9a-f]{20}\/ping\/1\.0\.0$/

export function isForGuests(protocol: string): boolean {
  return FOR_GUESTS.includes(protocol) || PING.test(protocol)
}

/** A line between a member and a guest, whichever of them this is. */
export function isGuestLine(company: Company, did: string): boolean {
  return company.isGuestHere() || company.isGuest(did)
}

/** Why a guest and this device have nothing to say to each other; names nobody. */
export function refuseMeeting(company: Company, did: Did, direction: 'inbound' | 'outbound'): ErrandError | undefined {
  if (!company.isGuest(did)) return undefined
  if (company.isGuestHere())
    return new ErrandError('GUEST', 'guests do not meet each other', { hint: 'meet the devices that your grants name: errand devices' })
  if (direction === 'outbound' || company.mayMeet(did)) return undefined
  return new ErrandError('GUEST', 'this guest has nothing on this device', {
    hint: 'errand devices shows where it has; whoever invited it can grant more: errand grant',
  })
}

export function notForGuests(protocol: string): ErrandError {
  return new ErrandError('GUEST', `"${protocol}" is not for guests`)
}
