/** The side of a node that asks others: for commands, for tasks, and why something would run or not. Builds, starts nothing. */
import { v7 as uuidv7 } from 'uuid'
import { systemClock as clock, systemRandom as random } from '../base/clock.ts'
import type { Did } from '../identity/identity.ts'
import type { MeshNode } from '../mesh/mesh.ts'
import { AuditDesk } from '../runtime/audit-desk.ts'
import type { ExecDoor } from '../runtime/exec-door.ts'
import { FanDesk } from '../runtime/fan-desk.ts'
import { FarSide } from '../runtime/far.ts'
import type { LiveCommands } from '../runtime/live.ts'
import type { Questions } from '../runtime/questions.ts'
import type { RightsDesk } from '../runtime/rights-desk.ts'
import { SessionDesk } from '../runtime/session-desk.ts'
import { Submitter } from '../runtime/submit.ts'
import { TaskDesk } from '../runtime/task-desk.ts'
import { TaskFinder } from '../runtime/task-finder.ts'
import type { TaskSteward } from '../runtime/task-steward.ts'
import { WhatIf } from '../runtime/what-if.ts'
import { WhyDesk } from '../runtime/why-desk.ts'
import type { Ceiling } from './ceiling.ts'
import type { NodeParts } from './parts.ts'
import type { Cellar, Rooms } from './rooms.ts'
import { openViewing, type Viewing } from './viewing.ts'

export interface Asking {
  readonly submitter: Submitter
  readonly tasks: TaskDesk
  readonly whys: WhyDesk
  readonly whatIf: WhatIf
  readonly sessions: SessionDesk
  readonly log: AuditDesk
  readonly side: FarSide
  readonly viewing: Viewing
  readonly fans: FanDesk
}

export interface AskingOn {
  readonly mesh: MeshNode
  readonly door: ExecDoor
  readonly steward: TaskSteward
  readonly questions: Questions
  readonly rights: RightsDesk
  readonly live: LiveCommands
  readonly ceiling: Ceiling
}

export function openAsking(p: NodeParts, { store, audit }: Cellar, rooms: Rooms, on: AskingOn): Asking {
  const { mesh, door, steward, questions, rights, live } = on
  const { directory, wallet, revocations, records, book, keyring, roles } = rooms
  const { sessionForMs, sessionIdleMs, sessionLinksMs } = p.config.security
  const self = p.device.did
  const far = { keyring, route: mesh, door, clock, random }
  const side = new FarSide(far)
  const logs = { store: store.logs, mesh: p.mesh.id, nameOf: (did: Did) => directory.nameOf(did) }
  const isOnline = (did: Did): boolean => mesh.lineTo(did) !== undefined
  const toTasks = { self, book, directory, side, calls: mesh, isOnline }
  const whys = new WhyDesk({
    ...{ self, directory, keyring, wallet, revocations, side, calls: mesh, questions, clock, random, newTaskId: uuidv7 },
    lineTo: (did) => mesh.lineTo(did),
    meet: (did, o) => mesh.meet(did, o),
  })
  const telling = { push: mesh.push.bind(mesh), gossipRevocation: mesh.gossipRevocation.bind(mesh) }
  const sessions = new SessionDesk({
    ...{ keyring, wallet, revocations, directory, records, telling, book, audit, clock, random, newId: uuidv7 },
    ...{ shelf: store.shelf('sessions'), defaults: { forMs: sessionForMs, idleMs: sessionIdleMs }, linkSeconds: Math.ceil(sessionLinksMs / 1_000), roles },
  })
  const refreshLogs = (): Promise<void> => mesh.refreshLogs()
  const submitter = new Submitter({ ...far, directory, book, audit, newTaskId: uuidv7 })
  const tasks = new TaskDesk({ ...toTasks, steward, finder: new TaskFinder({ ...toTasks, logs, refreshLogs }), clock })
  const viewing = openViewing(p, rooms, on)
  return {
    ...{ submitter, tasks, viewing },
    fans: new FanDesk({ ...viewing, tasks, submitter, side, book, audit, live, newTaskId: uuidv7 }),
    log: new AuditDesk({ self, directory, logs, witnesses: rooms.replica.witnesses, refreshLogs }),
    ...{ whys, sessions },
    whatIf: new WhatIf({ self, rights, live, wallet, revocations, directory, calls: mesh, isOnline, clock, random }),
    side,
  }
}
