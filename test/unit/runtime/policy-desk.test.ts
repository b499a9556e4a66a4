/** Policies as checks of the door: real files, real programs of this machine, and what is written down. */
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ExecRunArgs } from '../../../src/authority/commands.ts'
import { lookAround } from '../../../src/exec/look.ts'
import { PolicyKeeper } from '../../../src/policy/keeper.ts'
import type { Trust } from '../../../src/policy/schema.ts'
import { Workspaces } from '../../../src/policy/workspace.ts'
import { PolicyDesk } from '../../../src/runtime/policy-desk.ts'
import { HandClock, settled } from '../base/hand-clock.ts'
import { type Answer, device, laptop, owner, taskId, World } from './door-world.ts'

const uid = process.getuid?.() ?? 0
let root = ''
let trust: Trust | undefined
let roles: readonly string[] = []

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'desk-')))
  mkdirSync(join(root, 'work'))
  trust = undefined
  roles = []
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function policy(text: string): void {
  rmSync(join(root, 'policy.yaml'), { force: true })
  writeFileSync(join(root, 'policy.yaml'), text, { mode: 0o600 })
}

function workspace(text: string, at = 'work'): void {
  mkdirSync(join(root, at, '.errand'), { recursive: true, mode: 0o700 })
  writeFileSync(join(root, at, '.errand', 'security.yaml'), text, { mode: 0o600 })
}

function deskOf(): PolicyDesk {
  const on = {
    path: join(root, 'policy.yaml'),
    lastPath: join(root, 'last.yaml'),
    owner: { uid },
    clock: new HandClock(),
    write: () => undefined,
    told: () => undefined,
  }
  return new PolicyDesk({
    ...{ self: device.did, standings: [new PolicyKeeper(on)], workspaces: new Workspaces({ uid }), ground: lookAround({ home: root }) },
    of: { trustOf: () => trust, rolesOf: () => roles, may: () => false },
  })
}

async function open(): Promise<World> {
  return await World.open({ checks: deskOf().checks() })
}

const LS = { exe: 'ls', argv: [] as string[] }

async function ask(world: World, args: Partial<ExecRunArgs>, by = laptop): Promise<Answer | 'runs'> {
  const call = world.call(by, world.open(by, by === device ? [] : [world.grant(by)], args))
  const started = world.executor.started.length
  const answer = call.answer()
  await settled()
  const command = world.executor.started[started]
  if (command === undefined) return await answer
  command.exit(0)
  await answer
  return 'runs'
}

test('a yes and a no both say in the log which policy it was, by its hash', async () => {
  policy('exec: { deniedCommands: [ls] }')
  const world = await open()
  expect(await ask(world, { exe: 'true', argv: [] })).toBe('runs')
  expect(await ask(world, LS)).toMatchObject({ t: 'refused', code: 'DENIED', message: 'ls is denied here (exec.deniedCommands, policy.yaml line 1)' })
  const [start, , denied] = world.audit.facts
  expect(start).toMatchObject({ action: 'exec.start', details: { policyApplied: expect.stringMatching(/^policy\.yaml@[0-9a-f]{16} bafy/) } })
  expect(denied).toMatchObject({ action: 'exec.denied', details: { policyApplied: expect.stringMatching(/^policy\.yaml@[0-9a-f]{16}$/) } })
})

test('without a policy nothing is looked up but the directory, and the log names the chain alone', async () => {
  const world = await open()
  expect(await ask(world, LS)).toBe('runs')
  expect(world.executor.judged).toEqual([{ cwd: root }])
  expect(world.audit.facts[0]?.details?.policyApplied).toMatch(/^bafy\w+$/)
})

test('what was looked at is what the executor has to run: the real program, the real directory, the shortest time', async () => {
  policy('exec: { maxTimeout: 10m }')
  workspace('exec: { maxTimeout: 5s }')
  const world = await open()
  expect(await ask(world, { ...LS, cwd: join(root, 'work') })).toBe('runs')
  expect(world.executor.judged).toEqual([{ cwd: join(root, 'work'), file: lookAround().program('ls').file, timeoutMs: 5_000 }])
  expect(await ask(world, { ...LS, timeoutMs: 300_000 })).toBe('runs')
  expect(await ask(world, { ...LS, timeoutMs: 700_000 })).toMatchObject({ t: 'refused', message: expect.stringContaining('may take 10m here') })
})

/** A command that was let in, and whose start is on its way to the disk until `durable` is called. */
async function starting(world: World) {
  let durable = (): void => undefined
  world.audit.wait = new Promise((resolve) => {
    durable = resolve
  })
  const answer = world.call(laptop, world.open(laptop, [world.grant(laptop)], LS)).answer()
  await settled()
  return { answer, durable: () => durable() }
}

test('an edit between the request and its start counts', async () => {
  const world = await open()
  const { answer, durable } = await starting(world)
  policy('exec: { deniedCommands: [ls] }')
  durable()
  expect(await answer).toMatchObject({ t: 'refused', code: 'DENIED', message: expect.stringContaining('ls is denied here') })
  expect(world.executor.started).toHaveLength(0)
  expect(world.audit.actions()).toEqual(['exec.start', 'exec.end'])
})

test('an edit in that moment that allows it all the same is still not what was written down: it is asked for again', async () => {
  policy('exec: { deniedCommands: [rm] }')
  const world = await open()
  const { answer, durable } = await starting(world)
  policy('exec: { deniedCommands: [dd] }')
  durable()
  expect(await answer).toMatchObject({ t: 'refused', message: 'the policy of this device changed while the command was starting' })
  expect(world.executor.started).toHaveLength(0)
})

test('a directory that is a link is the directory it leads to', async () => {
  policy(`exec: { allowedWorkDirs: [${join(root, 'work')}] }`)
  mkdirSync(join(root, 'other'))
  symlinkSync(join(root, 'other'), join(root, 'work', 'out'))
  symlinkSync(join(root, 'work'), join(root, 'in'))
  const world = await open()
  expect(await ask(world, { ...LS, cwd: join(root, 'in') })).toBe('runs')
  expect(await ask(world, { ...LS, cwd: join(root, 'work', 'out') })).toMatchObject({ t: 'refused', code: 'DENIED' })
  expect(await ask(world, LS)).toMatchObject({ t: 'refused', code: 'DENIED' })
})

test('a workspace cannot be entered past its policy, by a link or from below', async () => {
  workspace('exec: { deniedCommands: [ls] }')
  mkdirSync(join(root, 'work', 'src'))
  symlinkSync(join(root, 'work', 'src'), join(root, 'side'))
  const world = await open()
  for (const cwd of ['work', 'work/src', 'side']) expect(await ask(world, { ...LS, cwd: join(root, cwd) }), cwd).toMatchObject({ t: 'refused' })
  expect(await ask(world, LS)).toBe('runs')
})

test('a spoilt policy of a workspace stops what would run there, the device’s own commands too, and nothing else', async () => {
  workspace('exec: { deniedCommands: [ls] }')
  chmodSync(join(root, 'work', '.errand', 'security.yaml'), 0o666)
  const world = await open()
  const said = { t: 'refused', message: expect.stringContaining('other users of the machine can change it') }
  expect(await ask(world, { ...LS, cwd: join(root, 'work') })).toMatchObject(said)
  expect(await ask(world, { ...LS, cwd: join(root, 'work') }, device)).toMatchObject(said)
  expect(await ask(world, LS)).toBe('runs')
})

test('a device whose policy never was good works for itself alone', async () => {
  policy('exec: {')
  const world = await open()
  expect(await ask(world, LS)).toMatchObject({ t: 'refused', code: 'DENIED', message: expect.stringContaining('the policy of this device cannot be read') })
  expect(await ask(world, LS, device)).toBe('runs')
})

test('trust and roles are asked of those who know them', async () => {
  policy('minimumTrustLevel: verified\nallowedRoles: [ci]\n')
  const world = await open()
  expect(await ask(world, LS)).toMatchObject({ t: 'refused', message: expect.stringContaining('nobody has said that your device is trusted') })
  trust = 'trusted'
  expect(await ask(world, LS)).toMatchObject({ t: 'refused', message: expect.stringContaining('you come with no role, and only ci may do this here') })
  roles = ['ci']
  expect(await ask(world, LS)).toBe('runs')
  trust = 'untrusted'
  expect(await ask(world, LS)).toMatchObject({ t: 'refused', message: expect.stringContaining('your device is untrusted, and verified is asked for here') })
})

test('what has to be approved is no no yet, and does not run', async () => {
  policy('exec: { requireApproval: [ls] }')
  const [approval] = deskOf().checks().slice(-1)
  const world = await open()
  expect(approval?.step).toBe('approval')
  world.call(laptop, world.open(laptop, [world.grant(laptop)], LS))
  await settled()
  expect(world.executor.started).toHaveLength(0)
  expect(await ask(world, { exe: 'true', argv: [] })).toBe('runs')
})

test('a right to see tasks needs the trust that is asked for; whoever submitted one sees and ends it all the same', async () => {
  policy('enforceTrust: true')
  const world = await World.open({ checks: deskOf().checks() })
  const task = { id: taskId(1) as never, submittedBy: laptop.did }
  await world.gate.admit('/task/cancel', task, { caller: world.caller(laptop), invocation: new Uint8Array(), proofs: [] })
  const asked = () => world.asks(owner, '/task/read', task.id, { chain: [world.grant(owner, { cmd: '/task/read' })] })
  await expect(world.gate.admit('/task/read', task, { caller: world.caller(owner), ...asked() })).rejects.toMatchObject({ code: 'DENIED' })
  trust = 'verified'
  await world.gate.admit('/task/read', task, { caller: world.caller(owner), ...asked() })
})
