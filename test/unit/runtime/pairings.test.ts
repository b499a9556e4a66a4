/** Short codes, both sides without a wire: one try each, nothing for whoever does not have the words, and the same words on both screens. */
import { wordlist } from '@scure/bip39/wordlists/english.js'
import * as fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import { PAIR } from '../../../protocols/pair/messages.ts'
import { DOMAIN } from '../../../protocols/wire.ts'
import type { Fact } from '../../../src/audit/facts.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { writeCode } from '../../../src/runtime/invite-code.ts'
import { InviteProgress } from '../../../src/runtime/invite-progress.ts'
import { makeOffer } from '../../../src/runtime/offers.ts'
import { makePlate, makeWords, readShortCode, sayCode } from '../../../src/runtime/pair-code.ts'
import { type Attempt, attemptWith, type Paired } from '../../../src/runtime/pairing.ts'
import { Pairings } from '../../../src/runtime/pairings.ts'
import { alice, bob, carol, keyOf, MeshWorld, owner } from './mesh-world.ts'

const FROM = '/ip4/192.0.2.7/tcp/9'
const refusal = (code: string): object => expect.objectContaining({ code })
let world: MeshWorld
let facts: Fact[]
let written: Promise<void>
let progress: InviteProgress
let pairings: Pairings
const inviteKey = keyOf(9)
const ID = inviteKey.did

beforeEach(() => {
  world = new MeshWorld()
  facts = []
  written = Promise.resolve()
  progress = new InviteProgress(world.clock)
  pairings = pairingsOf()
})

function pairingsOf(): Pairings {
  const { clock, random } = world
  const append = async (fact: Fact): Promise<void> => {
    await written
    facts.push(fact)
  }
  return new Pairings({ self: alice.did, progress, audit: { append }, clock, random })
}

function longCode(): string {
  const from = { invite: ID, owner: owner.did, meshName: 'home', inviterName: 'alice', addrs: ['/ip4/192.0.2.1/tcp/1'], defaultRoles: [], guestOn: () => [] }
  const offer = makeOffer({}, { ...from, nowMs: world.clock.now(), roles: world.device().roles })
  return writeCode(world.mesh.id, inviteKey.seed, world.sign(alice, DOMAIN.offer, offer))
}

async function open(): Promise<string> {
  const expiresAtMs = world.clock.now() + 600_000
  progress.begin(ID, expiresAtMs)
  return await pairings.open({ id: ID, code: longCode(), expiresAtMs })
}

const attempt = (code: string, by: Identity = bob): Promise<Attempt> => attemptWith(readShortCode(code), { did: by.did, name: 'gpu1' })

async function pair(code: string, by: Identity = bob): Promise<Paired> {
  const joiner = await attempt(code, by)
  const tried = await pairings.begin(joiner.start, FROM)
  return joiner.open(await tried.finish(joiner.finish(tried.answer)))
}

/** The same number, and one word that differs. */
const mistyped = (code: string): string => code.replace(/[a-z]+$/, (word) => (word === 'zoo' ? 'zone' : 'zoo'))

test('the words bring the invite, and both screens show the same words before anybody agrees', async () => {
  const paired = await pair(await open())
  expect(paired.code).toBe(longCode())
  expect(paired.read.inviter).toBe(alice.did)
  const seen = await progress.watch(ID, { signal: new AbortController().signal })
  expect(seen).toMatchObject({ state: 'paired', check: paired.check, device: { did: bob.did, name: 'gpu1' } })
  expect(paired.check).toMatch(/^[a-z]+ · [a-z]+ · \d\d$/)
  expect(facts.map(({ action, result }) => `${action} ${result}`)).toEqual(['device.pair-try allowed', 'device.pair ok'])
})

test('two pairings show other words each, also of the same devices', async () => {
  const [one, two] = [await pair(await open()), await pair(await open())]
  expect(one.check).not.toBe(two.check)
})

test('a wrong word gets nothing, voids the code for everybody, and is said on both screens and in the log', async () => {
  const code = await open()
  const joiner = await attempt(mistyped(code))
  const tried = await pairings.begin(joiner.start, FROM)
  expect(() => joiner.finish(tried.answer)).toThrowError(refusal('WRONG_CODE'))
  await tried.abandon()
  await expect(pair(code)).rejects.toThrowError(refusal('CODE_UNKNOWN'))
  expect(await progress.watch(ID, { signal: new AbortController().signal })).toMatchObject({ state: 'void', why: expect.stringContaining(FROM) })
  expect(facts.map(({ action, result }) => `${action} ${result}`)).toContain('device.pair-denied denied')
})

test('of many tries at once one is answered', async () => {
  const code = await open()
  const joiners = await Promise.all(Array.from({ length: 10 }, () => attempt(code)))
  const tries = await Promise.allSettled(joiners.map((joiner) => pairings.begin(joiner.start, FROM)))
  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
})

test('the try is spent, and on disk, before it is answered', async () => {
  const code = await open()
  let write = (): void => {}
  written = new Promise((resolve) => (write = resolve))
  let answered = false
  const first = pairings.begin((await attempt(code)).start, FROM).then(() => (answered = true))
  expect(pairings.plates).toEqual([])
  await Promise.resolve()
  expect(answered).toBe(false)
  write()
  await first
  expect(facts[0]).toMatchObject({ action: 'device.pair-try', subject: ID })
})

test('a try that cannot be written down is not answered, and spent all the same', async () => {
  const code = await open()
  written = Promise.reject(new Error('disk full'))
  await expect(pair(code)).rejects.toThrowError('disk full')
  written = Promise.resolve()
  await expect(pair(code)).rejects.toThrowError(refusal('CODE_UNKNOWN'))
})

test('what was heard on the wire opens nothing when it is said again: not the same code, not another one', async () => {
  const joiner = await attempt(await open())
  const tried = await pairings.begin(joiner.start, FROM)
  const finish = joiner.finish(tried.answer)
  await tried.finish(finish)
  await expect(pairings.begin(joiner.start, FROM)).rejects.toThrowError(refusal('CODE_UNKNOWN'))
  const { plate } = readShortCode(await open())
  const again = await pairings.begin({ ...joiner.start, plate }, FROM)
  await expect(again.finish(finish)).rejects.toThrowError(refusal('WRONG_CODE'))
})

test('whoever changes a single bit on the way breaks the exchange, wherever it is', async () => {
  const flip = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, i) => (i === at % bytes.length ? byte ^ 1 : byte))
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('ke1', 'ke2', 'ke3', 'sealed', 'given'), fc.nat(), async (where, at) => {
      const joiner = await attempt(await open())
      const exchange = async (): Promise<Paired> => {
        const tried = await pairings.begin(where === 'ke1' ? { ...joiner.start, ke1: flip(joiner.start.ke1, at) } : joiner.start, FROM)
        const finish = joiner.finish(where === 'ke2' ? { ...tried.answer, ke2: flip(tried.answer.ke2, at) } : tried.answer)
        const changed = where === 'ke3' || where === 'sealed' ? { ...finish, [where]: flip(finish[where], at) } : finish
        const given = await tried.finish(changed)
        return joiner.open(where === 'given' ? { ...given, sealed: flip(given.sealed, at) } : given)
      }
      await expect(exchange()).rejects.toThrowError(refusal('WRONG_CODE'))
    }),
    { numRuns: 60 },
  )
})

test('an impostor who does not know the words learns nothing and is told nothing', async () => {
  await open()
  const [plate = 0] = pairings.plates
  const victim = await attemptWith({ plate, words: 'velvet-canoe-piano-fossil' }, { did: bob.did, name: 'gpu1' })
  const tried = await pairings.begin(victim.start, FROM)
  expect(() => victim.finish(tried.answer)).toThrowError(refusal('WRONG_CODE'))
  expect(() => victim.open({ t: 'given', sealed: new Uint8Array(64) })).toThrowError(refusal('WRONG_CODE'))
})

test.each([
  ['zeroes', () => new Uint8Array(96)],
  ['noise', () => new Uint8Array(96).fill(0xa5)],
])('%s in place of a first message void the code and break nothing', async (_name, ke1) => {
  const code = await open()
  await expect(pairings.begin({ t: 'start', v: 1, plate: readShortCode(code).plate, ke1: ke1() }, FROM)).rejects.toThrowError(refusal('WRONG_CODE'))
  await expect(pair(code)).rejects.toThrowError(refusal('CODE_UNKNOWN'))
  await pair(await open())
})

test('a code expires, and is not announced any longer', async () => {
  const code = await open()
  const news: number[] = []
  pairings.onPlates(() => news.push(pairings.plates.length))
  world.clock.advance(600_001)
  await expect(pair(code)).rejects.toThrowError(refusal('CODE_UNKNOWN'))
  expect(news).toEqual([0])
})

test('a code that expired while the machine slept is refused, though no timer has closed it', async () => {
  const code = await open()
  const { clock } = world
  const awake = clock.now.bind(clock)
  clock.now = () => awake() + 600_001
  await expect(pair(code)).rejects.toThrowError(refusal('CODE_UNKNOWN'))
})

test('after a restart of the inviter no short code is good any more', async () => {
  const code = await open()
  pairings = pairingsOf()
  await expect(pair(code)).rejects.toThrowError(refusal('CODE_UNKNOWN'))
})

test('so many codes are open at once and no more', async () => {
  for (let i = 0; i < PAIR.maxOpen; i++) await open()
  await expect(open()).rejects.toThrowError(refusal('TOO_MANY_CODES'))
  expect(new Set(pairings.plates).size).toBe(PAIR.maxOpen)
})

test('strangers who try all numbers spend no code and cannot fill the log', async () => {
  const code = await open()
  const { start } = await attempt(code)
  for (let plate = 1; plate <= 200; plate++) if (plate !== start.plate) await pairings.begin({ ...start, plate }, FROM).catch(() => undefined)
  expect(facts.filter(({ action }) => action === 'device.pair-denied')).toHaveLength(20)
  await pair(code)
})

test('each word is one of 2,048, each as likely as the others, and known by its first four letters', () => {
  expect(wordlist).toHaveLength(2 ** 11)
  expect(new Set(wordlist.map((word) => word.slice(0, 4))).size).toBe(2 ** 11)
  const drawn = makeWords((length) => new Uint8Array(length).fill(0xff))
  expect(drawn).toBe('zoo-zoo-zoo-zoo')
  expect(
    makePlate(
      () => new Uint8Array(4),
      () => false,
    ),
  ).toBe(1)
})

test('a code is read however it is typed, and a word of no code is named with the nearest one', () => {
  const typed = fc.record({
    plate: fc.integer({ min: 1, max: PAIR.maxPlate }),
    words: fc.array(fc.constantFrom(...wordlist), { minLength: PAIR.words, maxLength: PAIR.words }),
    gap: fc.constantFrom('-', ' ', '  ', '. ', ', ', ' – '),
    isShort: fc.boolean(),
    isLoud: fc.boolean(),
  })
  void fc.assert(
    fc.property(typed, ({ plate, words, gap, isShort, isLoud }) => {
      const text = [String(plate), ...words.map((word) => (isShort && word.length > 4 ? word.slice(0, 4) : word))].join(gap)
      // Four letters that are a word of their own are that word.
      fc.pre(!isShort || words.every((word) => word.length <= 4 || !wordlist.includes(word.slice(0, 4))))
      expect(sayCode(readShortCode(` ${isLoud ? text.toUpperCase() : text}\n`))).toBe(`${plate}-${words.join('-')}`)
    }),
  )
  const hint = expect.stringContaining('velvet')
  expect(() => readShortCode('7-velvut-canoe-piano-fossil')).toThrowError(expect.objectContaining({ code: 'BAD_CODE', hint }))
  for (const bad of ['', '7', '7-velvet-canoe-piano', '0-velvet-canoe-piano-fossil', '1000-velvet-canoe-piano-fossil', 'velvet-canoe-piano-fossil-moon'])
    expect(() => readShortCode(bad)).toThrowError(refusal('BAD_CODE'))
})

test('an invite belongs to the device that its words were typed on', async () => {
  await pair(await open())
  const late = { approve: false, expiresAtMs: world.clock.now() + 1 }
  expect(progress.look(ID, { did: carol.did, name: 'x', check: '' }, late)).toBe('other')
  expect(progress.look(ID, { did: bob.did, name: 'gpu1', check: '' }, late)).toBe('admit')
})
