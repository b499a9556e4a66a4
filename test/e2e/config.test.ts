/** The settings as a user meets them: `errand config`, the file behind it, and a node that goes by both. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Status } from '../../protocols/local/messages.ts'
import { failureOf, jsonOf, until, type World, world } from '../support/world.ts'

interface Setting {
  readonly name: string
  readonly value: unknown
  readonly from: string
  readonly where: string
  readonly line: number | null
}

async function listed(w: World, home: string): Promise<Record<string, Setting>> {
  const ran = await w.errand(home, 'config', 'list', '--json')
  if (ran.code !== 0) throw new Error(`no list: ${ran.stdout}${ran.stderr}`)
  return Object.fromEntries(jsonOf<Setting[]>(ran).map((one) => [one.name, one]))
}

const put = (home: string, name: string, text: string): void => writeFileSync(join(home, name), text, { mode: 0o600 })

test('without a file everything is a default; a change makes the file, and the next one keeps what a person wrote into it', async () => {
  await using w = world()
  const home = w.at('fresh')
  const before = await listed(w, home)
  expect(existsSync(home)).toBe(false)
  expect(new Set(Object.values(before).map(({ from }) => from))).toEqual(new Set(['default']))
  expect(before['deployment.queueSize']).toMatchObject({ value: 1_024, where: 'default' })
  const set = await w.errand(home, 'config', 'set', 'deployment.queueTimeout', '30m')
  expect(set).toMatchObject({ code: 0, stdout: expect.stringMatching(/deployment\.queueTimeout = 30m {2}runtime\.yaml line 3/) })
  put(home, 'runtime.yaml', `# ours\n${readFileSync(join(home, 'runtime.yaml'), 'utf8')}`)
  expect((await w.errand(home, 'config', 'set', 'slots', '3')).code).toBe(0)
  expect(readFileSync(join(home, 'runtime.yaml'), 'utf8')).toBe('# ours\nversion: 1\ndeployment:\n  queueTimeout: 30m\n  maxConcurrentTasks: 3\n')
  expect((await w.errand(home, 'config', 'get', 'slots')).stdout).toBe('3\n')
  expect((await w.errand(home, 'config', 'get', 'deployment.queueTimeout')).stdout).toBe('30m\n')
  const after = await listed(w, home)
  expect(after['deployment.maxConcurrentTasks']).toMatchObject({ value: 3, from: 'file', where: 'runtime.yaml line 5', line: 5 })
  expect((await w.errand(home, 'config', 'list')).stdout).toMatch(/^deployment\.maxConcurrentTasks +3 +runtime\.yaml line 5 +\S/m)
})

test('what is no setting or no value for one is refused with what would be, and changes nothing', async () => {
  await using w = world()
  const home = w.home('alice')
  const before = readFileSync(join(home, 'runtime.yaml'), 'utf8')
  const set = async (...words: string[]): Promise<object> => failureOf(await w.errand(home, 'config', 'set', ...words, '--json'))
  expect(await set('deployment.maxConcurentTasks', '3')).toMatchObject({
    code: 'BAD_SETTING',
    message: 'unknown setting "deployment.maxConcurentTasks", did you mean "deployment.maxConcurrentTasks"?',
  })
  expect(await set('deployment.spoolBytes', '1KiB')).toMatchObject({ code: 'BAD_SETTING', message: expect.stringContaining('from 64KiB to 1TiB') })
  expect(await w.errand(home, 'config', 'get', 'transport')).toMatchObject({ code: 2, stderr: expect.stringContaining('transport.listen') })
  expect(readFileSync(join(home, 'runtime.yaml'), 'utf8')).toBe(before)
})

test('while a node runs, the list says what its command line and environment rule over', async () => {
  await using w = world()
  const home = w.home('alice', { name: 'paper', 'deployment.maxConcurrentTasks': 7 })
  const running = w.start(home, ['up', '--json', '--name', 'alice', '--preset', 'local', '--label', 'room=attic'], { env: { ERRAND_LOG: 'warn' } })
  await running.firstLine()
  const list = await listed(w, home)
  expect(list['name']).toMatchObject({ value: 'alice', from: 'flag', where: '--name' })
  expect(list['preset']).toMatchObject({ value: 'local', from: 'flag', where: '--preset' })
  expect(list['labels']).toMatchObject({ value: { room: 'attic' }, from: 'flag', where: '--label' })
  expect(list['log.level']).toMatchObject({ value: 'warn', from: 'environment', where: 'ERRAND_LOG' })
  expect(list['deployment.maxConcurrentTasks']).toMatchObject({ value: 7, from: 'file' })
  expect((await w.errand(home, 'config', 'set', 'slots', '9')).stderr).toContain('at its next start')
  await running.end('SIGTERM')
  const after = await listed(w, home)
  expect(after['name']).toMatchObject({ value: 'paper', from: 'file' })
  expect(after['log.level']).toMatchObject({ value: 'info', from: 'default' })
})

test('a home with config.yaml only starts as it did, and has runtime.yaml from its first change on', async () => {
  await using w = world()
  const home = w.home('alice')
  const old = '# mine\nname: alice\nmdns: false\nslots: 7 # few\n'
  put(home, 'config.yaml', old)
  expect(failureOf(await w.errand(home, 'up', '--json'))).toMatchObject({ code: 'CONFIG_TWICE', hint: expect.stringContaining('mv ') })
  rmSync(join(home, 'runtime.yaml'))
  const alice = await w.up(home)
  expect(alice.name).toBe('alice')
  expect(await slots(w, home)).toBe(7)
  await alice.stop()
  const set = await w.errand(home, 'config', 'set', 'slots', '5')
  expect(set).toMatchObject({ code: 0, stderr: expect.stringContaining('config.yaml.bak') })
  expect(readdirSync(home).filter((name) => name.includes('yaml'))).toEqual(['config.yaml.bak', 'runtime.yaml'])
  expect(readFileSync(join(home, 'config.yaml.bak'), 'utf8')).toBe(old)
  await w.up(home)
  expect(await slots(w, home)).toBe(5)
  expect((await listed(w, home))['transport.mdns']).toMatchObject({ value: false, from: 'file' })
})

test('a mode in the file says where the node listens', async () => {
  await using w = world()
  const alice = await w.founder('alice', { mode: 'remote-enabled' })
  expect(alice.ready.addresses.join()).not.toMatch(/^\/ip4\/127\.[^,]*$/)
  expect(jsonOf<Status>(await w.errand(alice.home, 'status', '--json'))).toMatchObject({ mode: 'remote-enabled', preset: 'lan' })
})

test('a device that allows no remote sessions runs its own commands and nobody else’s', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob', { config: { 'security.allowRemoteSessions': false } })
  expect((await w.run(bob.home, 'bob', 'echo', 'mine')).stdout).toBe('mine\n')
  expect(await w.run(alice.home, 'bob', 'echo', 'yours')).toMatchObject({
    code: 126,
    stdout: '',
    stderr: expect.stringMatching(/runs nothing for other devices/),
  })
})

async function slots(w: World, home: string): Promise<number> {
  const free = async (): Promise<number | undefined> => (await w.devices(home))[0]?.capabilities?.freeSlots
  await until('the device has described itself', async () => (await free()) !== undefined)
  return (await free()) ?? 0
}
