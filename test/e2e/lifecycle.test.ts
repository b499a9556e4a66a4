/** A node's life: it starts and says so, keeps its state to its user, ends cleanly, and lets running work finish when it is asked to. */
import { existsSync, mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import type { Status } from '../../protocols/local/messages.ts'
import { processesOf } from '../support/leftovers.ts'
import { treeOf } from '../support/tree.ts'
import { failureOf, jsonOf, type Ready, until, world } from '../support/world.ts'

test('a first up makes keys and mesh, says what the contract promises, and shows nothing to other users of the machine', async () => {
  await using w = world()
  const home = w.at('fresh')
  const node = await w.up(home, '--name', 'alice')
  expect(node.ready).toMatchObject({
    event: 'ready',
    name: 'alice',
    did: expect.stringMatching(/^did:key:z6Mk/),
    peerId: expect.stringMatching(/^12D3KooW/),
    created: true,
  })
  expect(node.ready.addresses).toEqual([expect.stringMatching(new RegExp(`^/ip4/127\\.0\\.0\\.1/tcp/[1-9]\\d*/p2p/${node.ready.peerId}$`))])
  await w.run(home, 'alice', 'true')
  const found = treeOf(home)
  expect(found.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['identity/device.pem', 'identity/owner.pem', 'identity/genesis.cbor', 'db/main/CURRENT', 'db/peers/CURRENT', 'errand.sock']),
  )
  expect(found.filter(({ kind, mode }) => mode !== (kind === 'directory' ? '700' : '600'))).toEqual([])
})

test('the same home has the same device and mesh after a restart', async () => {
  await using w = world()
  const home = w.home('alice')
  const first = await w.up(home, '--name', 'alice')
  const before = jsonOf<Status>(await w.errand(home, 'status', '--json'))
  await first.stop()
  const second = await w.up(home)
  const after = jsonOf<Status>(await w.errand(home, 'status', '--json'))
  expect(second.ready).toMatchObject({ did: first.did, name: 'alice', created: false })
  expect(after.mesh).toEqual(before.mesh)
})

test('commands run with the umask of the user, not with the private one of the node', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const mine = process.umask(process.umask()).toString(8).padStart(4, '0')
  expect((await w.run(alice.home, 'alice', 'sh', '-c', 'umask')).stdout.trim()).toBe(mine)
})

test('a second up on the same home is refused and does not disturb the first', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const second = await w.errand(alice.home, 'up')
  expect(second.code).toBe(125)
  expect(second.stderr).toMatch(/^errand: .*running on this home already.*\nhint: .*errand down/s)
  expect(failureOf(await w.errand(alice.home, 'up', '--json'))).toMatchObject({ code: 'ALREADY_RUNNING', source: 'errand' })
  expect(failureOf(await w.errand(alice.home, 'up', '--detach', '--json'))).toMatchObject({ code: 'ALREADY_RUNNING', source: 'errand' })
  expect((await w.run(alice.home, 'alice', 'echo', 'still here')).stdout).toBe('still here\n')
})

test('five ups at the same moment on one fresh home: one runs, with the keys that are on the disk, and the others are refused', async () => {
  await using w = world()
  const home = w.home('alice')
  const all = Array.from({ length: 5 }, () => w.start(home, ['up', '--json', '--name', 'alice']))
  const lines = (await Promise.all(all.map((running) => running.firstLine()))).map((line): { event?: string; did?: string; error?: { code: string } } =>
    JSON.parse(line ?? '{}'),
  )
  const ready = lines.find(({ event }) => event === 'ready')
  expect(lines.flatMap(({ error }) => error?.code ?? [])).toEqual(Array(4).fill('ALREADY_RUNNING'))
  expect((await w.run(home, 'alice', 'true')).code).toBe(0)
  await w.errand(home, 'down')
  expect(await w.up(home)).toMatchObject({ ready: { did: ready?.did, created: false } })
})

test('a port that was ordered and is taken is an error that names it; a port that was only wished for is replaced', async () => {
  await using w = world()
  await using taken = await listening(0)
  const ordered = await w.errand(w.home('a'), 'up', '--json', '--listen', `/ip4/127.0.0.1/tcp/${taken.port}`)
  expect(ordered.code).toBe(125)
  expect(failureOf(ordered)).toMatchObject({
    code: 'PORT_TAKEN',
    message: expect.stringContaining(String(taken.port)),
    hint: expect.stringContaining('--listen'),
  })
  await using _preset = await listening(4_701)
  const wished = await w.up(w.home('b'), '--preset', 'lan')
  expect(wished.ready.warnings).toEqual([expect.stringContaining('port 4701 is taken')])
  expect(wished.ready.addresses.length).toBeGreaterThan(0)
})

test('an idle node stops cleanly within two seconds of SIGTERM, SIGINT or down, also with other devices connected', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const [bob, carol] = [await w.joiner(alice, 'bob'), await w.joiner(alice, 'carol')]
  await w.connected(alice.home, 'bob', 'carol')
  await w.run(alice.home, 'bob', 'true')
  const byTerm = await bob.stop()
  const byInt = await carol.process.end('SIGINT')
  const began = performance.now()
  const down = await w.errand(alice.home, 'down', '--json')
  const byDown = await alice.process.ended
  expect(performance.now() - began).toBeLessThan(2_000)
  expect(down.code).toBe(0)
  expect(jsonOf<{ stopped: boolean }>(down).stopped).toBe(true)
  for (const { stoppedInMs } of [byTerm, byInt]) expect(stoppedInMs).toBeLessThan(2_000)
  for (const { code, signal } of [byTerm, byInt, byDown]) expect({ code, signal }).toEqual({ code: 0, signal: null })
  for (const { home } of [alice, bob, carol]) expect(existsSync(`${home}/errand.sock`)).toBe(false)
})

test('up --detach returns once the node can be used, and down ends it; without a node every command says so at once', async () => {
  await using w = world()
  const home = w.home('alice')
  const up = await w.errand(home, 'up', '--detach', '--json', '--name', 'alice')
  expect(up.code).toBe(0)
  expect(jsonOf<Ready>(up)).toMatchObject({ event: 'ready', name: 'alice' })
  expect(processesOf(w.root)).not.toEqual([])
  expect((await w.errand(home, 'down')).code).toBe(0)
  expect(processesOf(w.root)).toEqual([])
  const status = await w.errand(home, 'status')
  expect(status.code).toBe(125)
  expect(status.stderr).toMatch(/hint: .*errand up/)
  expect((await w.errand(home, 'down')).code).toBe(125)
})

test('down --drain lets running work finish and takes no new work meanwhile', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  await w.connected(alice.home, 'bob')
  const working = w.start(alice.home, ['run', 'bob', '--', 'sh', '-c', 'echo begun; sleep 3; echo done'])
  expect(await working.firstLine()).toBe('begun')
  const down = w.start(bob.home, ['down', '--drain', '10m'])
  const refused = await until('bob takes no new work', async () => {
    const ran = await w.errand(alice.home, 'run', 'bob', '--json', '--', 'true')
    return ran.code !== 0 && failureOf(ran)
  })
  expect(working.isOver).toBe(false)
  expect(refused).toMatchObject({ code: 'DRAINING', source: 'device' })
  const finished = await working.ended
  expect({ code: finished.code, stdout: finished.stdout }).toEqual({ code: 0, stdout: 'begun\ndone\n' })
  const drained = await down.ended
  expect(drained.code).toBe(0)
  expect((await bob.process.ended).code).toBe(0)
})

test('down --drain with too little time ends what still runs, and its caller hears why', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  await w.connected(alice.home, 'bob')
  const working = w.start(alice.home, ['run', 'bob', '--', 'sh', '-c', 'echo begun; sleep 60'])
  expect(await working.firstLine()).toBe('begun')
  const down = await w.errand(bob.home, 'down', '--drain', '1s')
  expect(down.code).toBe(0)
  const cut = await working.ended
  expect(cut.code).toBe(125)
  expect(cut.stderr).toMatch(/^errand: .*lost/)
})

test('SIGTERM while a command runs ends node and command, and the caller hears of it', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  await w.connected(alice.home, 'bob')
  const working = w.start(alice.home, ['run', 'bob', '--', 'sh', '-c', 'trap "" TERM; echo begun; sleep 60 & wait; sleep 60'])
  expect(await working.firstLine()).toBe('begun')
  const { code, stoppedInMs } = await bob.stop()
  expect(code).toBe(0)
  expect(stoppedInMs).toBeLessThan(10_000)
  expect((await working.ended).code).toBe(125)
})

test('a node that was killed leaves nothing that keeps the next one from starting', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  await w.run(alice.home, 'alice', 'true')
  await alice.kill()
  expect(existsSync(`${alice.home}/errand.sock`)).toBe(true)
  const status = await w.errand(alice.home, 'status')
  expect(status.code).toBe(125)
  expect(status.stderr).toMatch(/hint: .*errand up/)
  const again = await w.up(alice.home)
  expect(again.did).toBe(alice.did)
  expect((await w.run(again.home, 'alice', 'echo', 'back')).stdout).toBe('back\n')
})

test('a start that has nothing to do but wait for a dying exec-host goes on when the wait is over', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  await w.run(alice.home, 'alice', 'true')
  await alice.kill()
  const dying = createServer((connection) => connection.destroy())
  await new Promise<void>((resolve) => dying.listen(`${alice.home}/run/exec/1-1.sock`, resolve))
  const again = await w.up(alice.home).finally(() => dying.close())
  expect((await w.run(again.home, 'alice', 'echo', 'back')).stdout).toBe('back\n')
})

test('a home whose path is too long for a socket address works, and its neighbour with the same beginning is another node', async () => {
  await using w = world()
  const deep = w.at('d'.repeat(100))
  mkdirSync(deep)
  const [one, two] = [w.home(`${'d'.repeat(100)}/one`), w.home(`${'d'.repeat(100)}/two`)]
  expect(Buffer.byteLength(`${one}/errand.sock`)).toBeGreaterThan(108)
  const [first, second] = [await w.up(one, '--name', 'one'), await w.up(two, '--name', 'two')]
  expect(jsonOf<Status>(await w.errand(one, 'status', '--json')).did).toBe(first.did)
  expect(jsonOf<Status>(await w.errand(two, 'status', '--json')).did).toBe(second.did)
  expect((await w.run(one, 'one', 'echo', 'far')).stdout).toBe('far\n')
  expect((await first.stop()).code).toBe(0)
  expect((await w.errand(one, 'status')).code).toBe(125)
})

/** A port that somebody else holds; one that is held already by another program will do. */
async function listening(wanted: number): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer()
  const port = await new Promise<number>((resolve) => {
    server.once('error', () => resolve(wanted))
    server.listen({ port: wanted, host: wanted === 0 ? '127.0.0.1' : '0.0.0.0' }, () => {
      const address = server.address()
      resolve(address === null || typeof address === 'string' ? wanted : address.port)
    })
  })
  return { port, [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())) }
}
