/** What the street door is told at its making, and the rooms behind it that it serves. */
import type { Libp2pOptions } from 'libp2p'
import type { Announcement } from '../../protocols/announce/messages.ts'
import type { AuditLog } from '../audit/log.ts'
import type { Replica } from '../audit/replica.ts'
import type { Clock, Random } from '../base/clock.ts'
import type { Did, Identity } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { CallDoor } from './call.ts'
import type { Company } from './company.ts'
import type { ExecDoor } from './exec.ts'
import type { ForwardDoor } from './forward.ts'
import type { AdmitJoin } from './join.ts'
import type { PairDoor } from './pair.ts'
import type { SyncedRecords } from './sync.ts'

export interface MeshOptions {
  readonly identity: Identity
  readonly meshId: Uint8Array
  readonly version: string
  readonly listen: readonly string[]
  readonly bootstrap: readonly string[]
  readonly datastore: NonNullable<Libp2pOptions['datastore']>
  /** A device that joined as a guest. */
  readonly isGuest: boolean
  readonly discovery: { readonly mdns: boolean; readonly dht: boolean; readonly addressSync: boolean }
}

export interface MeshOn {
  readonly directory: Directory
  readonly company: Company
  /** A device of this mesh was refused at the door. */
  readonly refused: (seen: { readonly did: Did; readonly address: string; readonly code: string; readonly reason: string }) => void
  readonly records: SyncedRecords
  readonly door: ExecDoor
  readonly forwards: ForwardDoor
  readonly calls: CallDoor
  readonly joins: { readonly admit: AdmitJoin; readonly pairing: PairDoor }
  readonly auditLog: AuditLog
  readonly replica: Replica
  readonly mayRead: (did: Did) => boolean
  /** Told when the whole set of revocations was compared with a member. */
  readonly compared: (did: Did) => void
  /** What a member's clock said at hello. */
  readonly heardTime: (did: Did, ms: number) => void
  readonly describe: () => Omit<Announcement, 'v' | 'device' | 'seq'>
  /** The IP addresses of this machine now. */
  readonly machineAddresses: () => readonly string[]
  readonly clock: Clock
  readonly random: Random
  readonly log: (event: string, facts: Record<string, unknown>) => void
}
