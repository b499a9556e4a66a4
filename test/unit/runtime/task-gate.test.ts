/** Who may see and steer a task. */
import { beforeEach, expect, test } from 'vitest'
import { LAST_LINK } from '../../../src/authority/chain.ts'
import { SESSION } from '../../../src/authority/session.ts'
import { signDelegation } from '../../../src/authority/token.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { settled } from '../base/hand-clock.ts'
import { device, keyOf, laptop, mallory, owner, taskId, World } from './door-world.ts'

const TASK = { id: taskId(1) as never, submittedBy: laptop.did }
let world: World
beforeEach(async () => {
  world = await World.open()
})

test('whoever submitted a task sees and steers it, known by the connection, with no proof at all; so does the device itself', async () => {
  const nothing = { invocation: new Uint8Array(), proofs: [] }
  for (const command of ['/task/read', '/task/logs', '/task/cancel', '/task/pause', '/task/resume'] as const) {
    await world.gate.admit(command, TASK, { caller: world.caller(laptop), ...nothing })
    await world.gate.admit(command, TASK, { caller: world.caller(device), ...nothing })
  }
  expect(world.audit.facts).toEqual([])
})

test('anybody else with a right to this command does too', async () => {
  const chain = [world.grant(owner, { cmd: '/task/cancel' })]
  await world.gate.admit('/task/cancel', TASK, { caller: world.caller(owner), ...world.asks(owner, '/task/cancel', TASK.id, { chain }) })
  expect(world.audit.facts).toEqual([])
})

test('a right to everything about tasks is enough; one to see them is none to end them', async () => {
  const all = [world.grant(owner, { cmd: '/task' })]
  await world.gate.admit('/task/pause', TASK, { caller: world.caller(owner), ...world.asks(owner, '/task/pause', TASK.id, { chain: all }) })
  const read = [world.grant(owner, { cmd: '/task/read' })]
  const asked = world.asks(owner, '/task/cancel', TASK.id, { chain: read })
  await expect(world.gate.admit('/task/cancel', TASK, { caller: world.caller(owner), ...asked })).rejects.toMatchObject({ code: 'DENIED' })
})

test.each([
  ['no right', () => world.asks(mallory, '/task/read', TASK.id)],
  ['a right to run commands', () => world.asks(mallory, '/task/read', TASK.id, { chain: [world.grant(mallory)] })],
  ['an invocation for another task', () => world.asks(mallory, '/task/read', taskId(2), { chain: [world.grant(mallory, { cmd: '/task/read' })] })],
  ['an invocation for another command', () => world.asks(mallory, '/task/logs', TASK.id, { chain: [world.grant(mallory, { cmd: '/task/logs' })] })],
  [
    'an invocation for another connection',
    () => world.asks(mallory, '/task/read', TASK.id, { chain: [world.grant(mallory, { cmd: '/task/read' })], challenge: new Uint8Array(16) }),
  ],
  ['another one’s invocation', () => world.asks(owner, '/task/read', TASK.id, { chain: [world.grant(owner, { cmd: '/task/read' })] })],
])('with %s it is denied, and written down', async (_name, asked) => {
  const admitted = world.gate.admit('/task/read', TASK, { caller: world.caller(mallory), ...asked() })
  await expect(admitted).rejects.toMatchObject({ code: 'DENIED' })
  expect(world.audit.facts).toMatchObject([
    { action: 'task.denied', result: 'denied', actor: mallory.did, task: TASK.id, details: { command: ['/task/read'], requestedBy: mallory.did } },
  ])
})

test('an invocation counts once', async () => {
  const asked = world.asks(owner, '/task/read', TASK.id, { chain: [world.grant(owner, { cmd: '/task/read' })] })
  await world.gate.admit('/task/read', TASK, { caller: world.caller(owner), ...asked })
  await expect(world.gate.admit('/task/read', TASK, { caller: world.caller(owner), ...asked })).rejects.toMatchObject({ code: 'DENIED' })
  expect(world.audit.actions()).toEqual(['task.denied'])
})

test('a flood of questions does not become a flood of entries', async () => {
  for (let i = 0; i < 50; i++) {
    await world.gate.admit('/task/read', TASK, { caller: world.caller(mallory), ...world.asks(mallory, '/task/read', TASK.id) }).catch(() => undefined)
  }
  await settled()
  expect(world.audit.facts.length).toBe(20)
})

test('all tasks of a device are for whoever has the right to read them', async () => {
  const chain = [world.grant(owner, { cmd: '/task/read' })]
  await world.gate.admit('/task/read', undefined, { caller: world.caller(owner), ...world.asks(owner, '/task/read', '', { chain }) })
  const asked = world.asks(laptop, '/task/read', '')
  await expect(world.gate.admit('/task/read', undefined, { caller: world.caller(laptop), ...asked })).rejects.toMatchObject({ code: 'DENIED' })
})

const SESSION_ID = '019aa3c1-0000-7000-8000-00000000005e'
const key = keyOf(9)

/** Laptop's pass in a session, or in whichever way it is not one. */
function passOf(by = laptop, id = SESSION_ID): Uint8Array[] {
  const about = (from: Identity, to: Identity, last: boolean) =>
    signDelegation(from, {
      ...{ aud: to.did, sub: by.did, cmd: '/task', pol: [], exp: Math.floor(world.clock.now() / 1_000) + 60, nonce: world.random(16) },
      meta: { [SESSION]: id, ...(last ? { [LAST_LINK]: true } : {}) },
    }).bytes
  return [about(by, key, false), about(key, by, true)]
}

const IN_SESSION = { ...TASK, session: SESSION_ID }
const NOTHING = { invocation: new Uint8Array(), proofs: [] }

test('in a session a device sees and steers the tasks of that session; outside of any, all that it submitted', async () => {
  const caller = world.caller(laptop)
  await world.gate.admit('/task/cancel', IN_SESSION, { caller, ...NOTHING, session: passOf() })
  await world.gate.admit('/task/cancel', IN_SESSION, { caller, ...NOTHING })
  expect(world.audit.facts).toEqual([])
})

test.each([
  ['another session’s task', { ...TASK, session: SESSION_ID.replace('5e', '5f') }],
  ['a task of its device outside of any session', TASK],
  ['somebody else’s task that claims the same session', { ...IN_SESSION, submittedBy: mallory.did }],
  ['all tasks of the device', undefined],
])('in a session it gets nothing of %s, and that is written down with the session', async (_name, task) => {
  const shown = { caller: world.caller(laptop), ...NOTHING, session: passOf() }
  await expect(world.gate.admit('/task/read', task, shown)).rejects.toMatchObject({ code: 'DENIED', fields: { reason: 'OTHER_SESSION' } })
  expect(world.audit.facts).toMatchObject([{ action: 'task.denied', actor: laptop.did, session: SESSION_ID }])
})

test('a pass that was seen on the wire is of no use to another device, and neither is one of its own for our session', async () => {
  const caller = world.caller(mallory)
  await expect(world.gate.admit('/task/read', IN_SESSION, { caller, ...NOTHING, session: passOf() })).rejects.toMatchObject({ code: 'DENIED' })
  await expect(world.gate.admit('/task/read', IN_SESSION, { caller, ...NOTHING, session: passOf(mallory) })).rejects.toMatchObject({ code: 'DENIED' })
  expect(world.audit.actions()).toEqual(['task.denied', 'task.denied'])
})

test('a right to read all tasks that stands behind a session opens none', async () => {
  const meta = { [SESSION]: SESSION_ID }
  const exp = Math.floor(world.clock.now() / 1_000) + 60
  const link = (from: Identity, to: Identity, last: boolean) =>
    signDelegation(from, {
      ...{ aud: to.did, sub: device.did, cmd: '/task/read', pol: [], exp, nonce: world.random(16) },
      meta: last ? { ...meta, [LAST_LINK]: true } : meta,
    })
  const chain = [world.grant(owner, { cmd: '/task/read' }), link(owner, key, false), link(key, owner, true)]
  const asked = { caller: world.caller(owner), ...world.asks(owner, '/task/read', TASK.id, { chain }) }
  await expect(world.gate.admit('/task/read', TASK, asked)).rejects.toMatchObject({ code: 'DENIED', fields: { reason: 'OTHER_SESSION' } })
})

test('a right whose links say half of a session opens no task', async () => {
  const half = world.grant(owner, { cmd: '/task/read', meta: { [SESSION]: SESSION_ID, [LAST_LINK]: true } })
  const asked = { caller: world.caller(owner), ...world.asks(owner, '/task/read', TASK.id, { chain: [half] }) }
  await expect(world.gate.admit('/task/read', TASK, asked)).rejects.toMatchObject({ code: 'DENIED', fields: { reason: 'OTHER_SESSION' } })
})
