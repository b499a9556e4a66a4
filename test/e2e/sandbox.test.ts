/** Bounds on real nodes: what a right, a policy and a caller say becomes what holds a command, and the log says so. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { DeviceView, Status } from '../../protocols/local/messages.ts'
import { sandboxTools } from '../../scripts/sandbox/tools.mjs'
import { failureOf, jsonOf, type Node, until, type World, world } from '../support/world.ts'

/** What alice gets of bob, and all she gets. */
const RIGHT = 'exec: sh; memory 48MiB; processes 16; no-network; sandbox processes'

let w: World
let alice: Node
let bob: Node
let holds: NonNullable<Status['sandbox']>

beforeAll(async () => {
  const { bwrap, said } = sandboxTools()
  if (!bwrap) console.error(`${said}; refusals are checked in the place of promises`)
  w = world()
  alice = await w.founder('alice')
  bob = await w.joiner(alice, 'bob', { invite: ['--ask', RIGHT, '--for', '1h'] })
  holds = await until('bob knows what it can enforce', async () => jsonOf<Status>(await w.errand(bob.home, 'status', '--json')).sandbox)
})
afterAll(async () => {
  await w[Symbol.asyncDispose]()
})

const can = (...names: string[]): boolean => names.every((name) => holds.limits.includes(name))

test('a device says what it can enforce: to its mesh, and to whoever asks how it is', async () => {
  const seen = await until('alice has heard it', async () =>
    (await w.devices(alice.home)).find(({ name, capabilities }) => name === 'bob' && capabilities?.sandbox !== undefined),
  )
  expect((seen as DeviceView).capabilities).toMatchObject({ sandbox: holds.level, limits: holds.limits })
  const { findings } = jsonOf<{ findings: { name: string; ok: boolean; hint?: string }[] }>(await w.errand(bob.home, 'doctor', '--json'))
  expect(findings.map(({ name }) => name)).toEqual(expect.arrayContaining(['node', 'sandbox', 'limits']))
  for (const { ok, name, hint } of findings)
    if (!ok && name !== 'problem') expect(typeof hint === 'string' || name === 'limits' || name === 'sandbox').toBe(true)
})

test('the bounds of a right are what holds its commands, without a word of who uses it; the log says how', async () => {
  expect((await w.errand(alice.home, 'grants')).stdout).toContain('exec: sh …; memory 48MiB; processes 16; no-network; sandbox processes')
  const hog = await w.errand(alice.home, 'run', 'bob', '--json', '--', 'sh', '-c', 'head -c 300m /dev/zero | tail')
  if (!can('memory', 'processes', 'network')) return expect(failureOf(hog)).toMatchObject({ code: 'DENIED' })
  expect(hog.stdout).toContain('stopped: it needed more memory than its 48MiB')
  expect(hog.stdout).toContain('"why":"limit"')
  const seen = await w.run(
    alice.home,
    'bob',
    'sh',
    '-c',
    `cat ${bob.home}/identity/device.pem; ls -A ${bob.home}; tail -n +3 /proc/net/dev | cut -d: -f1; kill -0 ${bob.ready === undefined ? 1 : bob.process.child.pid}`,
  )
  expect(seen.stdout.trim()).toBe('lo')
  const wider = await w.errand(alice.home, 'run', 'bob', '--memory', '1GiB', '--', 'sh', '-c', 'true')
  expect(wider.code).toBe(126)
  expect(wider.stderr).toContain('asks for memory 1GiB, and its right holds it to memory 48MiB')
  const starts = await w.audit(bob.home, '--action', 'exec.start')
  expect(starts.map(({ sandbox }) => sandbox)).toEqual(
    expect.arrayContaining([expect.stringMatching(/^processes: bwrap, cgroup v\d; memory 48MiB; processes 16; no-network$/)]),
  )
})

test('a right that is handed on keeps its bounds: a wider one is not signed', async () => {
  const wider = await w.errand(
    alice.home,
    'grant',
    'alice',
    '--on',
    'bob',
    '--can',
    'exec: sh; memory 96MiB; processes 16; no-network; sandbox processes',
    '--for',
    '10m',
  )
  expect(wider.stderr).toContain('memory 96MiB, and it has memory 48MiB')
})

test('a policy holds everything to its bounds, the device’s own commands too, and refuses who asks for more', async () => {
  writeFileSync(join(bob.home, 'policy.yaml'), 'version: 1\nexec:\n  minimumSandbox: files\n  maxMemory: 64MiB\n', { mode: 0o600 })
  const work = w.at('work')
  mkdirSync(work)
  const run = await until('the policy is in force', async () => {
    const ran = await w.errand(bob.home, 'run', 'bob', '--cwd', work, '--', 'sh', '-c', `touch here ${w.root}/beside; ls ${bob.home}`)
    return ran.stderr.includes('No such file') || ran.code === 126 ? ran : undefined
  })
  if (holds.level !== 'files' || !can('memory')) return expect(run.code).toBe(126)
  expect(existsSync(join(work, 'here'))).toBe(true)
  expect(existsSync(join(w.root, 'beside'))).toBe(false)
  const more = await w.errand(bob.home, 'run', 'bob', '--memory', '1GiB', '--', 'true')
  expect(more.stderr).toContain('a command may take memory 64MiB here, and memory 1GiB was asked for')
  expect(readFileSync(join(bob.home, 'identity', 'device.pem'), 'utf8')).toContain('PRIVATE KEY')
})
