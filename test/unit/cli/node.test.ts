import { existsSync, readFileSync } from 'node:fs'
import { access, mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { commandLine, ended, says } from './command-line.ts'

const errand = await commandLine()

test('up in the foreground says once that it is ready, and ends with the node', async () => {
  const child = errand.start(['up', '--json', '--label', 'gpu=1', '--label', 'room=attic', '--listen', '/ip4/127.0.0.1/tcp/0'])
  const done = ended(child)
  await says(child, '"ready"')
  const down = await errand.run(['down'])
  expect([down.code, down.stderr]).toEqual([0, ''])
  expect(down.stdout).toMatch(/^✓ stopped in |^â/)
  const { code, stdout } = await done
  expect(code).toBe(0)
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([expect.objectContaining({ event: 'ready', did: expect.stringMatching(/^did:key:/), name: 'laptop', addresses: ['/ip4/127.0.0.1/tcp/4701'] })])
  expect(JSON.parse(await readFile(join(errand.home, 'options.json'), 'utf8'))).toMatchObject({
    home: errand.home,
    labels: { gpu: '1', room: 'attic' },
    listen: ['/ip4/127.0.0.1/tcp/0'],
  })
})

test('up --detach returns when the node is ready, says the same, and the node lives on until down', async () => {
  const up = await errand.run(['up', '--detach', '--json', '--name', '-odd name'])
  expect([up.code, up.stderr]).toEqual([0, ''])
  expect(JSON.parse(up.stdout)).toMatchObject({ event: 'ready', name: 'laptop' })
  expect(JSON.parse(await readFile(join(errand.home, 'options.json'), 'utf8'))).toMatchObject({ name: '-odd name' })
  const { pid } = JSON.parse((await errand.run(['status', '--json'])).stdout)
  expect((await errand.run(['down', '--json'])).code).toBe(0)
  expect(isRunning(pid)).toBe(false)
  await access(join(errand.home, 'errand.log'))
})

test('down returns only when the process of the node has gone, so that its home is free', async () => {
  await errand.run(['up', '--detach', '--name', 'slow to stop'])
  const { pid } = JSON.parse((await errand.run(['status', '--json'])).stdout)
  await errand.run(['down'])
  expect(isRunning(pid)).toBe(false)
})

test('a node that cannot start says why, in the foreground and in the background alike', async () => {
  for (const where of [[], ['--detach']]) {
    const up = await errand.run(['up', '--name', 'broken', ...where])
    expect(up).toEqual({ code: 125, stdout: '', stderr: 'errand: port 4701 is in use\nhint: choose another --listen\n' })
  }
})

test('a node that dies while it starts is told apart, with where to look', async () => {
  const up = await errand.run(['up', '--detach', '--json', '--name', 'dying'])
  expect(up.code).toBe(125)
  expect(JSON.parse(up.stdout).error).toMatchObject({ code: 'NODE_FAILED', hint: expect.stringContaining('errand.log') })
})

test('down without a node says so', async () => {
  expect(await errand.run(['down'])).toMatchObject({ code: 125, stderr: expect.stringContaining('no node is running') })
})

test('join without anybody to agree shows the three parts apart, joins nothing and leaves no node behind', async () => {
  const said = await errand.run(['join', 'errand1good'])
  expect([said.code, said.stdout]).toEqual([125, ''])
  expect(said.stderr).toMatch(/started a node in the background \(process \d+; stop it with: errand down\)/)
  expect(said.stderr).toContain('laptop (otter-lamp-fjord), mesh "home[2J"')
  expect(said.stderr).toMatch(/you become: +a member, called gpu1\n +you give: +exec git\n +you get: +nothing\n/)
  expect(said.stderr).toContain('hint: to agree to what is shown, add --yes')
  await gone()
})

test('join --yes joins, with a node that waits for nothing else', async () => {
  const said = await errand.run(['join', 'errand1good', '--yes', '--json'])
  expect(said.code).toBe(0)
  expect(JSON.parse(said.stdout)).toMatchObject({ mesh: { name: 'home' }, name: 'gpu1', membership: 'member', gave: [], got: [] })
  expect(JSON.parse(await readFile(join(errand.home, 'options.json'), 'utf8'))).toMatchObject({ awaitJoin: true })
  await errand.run(['down'])
})

test('what is no code at all is refused before a node is started for it', async () => {
  const said = await errand.run(['join', 'otter', '--yes'])
  expect(said).toMatchObject({ code: 125, stderr: expect.stringMatching(/^errand: this is no invite code.*\nhint: .*copy the whole line/) })
})

test('a code is read from a pipe as well; a changed one and none at all are refused', async () => {
  await errand.run(['up', '--detach'])
  expect(await errand.run(['join', '--yes'], { input: 'errand1good\n' })).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('joined mesh "home" as gpu1'),
  })
  expect(await errand.run(['join', '--yes'])).toMatchObject({ code: 2, stderr: expect.stringContaining('no code was given') })
  expect(await errand.run(['join', 'errand1bad', '--yes'])).toMatchObject({ code: 125, stderr: 'errand: this code was changed on its way\n' })
  await errand.run(['down'])
})

test('a home with a path too long for a socket works all the same', async () => {
  const home = join(errand.dir, 'x'.repeat(100))
  await mkdir(home, { mode: 0o700 })
  const env = { ERRAND_HOME: home }
  expect((await errand.run(['up', '--detach'], { env })).code).toBe(0)
  expect((await errand.run(['status'], { env })).code).toBe(0)
  expect((await errand.run(['down'], { env })).code).toBe(0)
  await rm(home, { recursive: true })
})

/** A zombie still takes signals; where there is a /proc, it tells. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !existsSync('/proc/self/stat') || !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ')
  } catch {
    return false
  }
}

/** A node that was told to stop may take a moment. */
async function gone(): Promise<void> {
  while ((await errand.run(['status'])).code === 0);
}
