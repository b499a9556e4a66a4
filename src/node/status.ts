/** How a node is, as far as only the whole node knows it. */
import { LOCAL, type SandboxView, type Status } from '../../protocols/local/messages.ts'
import { systemClock as clock } from '../base/clock.ts'
import type { Identity } from '../identity/identity.ts'
import type { LocalRuntimeOn } from '../runtime/local.ts'
import { wordsOf } from '../runtime/words.ts'
import { isLoopback } from './addresses.ts'
import type { NodeParts } from './parts.ts'

export interface Seen {
  readonly addresses: string[]
  readonly name: string
  /** Why the log takes nothing at the moment. */
  readonly logRefusal: string | undefined
  /** Records that were changed on disk. */
  readonly damaged: readonly string[]
  /** What is wrong with a policy. */
  readonly policy: string | undefined
  /** What is wrong with the clock. */
  readonly time: string | undefined
  /** An owner has removed this device. */
  readonly isRemoved: boolean
  /** When this guest's time was over, milliseconds since the epoch. */
  readonly overSince: number | undefined
  readonly notices: string[]
  readonly sandbox: SandboxView | undefined
}

const REMOVED = 'this device was removed from the mesh by an owner: no other device talks to it (to come back: errand invite on an owner’s device)'

export function statusOf(
  p: NodeParts,
  { addresses, name, logRefusal, damaged, policy, time, isRemoved, overSince, notices, sandbox }: Seen,
): ReturnType<LocalRuntimeOn['status']> {
  const { did, peerId } = p.device
  const wrong = [isRemoved ? REMOVED : undefined, overSince === undefined ? undefined : over(overSince), logRefusal, policy, time].filter(
    (one) => one !== undefined,
  )
  const problems = [...wrong, ...damaged.map((key) => `the record ${key} was changed on disk`)]
  return {
    ...{ ready: true, apiVersion: LOCAL.version, did, peerId, name, words: wordsOf(did), version: p.version, pid: process.pid, addresses, problems },
    mesh: { id: Buffer.from(p.mesh.id).toString('hex'), name: p.mesh.genesis.name },
    uptimeSeconds: Math.round((clock.monotonic() - p.startedAt) / 1_000),
    healthy: problems.length === 0,
    ...(notices.length === 0 ? {} : { notices }),
    ...(sandbox === undefined ? {} : { sandbox }),
    api: p.api(),
    preset: p.config.transport.listen.length > 0 ? null : p.config.preset,
    localOnly: p.listen.every(isLoopback),
  }
}

function over(at: number): string {
  return `this device was a guest until ${new Date(at).toISOString()}: no other device talks to it (to come back: a new code, errand join)`
}

/** How a node is that waits to be invited. */
export function statusWithoutMesh({ did, peerId }: Identity, known: Pick<Status, 'name' | 'version' | 'uptimeSeconds' | 'api'>): Status {
  return {
    ...{ ready: true, apiVersion: LOCAL.version, did, peerId, words: wordsOf(did), mesh: null, pid: process.pid },
    ...{ addresses: [], devices: { known: 0, online: 0 }, tasks: { active: 0, total: 0 } },
    ...{ preset: 'local', mode: 'local-only', healthy: true, problems: [] },
    ...known,
  }
}
