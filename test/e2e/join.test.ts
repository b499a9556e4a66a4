/** Joining a mesh with a code: what is asked and given is said before, exactly that is given, and a code that does not hold opens nothing. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { base58btc } from 'multiformats/bases/base58'
import { expect, test } from 'vitest'
import { JOIN } from '../../protocols/join/messages.ts'
import type { JoinView, OfferView, Status } from '../../protocols/local/messages.ts'
import { processesOf } from '../support/leftovers.ts'
import { failureOf, jsonOf, type Node, type Ran, until, type World, world } from '../support/world.ts'

/** A node that waits for a join. */
async function waiting(w: World, name: string): Promise<Node> {
  return await w.up(w.home(name), '--await-join', '--name', name)
}

async function join(w: World, home: string, code: string, ...more: string[]): Promise<Ran> {
  return await w.errand(home, 'join', code, '--yes', '--json', ...more)
}

async function statusOf(w: World, home: string): Promise<Status> {
  return jsonOf<Status>(await w.errand(home, 'status', '--json'))
}

test('a code admits one device; whoever comes with it later is refused with the reason, and that is in the log', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { code, expiresAt } = await w.invite(alice.home)
  expect(Date.parse(expiresAt)).toBeGreaterThan(Date.now())
  const [bob, carol] = [await waiting(w, 'bob'), await waiting(w, 'carol')]
  const joined = await join(w, bob.home, code)
  expect(joined.code).toBe(0)
  expect(jsonOf<JoinView>(joined)).toMatchObject({ did: bob.did, name: 'bob', membership: 'member' })
  const second = await join(w, carol.home, code)
  expect(second.code).toBe(125)
  expect(failureOf(second)).toMatchObject({
    code: 'INVITE_USED',
    message: expect.stringMatching(/was used by another device at .*works once/),
    source: 'device',
    hint: expect.stringContaining('errand invite'),
  })
  expect((await statusOf(w, carol.home)).mesh).toBeNull()
  expect((await w.devices(alice.home)).map(({ name }) => name)).toEqual(['alice', 'bob'])
  expect(await w.audit(alice.home, '--action', 'device.join-denied')).toMatchObject([
    { actor: carol.did, result: 'denied', reason: expect.stringContaining('works once') },
  ])
})

test('of two devices that race with one code exactly one gets in', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const [bob, carol] = [await waiting(w, 'bob'), await waiting(w, 'carol')]
  const { code } = await w.invite(alice.home)
  const [one, two] = await Promise.all([join(w, bob.home, code), join(w, carol.home, code)])
  expect([one.code, two.code].sort()).toEqual([0, 125])
  expect(failureOf(one.code === 0 ? two : one).code).toBe('INVITE_USED')
  expect(await w.devices(alice.home)).toHaveLength(2)
})

test('an expired code is refused with the time it expired', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { code, expiresAt } = await w.invite(alice.home, '--expires', '2s')
  const bob = await waiting(w, 'bob')
  await until('the code has expired', () => Date.now() > Date.parse(expiresAt) + 1_000)
  const ran = await join(w, bob.home, code)
  expect(ran.code).toBe(125)
  expect(failureOf(ran)).toMatchObject({ code: 'INVITE_EXPIRED', message: expect.stringContaining(expiresAt), hint: expect.stringContaining('errand invite') })
  expect((await statusOf(w, bob.home)).mesh).toBeNull()
})

test('a changed code is refused before anybody is dialled, whichever character or byte was changed, also when its checksum was made to fit', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { code } = await w.invite(alice.home)
  await alice.stop() // whoever dials now fails with NO_ROUTE: the control at the end
  const bob = await waiting(w, 'bob')
  const start = JOIN.codePrefix.length
  const mistyped = every(code.length - start, 12).map((i) => replaced(code, start + i))
  const forged = every(base58btc.decode(code.slice(start)).length - 4, 16).map((i) => code.slice(0, start) + reforged(code.slice(start), i))
  const cut = [code.slice(0, -1), code.slice(0, code.length / 2), code.slice(1), `${code}z`, 'nonsense']
  for (const changed of [...mistyped, ...forged, ...cut]) {
    expect(changed).not.toBe(code)
    const ran = await join(w, bob.home, changed)
    expect({ changed, code: ran.code, failure: failureOf(ran) }).toMatchObject({
      code: 125,
      failure: { code: 'BAD_INVITE', hint: expect.stringContaining('copy') },
    })
  }
  expect(failureOf(await join(w, bob.home, code)).code).toBe('NO_ROUTE')
  expect((await statusOf(w, bob.home)).mesh).toBeNull()
})

test('a home that shares a mesh with others does not leave it for another one, and says so', async () => {
  await using w = world()
  const [alice, olga] = [await w.founder('alice'), await w.founder('olga')]
  const bob = await w.joiner(alice, 'bob')
  const before = await statusOf(w, bob.home)
  const other = await w.invite(olga.home)
  const ran = await join(w, bob.home, other.code)
  expect(ran.code).toBe(125)
  expect(failureOf(ran)).toMatchObject({ code: 'OTHER_MESH', hint: expect.stringContaining('--home') })
  expect((await statusOf(w, bob.home)).mesh).toEqual(before.mesh)
  const own = await w.invite(alice.home)
  expect(failureOf(await join(w, bob.home, own.code))).toMatchObject({ code: 'ALREADY_MEMBER' })
  expect(await w.devices(olga.home)).toHaveLength(1)
  expect((await w.run(alice.home, 'bob', 'echo', 'still')).stdout).toBe('still\n')
  expect((await join(w, (await waiting(w, 'carol')).home, other.code)).code).toBe(0) // refused here, so not used up there
})

test('the three parts are shown apart before anybody agrees, and without a yes nothing is joined, given or used up', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { code } = await w.invite(alice.home, '--name', 'gpu1', '--ask', 'exec: echo', '--give', 'exec: uname', '--for', '2h')
  const home = w.home('bob')
  const asked = await w.errand(home, 'join', code)
  expect(asked.code).toBe(125)
  expect(asked.stdout).toBe('')
  const shown = asked.stderr.replace(/^started a node.*\n/m, '')
  expect(shown).toMatch(
    /^ {2}alice \([a-z]+-[a-z]+-[a-z]+\), mesh "home"\n {2}you become: {3}a member, called gpu1\n {2}you give: {5}.*echo.* on gpu1 · .*\n {2}you get: {6}.*uname.* · .*\n/,
  )
  expect(shown).toMatch(/errand: nobody is here to agree to this\nhint: .*--yes\n$/)
  const told = failureOf(await w.errand(home, 'join', code, '--json'))
  expect(told).toMatchObject({
    code: 'NOT_AGREED',
    fields: { offer: { membership: 'member', name: 'gpu1', give: [{ device: 'gpu1' }], get: [{}] } satisfies Partial<{ [K in keyof OfferView]: unknown }> },
  })
  expect(processesOf(home)).toEqual([]) // the node that was started for the join has gone with it
  expect(existsSync(`${home}/identity/genesis.cbor`)).toBe(false)
  const agreed = await join(w, home, code)
  expect(agreed.code).toBe(0)
  expect(jsonOf<JoinView>(agreed)).toMatchObject({
    name: 'gpu1',
    gave: [{ words: expect.stringContaining('echo') }],
    got: [{ words: expect.stringContaining('uname') }],
  })
  expect((await w.errand(home, 'down')).code).toBe(0) // join started it in the background
})

test('by default the new device is my own: I may do everything there, and it gets nothing', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  expect((await w.run(alice.home, 'bob', 'sh', '-c', 'echo anything')).stdout).toBe('anything\n')
  const back = await w.run(bob.home, 'alice', 'true')
  expect(back.code).toBe(126)
  expect(back.stderr).toMatch(/^errand: denied on alice: .*\nhint: /)
})

test('--ask gives exactly what it names and nothing more', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob', { invite: ['--ask', 'exec: echo'] })
  expect((await w.run(alice.home, 'bob', 'echo', 'yes')).stdout).toBe('yes\n')
  for (const command of [
    ['cat', '/etc/hostname'],
    ['sh', '-c', 'echo no'],
    ['/tmp/echo', 'no'],
  ]) {
    const ran = await w.run(alice.home, 'bob', ...command)
    expect({ command, code: ran.code, stdout: ran.stdout }).toEqual({ command, code: 126, stdout: '' })
  }
  expect((await w.run(bob.home, 'alice', 'echo', 'no')).code).toBe(126)
})

test('--give lets the new device do exactly what it names', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob', { invite: ['--give', 'exec: echo', '--for', '1h'] })
  expect((await w.run(bob.home, 'alice', 'echo', 'yes')).stdout).toBe('yes\n')
  expect((await w.run(bob.home, 'alice', 'cat', '/etc/hostname')).code).toBe(126)
  expect(failureOf(await w.errand(bob.home, 'invite', '--json')).code).toBe('NOT_AN_OWNER')
})

test('--role admin lets the new device act everywhere and invite others, whom all accept', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob', { invite: ['--role', 'admin'] })
  expect((await w.run(bob.home, 'alice', 'echo', 'yes')).stdout).toBe('yes\n')
  const carol = await w.joiner(bob, 'carol')
  await w.connected(alice.home, 'bob', 'carol')
  expect((await w.run(alice.home, 'carol', 'echo', 'hello')).stdout).toBe('hello\n')
  expect((await w.run(bob.home, 'carol', 'echo', 'hello')).stdout).toBe('hello\n')
  expect((await w.run(carol.home, 'alice', 'true')).code).toBe(126)
})

test('a home that was alone puts its mesh of one aside and keeps its identity', async () => {
  await using w = world()
  const [alice, bob] = [await w.founder('alice'), await w.founder('bob')]
  const { code } = await w.invite(alice.home)
  const joined = await join(w, bob.home, code)
  expect(joined.code).toBe(0)
  expect(jsonOf<JoinView>(joined).did).toBe(bob.did)
  expect((await statusOf(w, bob.home)).mesh).toEqual((await statusOf(w, alice.home)).mesh)
  expect(readdirSync(`${bob.home}/left`)).toHaveLength(1)
  expect((await w.run(alice.home, 'bob', 'echo', 'hello')).stdout).toBe('hello\n')
  await bob.stop()
  const again = await w.up(bob.home)
  expect((await statusOf(w, again.home)).mesh).toEqual((await statusOf(w, alice.home)).mesh)
})

test('an inviter that cannot be reached is an error that names the address, and leaves no node behind', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { code } = await w.invite(alice.home)
  const address = alice.ready.addresses[0]?.replace(/\/p2p\/.*/, '') ?? ''
  await alice.stop()
  const home = w.home('bob')
  const ran = await join(w, home, code)
  expect(ran.code).toBe(125)
  expect(ran.tookMs).toBeLessThan(20_000)
  expect(failureOf(ran)).toMatchObject({ code: 'NO_ROUTE', message: expect.stringContaining(address), hint: expect.stringContaining('--via') })
  expect(processesOf(home)).toEqual([])
})

test('--via leads to an inviter that has another address than the code says', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { code } = await w.invite(alice.home)
  await alice.stop()
  const moved = await w.up(alice.home, '--listen', '/ip4/127.0.0.2/tcp/0')
  const bob = await waiting(w, 'bob')
  expect(failureOf(await join(w, bob.home, code)).code).toBe('NO_ROUTE')
  expect((await join(w, bob.home, code, '--via', moved.ready.addresses[0] ?? '')).code).toBe(0)
})

/** Every k-th place of `length` places. */
function every(length: number, pieces: number): number[] {
  return Array.from({ length: pieces }, (_, i) => Math.floor(((i + 0.5) * length) / pieces))
}

function replaced(text: string, at: number): string {
  return text.slice(0, at) + (text[at] === '7' ? '8' : '7') + text.slice(at + 1)
}

/** The code with one byte of its body changed and a checksum that fits again: what a forger would make, not what a typist does. */
function reforged(encoded: string, at: number): string {
  const body = base58btc.decode(encoded).slice(0, -4)
  body[at] = (body[at] ?? 0) ^ 0x10
  return base58btc.encode(Buffer.concat([body, createHash('sha256').update(body).digest().subarray(0, 4)]))
}
