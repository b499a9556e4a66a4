/** Joining with words: typed at a prompt, found on the network or by address, one try, and a person who looks before anybody comes in. */
import { createConnection, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import type { InviteView, JoinView, Status } from '../../protocols/local/messages.ts'
import { PAIR } from '../../protocols/pair/messages.ts'
import { socketPathOf } from '../../src/base/paths.ts'
import { Identity, peerIdOf } from '../../src/identity/identity.ts'
import { inviteCalls } from '../../src/local/invite-calls.ts'
import { pairAt } from '../../src/mesh/pair.ts'
import { readCode } from '../../src/runtime/invite-code.ts'
import { readShortCode } from '../../src/runtime/pair-code.ts'
import { attemptWith } from '../../src/runtime/pairing.ts'
import { failureOf, jsonOf, type Node, type Ran, until, type World, world } from '../support/world.ts'
import { addressOf, healthy } from './support-exec.ts'
import { startTap } from './support-tap.ts'

async function invited(w: World, by: Node, ...words: string[]): Promise<InviteView & { shortCode: string }> {
  const made = await w.invite(by.home, '--short', ...words)
  if (made.shortCode === null) throw new Error('no short code')
  return { ...made, shortCode: made.shortCode }
}

/** `errand join`, with the code typed when it asks. */
async function typed(w: World, home: string, code: string, ...words: string[]): Promise<Ran> {
  return await w.start(home, ['join', '--yes', ...words], { stdin: `${code}\n` }).ended
}

async function meshOf(w: World, home: string): Promise<Status['mesh']> {
  return jsonOf<Status>(await w.errand(home, 'status', '--json')).mesh
}

/** The first word is another one: a wrong code that could be a right one. */
const wrong = (code: string): string => code.replace(/-[a-z]+/, (word) => (word === '-zoo' ? '-zone' : '-zoo'))
const device = { did: new Identity(new Uint8Array(32).fill(7)).did, name: 'stranger' }
const portOf = (address: string): number => Number(/\/tcp\/(\d+)/.exec(address)?.[1])

test('four words typed at a prompt make a device of the mesh, by an address; an eavesdropper has seen neither words nor code nor names', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { code, shortCode } = await invited(w, alice, '--name', 'gpu1', '--ask', 'exec: echo')
  await using tap = await startTap(await addressOf(alice.home))
  const bob = await w.up(w.home('bob'), '--await-join')
  const ran = await typed(w, bob.home, shortCode, '--via', tap.address)
  expect(ran.code).toBe(0)
  expect(ran.stderr).toMatch(
    / {2}alice \([a-z-]+\), mesh "home"\n {2}you become: .*gpu1\n {2}you give: .*echo.*\n {2}you get: {6}nothing\n {2}Both screens must say {2}[a-z]+ · [a-z]+ · \d\d\n/,
  )
  expect((await w.run(alice.home, 'gpu1', 'echo', 'hello')).stdout).toBe('hello\n')
  expect((await w.audit(alice.home, '--device', 'alice')).map(({ action }) => action)).toEqual(
    expect.arrayContaining(['device.pair-try', 'device.pair', 'device.join']),
  )
  const calls = await tap.ended(async () => void (await Promise.all([alice.stop(), bob.stop()])))
  const text = calls.map((call) => call.text).join('\n')
  expect(text).toContain(PAIR.id) // the control: this is the line it went over
  const { words } = readShortCode(shortCode)
  const secrets = [
    ...words.split('-').filter((word) => word.length > 4),
    words,
    code.slice(0, 40),
    bob.did,
    'gpu1',
    Buffer.from(readCode(code).meshId).toString('latin1'),
  ]
  for (const secret of secrets) expect(text).not.toContain(secret)
})

test('the inviter is found on the local network by its number alone', async () => {
  await using w = world()
  const alice = await w.founder('alice', { mdns: true })
  const { shortCode } = await invited(w, alice)
  const bob = await w.up(w.home('bob', { mdns: true }), '--await-join', '--name', 'bob')
  const ran = await typed(w, bob.home, shortCode.replaceAll('-', ' ').toUpperCase(), '--json')
  expect(jsonOf<JoinView>(ran)).toMatchObject({ name: 'bob', mesh: { name: 'home' } })
  expect((await w.run(alice.home, 'bob', 'echo', 'hello')).stdout).toBe('hello\n')
})

test('a wrong code is void after one try, on both sides and in the log; a word of no code, or one on the command line, tries nothing', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { id, code, shortCode } = await invited(w, alice)
  const via = ['--via', await addressOf(alice.home), '--json']
  const bob = await w.up(w.home('bob'), '--await-join', '--name', 'bob')
  const shown = await w.errand(bob.home, 'join', shortCode, '--yes', ...via)
  expect(shown.code).toBe(2)
  expect(failureOf(shown)).toMatchObject({
    message: expect.stringMatching(/typed at the prompt, never on the command line/),
    hint: expect.stringContaining('errand join'),
  })
  expect(failureOf(await typed(w, bob.home, shortCode.replace(/[a-z]+$/, 'velvut'), ...via))).toMatchObject({
    code: 'BAD_CODE',
    hint: expect.stringContaining('velvet'),
  })
  const ran = await typed(w, bob.home, wrong(shortCode), ...via)
  expect(ran.code).toBe(125)
  expect(failureOf(ran)).toMatchObject({ code: 'WRONG_CODE', message: expect.stringContaining('void'), hint: expect.stringContaining('errand invite') })
  expect(failureOf(await typed(w, bob.home, shortCode, ...via))).toMatchObject({ code: 'CODE_UNKNOWN' })
  const denied = await w.audit(alice.home, '--action', 'device.pair-denied')
  expect(denied).toMatchObject([{ result: 'denied', subject: id, from: expect.stringContaining('127.0.0.1') }])
  expect(await meshOf(w, bob.home)).toBeNull()
  expect((await w.errand(bob.home, 'join', code, '--yes')).code).toBe(0) // the control: only the short code is void
})

test('of many strangers with one right code exactly one gets the invite, and a used or expired code is no code', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const address = await addressOf(alice.home)
  const { code, shortCode } = await invited(w, alice)
  const tries = await Promise.allSettled(Array.from({ length: 12 }, async () => await pairAt([address], await attemptWith(readShortCode(shortCode), device))))
  const got = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value.value.code] : []))
  expect(got).toEqual([code])
  const short = await invited(w, alice, '--expires', '1s')
  await until('the code has expired', () => Date.now() > Date.parse(short.expiresAt) + 200)
  await expect(attemptWith(readShortCode(short.shortCode), device).then((attempt) => pairAt([address], attempt))).rejects.toMatchObject({
    code: 'CODE_UNKNOWN',
  })
})

test('strangers that flood and stall the open door hold up nobody for long, reach nothing behind it, and spend no code', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const address = await addressOf(alice.home)
  const { code, shortCode } = await invited(w, alice)
  const hello = Buffer.concat([lined('/multistream/1.0.0'), lined(PAIR.id)])
  const stalled = Array.from({ length: 24 }, () => dialled(address, hello))
  const loud = Array.from({ length: 8 }, () => dialled(address, Buffer.concat([hello, Buffer.alloc(1 << 20, 0xff)])))
  await until('the loud ones were cut off', () => loud.every(({ socket }) => socket.closed))
  for (const { heard } of [...loud, ...stalled]) expect(heard().length).toBeLessThan(600)
  await healthy(alice.home)
  await until('the silent ones were cut off', () => stalled.every(({ socket }) => socket.closed), PAIR.deadlineMs + 8_000)
  const attempt = await attemptWith(readShortCode(shortCode), device)
  expect((await pairAt([address], attempt)).value.code).toBe(code)
})

test('behind the word for pairing there is no mesh: while no code is open it is reset, and never upgraded to anything', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const address = await addressOf(alice.home)
  const closed = dialled(address, Buffer.concat([lined('/multistream/1.0.0'), lined(PAIR.id)]))
  await until('it is closed', () => closed.socket.closed)
  expect(closed.heard().toString('latin1')).toBe(Buffer.concat([lined('/multistream/1.0.0'), lined(PAIR.id)]).toString('latin1'))
  await invited(w, alice)
  const listed = dialled(address, Buffer.concat([lined('/multistream/1.0.0'), lined('ls')]))
  await until('it says what it speaks', () => listed.heard().includes(PAIR.id))
  expect(listed.heard().toString('latin1')).not.toMatch(/hello|join|kad|meshsub|yamux/)
  expect(listed.heard().toString('latin1')).not.toContain(peerIdOf(alice.did as never))
  listed.socket.destroy()
  const further = dialled(address, Buffer.concat([lined('/multistream/1.0.0'), lined(PAIR.id), lined('/yamux/1.0.0'), lined('/errand/hello/1')]))
  await until('it is closed too', () => further.socket.closed)
  expect(further.heard().toString('latin1')).not.toMatch(/yamux|hello\/1/)
})

test('--approve holds whoever comes, says so on its screen, and lets it in or not as a person on the inviting device says', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const address = await addressOf(alice.home)
  for (const [name, answer] of [
    ['bob', 'y'],
    ['carol', 'n'],
  ] as const) {
    const inviting = w.start(alice.home, ['invite', '--approve', '--name', name], { stdin: `${answer}\n` })
    const shortCode = await until('the code is shown', () => /\d+(-[a-z]+){4}/.exec(inviting.stdout)?.[0])
    const home = w.home(name)
    const joined = await typed(w, home, shortCode, '--via', address)
    const [, check = 'nothing'] = /Both screens must say {2}(.*)\n/.exec(joined.stderr) ?? []
    expect(joined.stderr).toMatch(/waiting until somebody at alice says yes/)
    const told = await inviting.ended
    expect(told.stderr).toContain(`wants to join.  Both screens must say  ${check}`)
    if (answer === 'y') expect({ code: joined.code, told: told.stderr }).toMatchObject({ code: 0, told: expect.stringContaining('bob joined') })
    else expect({ code: joined.code, said: joined.stderr }).toMatchObject({ code: 125, said: expect.stringContaining('somebody at alice said no') })
    if (answer === 'y') await w.errand(home, 'down')
  }
  expect((await w.devices(alice.home)).map(({ name }) => name)).toEqual(['alice', 'bob'])
})

test('a program answers whoever waits through the API, also with a long code', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { id, code } = await w.invite(alice.home, '--approve')
  const bob = await w.up(w.home('bob'), '--await-join', '--name', 'bob')
  const joining = w.errand(bob.home, 'join', code, '--yes', '--json')
  const calls = inviteCalls(socketPathOf(alice.home))
  const seen = await until('bob waits', async () => {
    const progress = await calls.watchInvite(id)
    return progress.state === 'asking' && progress
  })
  expect(seen).toMatchObject({ device: { did: bob.did, name: 'bob' }, check: expect.stringContaining(' · ') })
  expect(await meshOf(w, bob.home)).toBeNull()
  await calls.answerInvite(id, { allow: true })
  expect((await joining).code).toBe(0)
})

function lined(text: string): Buffer {
  return Buffer.concat([Buffer.of(text.length + 1), Buffer.from(`${text}\n`)])
}

/** A bare TCP connection that says this and listens. */
function dialled(address: string, says: Buffer): { socket: Socket; heard: () => Buffer } {
  const heard: Buffer[] = []
  const socket = createConnection(portOf(address), '127.0.0.1', () => socket.write(says))
  socket.on('data', (chunk) => heard.push(chunk))
  socket.on('error', () => undefined)
  return { socket, heard: () => Buffer.concat(heard) }
}
