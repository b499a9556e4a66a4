/** A command of the laptop that waits for a yes, and the ways to give, forge and lose one. */
import { APPROVALS_META } from '../../../protocols/approval/messages.ts'
import { digestOf } from '../../../src/authority/approval.ts'
import type { ExecRunArgs } from '../../../src/authority/commands.ts'
import { type AnyRecord, type Delegation, signDelegation } from '../../../src/authority/token.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import type { Check } from '../../../src/runtime/checks.ts'
import { Recovery } from '../../../src/runtime/recovery.ts'
import type { TaskId } from '../../../src/tasks/machine.ts'
import { settled } from '../base/hand-clock.ts'
import { device, keyOf, laptop, taskId, World } from './door-world.ts'

export const [carol, dave, carol2] = [keyOf(11), keyOf(12), keyOf(13)]
export const TASK = taskId(1) as TaskId
export const NEEDS = (count: number): { meta: AnyRecord } => ({ meta: { [APPROVALS_META]: count } })

/** A command of the laptop that waits, and the ways to say something about it. */
export async function waiting(o: { need?: number; detached?: boolean; world?: World; args?: Partial<ExecRunArgs>; checks?: readonly Check[] } = {}) {
  const world = o.world ?? (await World.open({ persons: [[carol.did, carol2.did]], ...(o.checks === undefined ? {} : { checks: o.checks }) }))
  const left = new AbortController()
  const chain = [world.grant(laptop, o.checks === undefined ? NEEDS(o.need ?? 1) : {})]
  const call = world.call(laptop, world.open(laptop, chain, o.args ?? {}, { detached: o.detached ?? false }), { signal: left.signal })
  await settled()
  return { world, call, left, chain }
}

export const mayApprove = (world: World, to: Identity, by: Identity = device): Delegation => {
  const exp = Math.floor(world.clock.now() / 1_000) + 3_600
  return signDelegation(by, { aud: to.did, sub: device.did, cmd: '/approval/grant', pol: [], exp, nonce: world.random(16) })
}

/** What `by` sends about the one command that waits. */
export function says(world: World, by: Identity, o: { args?: AnyRecord; chain?: readonly Delegation[]; decision?: string; reason?: string } = {}) {
  const [one] = world.approvals.list()
  if (one === undefined) throw new Error('nothing waits')
  const { decision = 'approve', reason = '' } = o
  const args = { request: one.request, intent: digestOf(one.intent), decision, reason, ...o.args }
  const chain = o.chain ?? [mayApprove(world, by)]
  return { caller: world.caller(by), ...world.asks(by, '/approval/grant', '', { args, chain }) }
}

export const decide = async (world: World, by: Identity, o: Parameters<typeof says>[2] = {}) => {
  const seen = await world.approvalGate.decide(says(world, by, o))
  await settled()
  return seen
}

export const started = ({ executor }: World): number => executor.started.length

export async function restarted(world: World, prepare: (next: World) => void = () => undefined): Promise<World> {
  world.disk.powerCut()
  const next = await World.open({ before: world })
  prepare(next)
  const { book, live, audit, clock, places, door } = next
  const executor = { follow: () => Promise.reject(new Error('nothing runs')), left: () => undefined }
  await new Recovery({
    ...{ self: device.did, executor, book, live, places, door, audit, clock },
    submitter: { watchEnd: () => undefined },
    directory: { nameOf: () => 'bob' },
  }).recover([])
  await settled()
  return next
}

export function never(): never {
  throw new Error('nothing waits')
}
