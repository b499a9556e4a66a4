/** Everybody who tries to get around an approval: with a yes for something else, of their own, used before, bought, taken back, or none. */
import { decode, encode } from '@ipld/dag-cbor'
import { expect, test } from 'vitest'
import { APPROVALS_META } from '../../../protocols/approval/messages.ts'
import { digestOf } from '../../../src/authority/approval.ts'
import type { ExecRunArgs } from '../../../src/authority/commands.ts'
import { revoke } from '../../../src/authority/revocations.ts'
import { signDelegation } from '../../../src/authority/token.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import type { TaskId } from '../../../src/tasks/machine.ts'
import { settled } from '../base/hand-clock.ts'
import { carol, carol2, dave, decide, mayApprove, NEEDS, never, restarted, says, started, TASK, waiting } from './approvals-world.ts'
import { APPROVAL_WAIT_MS, type Call, device, laptop, mallory, owner, taskId, World } from './door-world.ts'

test('two of two: one person twice, two devices of one person, and somebody with the other’s right are one', async () => {
  const { world } = await waiting({ need: 2 })
  expect(await decide(world, carol)).toMatchObject({ have: 1, need: 2 })
  expect(await decide(world, carol)).toMatchObject({ have: 1 })
  expect(await decide(world, carol2)).toMatchObject({ have: 1 })
  expect(await decide(world, mallory, { chain: [mayApprove(world, carol), mayApprove(world, mallory, carol)] })).toMatchObject({ have: 1 })
  expect(started(world)).toBe(0)
  expect(await decide(world, dave)).toMatchObject({ have: 2 })
  expect(started(world)).toBe(1)
})

test.each<[name: string, code: string, o: (world: World) => { by: Identity } & Parameters<typeof says>[2]]>([
  ['who has no right to approve', 'DENIED', () => ({ by: mallory, chain: [] })],
  ['who asked', 'REFUSED_SELF_APPROVAL', () => ({ by: laptop })],
  [
    'somebody whom who asked has given the right',
    'REFUSED_SELF_APPROVAL',
    (world) => ({ by: mallory, chain: [mayApprove(world, laptop), mayApprove(world, mallory, laptop)] }),
  ],
  ['another command', 'REFUSED_OTHER_INTENT', () => ({ by: carol, args: { intent: new Uint8Array(32).fill(7) } })],
  ['another request', 'NO_SUCH_REQUEST', () => ({ by: carol, args: { request: new Uint8Array(16).fill(7) } })],
  ['somebody with a right to something else', 'DENIED', (world) => ({ by: carol, chain: [world.grant(carol)] })],
  ['a word of its own: approved', 'DENIED', () => ({ by: carol, args: { approved: true } })],
  ['another decision than the two', 'DENIED', () => ({ by: carol, decision: 'maybe' })],
])('refused and written down: the yes of %s', async (_name, code, o) => {
  const { world } = await waiting()
  const { by, ...rest } = o(world)
  await expect(decide(world, by, rest)).rejects.toMatchObject({ code })
  expect(started(world)).toBe(0)
  expect(world.audit.facts.at(-1)).toMatchObject({ action: 'approval.refused', actor: by.did, result: 'denied' })
})

test('a second device of who asked is who asked', async () => {
  const world = await World.open({ persons: [[laptop.did, carol.did]] })
  await waiting({ world })
  await expect(decide(world, carol)).rejects.toMatchObject({ code: 'REFUSED_SELF_APPROVAL' })
  expect(started(world)).toBe(0)
})

test('a right to approve that itself asks for approvals approves nothing', async () => {
  const { world } = await waiting()
  const exp = Math.floor(world.clock.now() / 1_000) + 60
  const link = signDelegation(device, { aud: carol.did, sub: device.did, cmd: '/approval/grant', pol: [], exp, nonce: world.random(16), ...NEEDS(1) })
  await expect(decide(world, carol, { chain: [link] })).rejects.toMatchObject({ code: 'DENIED' })
})

test('a yes is used once: sent again, for the same command asked again, and for the same task it is nothing', async () => {
  const { world } = await waiting()
  const yes = says(world, carol)
  await world.approvalGate.decide(yes)
  await settled()
  await expect(world.approvalGate.decide(yes)).rejects.toMatchObject({ code: 'DENIED' })
  world.executor.started[0]?.exit(0)
  await settled()
  const args = { task: taskId(2) }
  await waiting({ world, args })
  const [again] = world.approvals.list()
  expect(started(world)).toBe(1)
  const other = { ...says(world, carol).caller }
  const { invocation, proofs } = world.asks(carol, '/approval/grant', '', {
    chain: [mayApprove(world, carol)],
    args: {
      request: again?.request,
      intent: digestOf({ ...(again?.intent ?? never()), args: { ...again?.intent.args, task: TASK } }),
      decision: 'approve',
      reason: '',
    },
  })
  await expect(world.approvalGate.decide({ caller: other, invocation, proofs })).rejects.toMatchObject({ code: 'REFUSED_OTHER_INTENT' })
})

test('a yes that was meant for another device is none here', async () => {
  const { world } = await waiting()
  const [one] = world.approvals.list()
  const intent = digestOf({ ...(one?.intent ?? never()), device: owner.did })
  await expect(decide(world, carol, { args: { intent } })).rejects.toMatchObject({ code: 'REFUSED_OTHER_INTENT' })
})

test('a right to approve that is taken back before the start counts for nothing, whenever it was used', async () => {
  const { world, call } = await waiting({ need: 2 })
  const answer = call.answer()
  const link = mayApprove(world, carol)
  expect(await decide(world, carol, { chain: [link] })).toMatchObject({ have: 1 })
  world.revocations.add(revoke(device, link.cid, world.random).bytes)
  expect(await decide(world, dave)).toMatchObject({ have: 1, need: 2 })
  expect(started(world)).toBe(0)
  world.clock.advance(APPROVAL_WAIT_MS)
  expect(await answer).toMatchObject({ t: 'refused', code: 'APPROVAL_TIMEOUT' })
})

test('the same between the yes and the start, while it waits for a place', async () => {
  const world = await World.open({ slots: 1, queue: 3 })
  world.call(laptop, world.open(laptop, [world.grant(laptop)], { task: taskId(9) }))
  await settled()
  const { call } = await waiting({ world, args: { task: TASK } })
  const answer = call.answer()
  const link = mayApprove(world, carol)
  await decide(world, carol, { chain: [link] })
  expect(await world.book.get(TASK)).toMatchObject({ state: 'WAITING', why: 'queue' })
  world.revocations.add(revoke(device, link.cid, world.random).bytes)
  world.executor.started[0]?.exit(0)
  await settled()
  expect(await answer).toMatchObject({ t: 'refused', code: 'DENIED' })
  expect(started(world)).toBe(1)
  expect(await world.book.get(TASK)).toMatchObject({ state: 'FAILED', why: 'refused' })
})

test('what the caller declares of approvals changes nothing: a word too many is refused, one in its notes is ignored', async () => {
  const world = await World.open()
  const chain = [world.grant(laptop, NEEDS(1))]
  const odd = await world.call(laptop, world.open(laptop, chain, { approved: true } as Partial<ExecRunArgs>)).answer()
  expect(odd).toMatchObject({ t: 'refused', code: 'DENIED' })
  await waiting({ world })
  expect(started(world)).toBe(0)
})

test('whoever hands a right on cannot leave the question out, only ask more people', async () => {
  const world = await World.open()
  const exp = Math.floor(world.clock.now() / 1_000) + 3_600
  const root = world.grant(owner, { cmd: '/exec', ...NEEDS(2) })
  const leaf = signDelegation(owner, { aud: laptop.did, sub: device.did, cmd: '/exec/run', pol: [], exp, nonce: world.random(16) })
  world.call(laptop, world.open(laptop, [root, leaf]))
  await settled()
  expect(world.approvals.list()).toMatchObject([{ need: 2 }])
})

test.each([0, -1, 17, 1.5, '1', true, null].map((value) => [JSON.stringify(value), value]))(
  'a right that asks for %s approvals lets nothing run',
  async (_name, value) => {
    if (value === 1.5) return // no token can say it
    const world = await World.open()
    const answer = await world.call(laptop, world.open(laptop, [world.grant(laptop, { meta: { [APPROVALS_META]: value } })])).answer()
    expect(answer).toMatchObject({ t: 'refused', code: 'DENIED' })
  },
)

test('a flood of requests is refused beyond a few of one caller, and the others are heard', async () => {
  const world = await World.open()
  const chain = [world.grant(laptop, NEEDS(1))]
  const calls: Call[] = []
  for (let n = 1; n <= 20; n++) calls.push(world.call(laptop, world.open(laptop, chain, { task: taskId(n) })))
  await settled()
  expect(world.approvals.list()).toHaveLength(16)
  expect(await calls[17]?.answer()).toMatchObject({ t: 'refused', code: 'TOO_BUSY' })
  expect(await world.book.get(taskId(18) as TaskId)).toBeUndefined()
  world.call(dave, world.open(dave, [world.grant(dave, NEEDS(1))], { task: taskId(99) }))
  await settled()
  expect(world.approvals.list()).toHaveLength(17)
})

test('a right to something else shows nothing of what waits', async () => {
  const { world } = await waiting()
  const info = signDelegation(device, { aud: mallory.did, sub: device.did, cmd: '/device/info', pol: [], exp: null, nonce: world.random(16) })
  const shown = { caller: world.caller(mallory), ...world.asks(mallory, '/device/info', '', { args: {}, chain: [info] }) }
  await expect(world.approvalGate.list(shown)).rejects.toMatchObject({ code: 'DENIED' })
})

test('a right to approve that ends while others are waited for counts no more', async () => {
  const { world } = await waiting({ need: 2 })
  const exp = Math.floor(world.clock.now() / 1_000) + 60
  const link = signDelegation(device, { aud: carol.did, sub: device.did, cmd: '/approval/grant', pol: [], exp, nonce: world.random(16) })
  expect(await decide(world, carol, { chain: [link] })).toMatchObject({ have: 1 })
  world.clock.advance(61_000)
  expect(await decide(world, dave)).toMatchObject({ have: 1, need: 2 })
  expect(started(world)).toBe(0)
})

test('a yes that somebody moves on the disk to another request is none', async () => {
  const { world } = await waiting({ need: 2, detached: true })
  await decide(world, carol)
  await waiting({ world, need: 2, detached: true, args: { task: taskId(2) } })
  const shelf = world.store.shelf('approvals')
  const [given, other] = await Promise.all([shelf.get(TASK), shelf.get(taskId(2))])
  const { evidence } = decode(given ?? new Uint8Array()) as { evidence: unknown[] }
  expect(evidence).toHaveLength(1)
  await shelf.put(taskId(2), encode({ ...(decode(other ?? new Uint8Array()) as object), evidence }))
  const next = await restarted(world)
  expect(next.approvals.list().map(({ intent, approvedBy }) => [intent.args['task'], approvedBy])).toEqual([
    [TASK, [carol.did]],
    [taskId(2), []],
  ])
})
