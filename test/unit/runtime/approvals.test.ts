/** Commands that wait for somebody's yes: the shipped door, gate and waiting room of one device. */
import { expect, test } from 'vitest'
import { TAG, Waits } from '../../../protocols/exec/messages.ts'
import { decodeAs } from '../../../protocols/wire.ts'
import { revoke } from '../../../src/authority/revocations.ts'
import type { Check } from '../../../src/runtime/checks.ts'
import { settled } from '../base/hand-clock.ts'
import { carol, dave, decide, mayApprove, NEEDS, restarted, says, started, TASK, waiting } from './approvals-world.ts'
import { APPROVAL_WAIT_MS, declaredAs, device, laptop, World } from './door-world.ts'

test('it waits until somebody who may has said yes, then runs; log and history tell who', async () => {
  const { world, call } = await waiting()
  expect(await world.book.get(TASK)).toMatchObject({
    state: 'WAITING',
    why: 'approval',
    message: expect.stringMatching(/waits for approval by carol.*the right asks for/),
  })
  expect(started(world)).toBe(0)
  const frame = await call.link.read()
  expect(frame?.tag).toBe(TAG.waits)
  expect(decodeAs(Waits, frame?.payload.subarray() ?? new Uint8Array(), 4_096)).toMatchObject({ task: TASK, need: 1, have: 0 })
  expect(await decide(world, carol)).toMatchObject({ have: 1, need: 1 })
  expect(await world.book.get(TASK)).toMatchObject({ state: 'RUNNING', attempts: 1 })
  expect(world.audit.facts.map(({ action, actor }) => [action, actor])).toEqual([
    ['approval.request', laptop.did],
    ['approval.grant', carol.did],
    ['exec.start', laptop.did],
  ])
  const intents = world.audit.facts.map(({ details }) => details?.intent)
  expect(intents[0]).toMatch(/^[0-9a-f]{64}$/)
  expect(new Set(intents).size).toBe(1)
  expect(world.audit.facts[2]?.details?.approvedBy).toBe(carol.did)
})

test('it may have waited for longer than an invocation lives: the device runs it by itself, on the mandate that came meanwhile', async () => {
  const { world, call, chain } = await waiting()
  await call.link.write(TAG.mandate, world.mandate(laptop, chain, declaredAs(1)).bytes)
  await settled()
  world.clock.advance(400_000)
  await decide(world, carol)
  expect(world.executor.orders[0]?.warrant.caller).toBe(device.did)
})

test('without a mandate nothing that waited for longer than an invocation lives is run', async () => {
  const { world, call } = await waiting()
  world.clock.advance(400_000)
  const answer = call.answer()
  await decide(world, carol)
  expect(await answer).toMatchObject({ t: 'refused', code: 'DENIED', message: expect.stringContaining('no mandate was sent') })
  expect(started(world)).toBe(0)
  expect(world.audit.actions()).toEqual(['approval.request', 'approval.grant', 'exec.denied'])
})

test('a no ends the task, with its reason', async () => {
  const { world, call } = await waiting()
  const answer = call.answer()
  await decide(world, carol, { decision: 'deny', reason: 'not on a Friday' })
  expect(await answer).toMatchObject({ t: 'refused', code: 'DENIED', message: expect.stringContaining('not on a Friday') })
  expect(await world.book.get(TASK)).toMatchObject({ state: 'FAILED', why: 'refused' })
  expect(world.audit.actions()).toEqual(['approval.request', 'approval.deny'])
  expect(world.approvals.list()).toEqual([])
})

test('nobody decides: it fails when its time is up', async () => {
  const { world, call } = await waiting()
  const answer = call.answer()
  world.clock.advance(APPROVAL_WAIT_MS)
  await settled()
  expect(await answer).toMatchObject({ t: 'refused', code: 'APPROVAL_TIMEOUT' })
  expect(await world.book.get(TASK)).toMatchObject({ state: 'FAILED', why: 'refused' })
})

test('whoever asked leaves: it is cancelled, and no yes to it can be given any more', async () => {
  const { world, left } = await waiting()
  const late = says(world, carol)
  left.abort()
  await settled()
  expect(await world.book.get(TASK)).toMatchObject({ state: 'CANCELLED' })
  await expect(world.approvalGate.decide(late)).rejects.toMatchObject({ code: 'NO_SUCH_REQUEST' })
  expect(started(world)).toBe(0)
})

test('a caller that stays may take it back while it waits', async () => {
  const { world, call } = await waiting()
  await call.link.write(TAG.cancel, new Uint8Array())
  expect(await call.answer()).toMatchObject({ t: 'refused', code: 'CANCELLED' })
  expect(await world.book.get(TASK)).toMatchObject({ state: 'CANCELLED' })
  expect(world.approvals.list()).toEqual([])
})

test('the policy of a device may ask for people too; the most that any rule wants are asked, and one that refuses refuses', async () => {
  const policy: Check = { step: 'policy', judge: () => ({ ok: false, code: 'APPROVAL', detail: 'policy.yaml line 3', waitsFor: 'approval', approvals: 2 }) }
  const { world } = await waiting({ checks: [policy] })
  expect(world.approvals.list()).toMatchObject([{ need: 2, why: expect.stringContaining('policy.yaml line 3') }])
  const both = await World.open({ checks: [policy] })
  both.call(laptop, both.open(laptop, [both.grant(laptop, NEEDS(3))]))
  await settled()
  expect(both.approvals.list()).toMatchObject([{ need: 3 }])
  const no: Check = { step: 'approval', judge: () => ({ ok: false, code: 'NO', detail: 'never' }) }
  const strict = await World.open({ checks: [policy, no] })
  expect(await strict.call(laptop, strict.open(laptop, [strict.grant(laptop)])).answer()).toMatchObject({ t: 'refused', message: 'never' })
})

test('a rule that comes while it waits for a place is asked at the start: nobody said yes, so it does not begin', async () => {
  let asks = false
  const policy: Check = {
    step: 'policy',
    judge: () => (asks ? { ok: false, code: 'A', detail: 'a new rule', waitsFor: 'approval' } : { ok: true, detail: '' }),
  }
  const world = await World.open({ slots: 1, queue: 1, checks: [policy] })
  world.call(laptop, world.open(laptop, [world.grant(laptop)]))
  await settled()
  const second = world.call(laptop, world.open(laptop, [world.grant(laptop)]))
  await settled()
  asks = true
  world.executor.started[0]?.exit(0)
  expect(await second.answer()).toMatchObject({ t: 'refused', message: expect.stringContaining('a new rule') })
  expect(started(world)).toBe(1)
})

test('a detached one waits on after a restart, with the yes that it has; the right behind that is asked again', async () => {
  const { world } = await waiting({ need: 2, detached: true })
  const link = mayApprove(world, carol)
  await decide(world, carol, { chain: [link] })
  const next = await restarted(world)
  expect(await next.book.get(TASK)).toMatchObject({ state: 'WAITING', why: 'approval' })
  expect(next.approvals.list()).toMatchObject([{ need: 2, approvedBy: [carol.did] }])
  expect(await decide(next, dave)).toMatchObject({ have: 2 })
  expect(await next.book.get(TASK)).toMatchObject({ state: 'RUNNING' })
  expect(next.audit.facts.find(({ action }) => action === 'exec.start')?.details?.approvedBy).toBe(`${carol.did} ${dave.did}`)
  const other = await waiting({ need: 2, detached: true })
  await decide(other.world, carol, { chain: [link] })
  const later = await restarted(other.world, ({ revocations, random }) => void revocations.add(revoke(device, link.cid, random).bytes))
  expect(later.approvals.list()).toMatchObject([{ approvedBy: [] }])
})

test('once it runs nothing of its approvals is left', async () => {
  const { world } = await waiting({ detached: true })
  await decide(world, carol)
  expect(started(world)).toBe(1)
  await settled()
  expect(world.approvals.restsOn(TASK)).toBeUndefined()
  expect(await world.store.shelf('approvals').get(TASK)).toBeUndefined()
})
