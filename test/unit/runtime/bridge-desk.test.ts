/** The bridge to UCAN 0.8, with tokens of the library `ucans` and with those that only an attacker makes. Alice holds the owner's key; bob is a member. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { BRIDGE } from '../../../protocols/bridge/messages.ts'
import type { Fact } from '../../../src/audit/facts.ts'
import { LAST_LINK } from '../../../src/authority/chain.ts'
import { parseRight } from '../../../src/authority/rights.ts'
import { decodeDelegation } from '../../../src/authority/token.ts'
import { judgeOldToken } from '../../../src/authority/ucan08-judge.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { BridgeDesk } from '../../../src/runtime/bridge-desk.ts'
import { Keyring } from '../../../src/runtime/keyring.ts'
import { RightsDesk } from '../../../src/runtime/rights-desk.ts'
import { HandClock, settled } from '../base/hand-clock.ts'
import { bundle } from '../exec/world.ts'
import { alice, bob, carol, MeshWorld, mallory, owner, type Rooms } from './mesh-world.ts'
import { built, ucans } from './old-tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'errand-bridge-'))
const thread = (name: string): string => join(folder, `${name}.cjs`)
const RUN = { with: `errand:${bob.did}`, can: 'exec/run' }
const NPM = { with: `errand:${bob.did}/${encodeURIComponent('exec: npm test …')}`, can: 'exec/run' }

let world: MeshWorld
let rooms: Rooms
let rights: RightsDesk
let desk: BridgeDesk
let facts: Fact[]
let soon: number

/** Threads that lie, each its own way. */
const LIARS = {
  yes: 'parentPort.postMessage({ ok: true, proven: workerData.claims.map((one) => ({ with: one.with, can: one.can, root: one.root })) })',
  other: "parentPort.postMessage({ ok: true, proven: [{ with: 'errand:x', can: '*', root: workerData.audience }] })",
  nothing: 'parentPort.postMessage({ ok: true, proven: [] })',
  truthy: "parentPort.postMessage('yes')",
  ends: 'process.exit(0)',
  throws: "throw new Error('broken')",
  silent: 'setInterval(() => undefined, 1_000)',
  grows: 'const kept = []; for (;;) kept.push(new Array(100_000).fill(kept.length))',
} as const

beforeAll(async () => {
  await bundle('src/authority/ucan08-worker.ts', thread('ucans'))
  for (const [name, code] of Object.entries(LIARS)) writeFileSync(thread(name), `const { parentPort, workerData } = require('node:worker_threads')\n${code}\n`)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

beforeEach(async () => {
  world = new MeshWorld(new HandClock(systemClock.now())) // the library reads the machine's clock itself
  soon = world.now + 3_600
  rooms = world.device()
  facts = []
  const { clock, random } = world
  for (const record of [world.founder, world.member(bob, 'bob'), world.member(carol, 'carol')]) await rooms.records.admit('members', record)
  await rooms.records.admit('delegations', world.root(bob).bytes)
  const keyring = new Keyring({ device: alice, owner, wallet: rooms.wallet, revocations: rooms.revocations, clock, random })
  const audit = { append: (fact: Fact) => Promise.resolve(facts.push(fact)) }
  const telling = { push: () => Promise.resolve([]), gossipRevocation: () => undefined }
  rights = new RightsDesk({ mayGive: () => undefined, ...rooms, keyring, telling, audit, clock, random })
  desk = new BridgeDesk({ ...rooms, keyring, rights, audit, clock, bridgeFile: thread('ucans') })
})

/** The same desk over another thread. */
function deskOver(name: keyof typeof LIARS): BridgeDesk {
  const { clock, random } = world
  const keyring = new Keyring({ device: alice, owner, wallet: rooms.wallet, revocations: rooms.revocations, clock, random })
  return new BridgeDesk({ ...rooms, keyring, rights, audit: { append: (fact) => Promise.resolve(facts.push(fact)) }, clock, bridgeFile: thread(name) })
}

/** What carol shows to alice: from the owner to carol, who addresses it. */
async function shown(
  o: { att?: (typeof RUN)[]; rootAtt?: (typeof RUN)[]; exp?: number; rootExp?: number; nbf?: number; rootNbf?: number } = {},
): Promise<string> {
  const { att = [NPM], rootAtt = att, exp = soon, rootExp = soon, nbf, rootNbf } = o
  const root = await built({ from: owner, to: carol, att: rootAtt, exp: rootExp, ...(rootNbf === undefined ? {} : { nbf: rootNbf }) })
  return await built({ from: carol, to: alice, att, exp, proofs: [root], ...(nbf === undefined ? {} : { nbf }) })
}

const codeOf = async (token: string, by = desk): Promise<string> =>
  await by.import({ token, agreed: true }).then(
    () => 'taken',
    (thrown: { code?: string }) => thrown.code ?? String(thrown),
  )
const held = (): number => rooms.wallet.list().length

test('a token of ucans is shown in words, signs nothing before that is agreed to, and then is a grant of exactly that', async () => {
  const token = await shown({ exp: soon - 60 })
  const offered = await desk.import({ token })
  expect(offered).toMatchObject({ holder: 'carol', gives: ['carol may exec: npm test … on bob, for 59m'], grants: [] })
  expect([held(), facts]).toEqual([1, []])
  const { grants } = await desk.import({ token, agreed: true })
  expect(grants).toMatchObject([{ issuer: 'the owner', audience: 'carol', device: 'bob', can: ['exec: npm test …'], revoked: false }])
  const link = rooms.wallet.get(grants[0]?.cid ?? '')
  expect(link).toMatchObject({ iss: owner.did, aud: carol.did, sub: bob.did, ...parseRight('exec: npm test'), exp: soon - 60 })
  expect(link && decodeDelegation(link.bytes).cid).toBe(grants[0]?.cid)
  expect(facts).toMatchObject([{ action: 'grant.import', result: 'ok', subject: carol.did, grant: link?.cid }])
  await desk.import({ token, agreed: true })
  expect(held()).toBe(2) // twice the same is once
})

test('a grant goes out as a token that ucans verifies, and comes back as no more than it was', async () => {
  const [given] = await rights.grant({ who: 'carol', on: 'bob', can: ['exec: git, npm test; env CI; timeout 10m'], forMs: 3_600_000 })
  const { jwt, issuer, audience, capability } = await desk.export({ grant: given?.cid.slice(-8) ?? '', format: 'jwt' })
  const asked = { audience, requiredCapabilities: [{ capability: ucans.capability.parse(capability), rootIssuer: issuer }] }
  expect(await ucans.verify(jwt, asked)).toMatchObject({ ok: true })
  const back = await built({ from: carol, to: alice, att: [capability], exp: soon - 60, proofs: [jwt] })
  const { grants } = await desk.import({ token: back, agreed: true })
  expect(grants[0]).toMatchObject({ can: given?.can, device: 'bob', audience: 'carol' })
  expect(rooms.wallet.get(grants[0]?.cid ?? '')?.pol).toEqual(rooms.wallet.get(given?.cid ?? '')?.pol)
  expect(facts.map(({ action }) => action)).toEqual(['grant.issue', 'grant.export', 'grant.import'])
})

test('what was revoked here does not come back as a token', async () => {
  const [given] = await rights.grant({ who: 'carol', on: 'bob', can: ['exec: npm test'], forMs: 3_600_000 })
  const { jwt } = await desk.export({ grant: given?.cid ?? '', format: 'jwt' })
  const early = await built({ from: carol, to: alice, att: [NPM], exp: soon - 60, proofs: [jwt] })
  const [taken] = (await desk.import({ token: early, agreed: true })).grants
  await rights.revoke({ grant: taken?.cid ?? '' })
  expect(await codeOf(early)).toBe('REVOKED')
  await rights.revoke({ grant: given?.cid ?? '' })
  const late = await built({ from: carol, to: alice, att: [NPM], exp: soon - 30, proofs: [jwt] })
  expect(await codeOf(late)).toBe('REVOKED')
  await expect(desk.export({ grant: given?.cid ?? '', format: 'jwt' })).rejects.toMatchObject({ code: 'CANNOT_EXPORT' })
})

test('a right may come back narrower: a device, then words on it; any ability, then one', async () => {
  const all = { with: `errand:${bob.did}`, can: '*' }
  expect(await codeOf(await shown({ att: [NPM], rootAtt: [RUN] }))).toBe('taken')
  expect(await codeOf(await shown({ att: [RUN], rootAtt: [all] }))).toBe('taken')
  expect(await codeOf(await shown({ att: [{ ...RUN, can: 'task/logs' }, NPM], rootAtt: [all] }))).toBe('taken')
})

test.each<[string, () => Promise<string>, string]>([
  ['any command where one was given', () => shown({ att: [RUN], rootAtt: [NPM] }), 'NOT_PROVEN'],
  ['any ability where one was given', () => shown({ att: [{ ...RUN, can: '*' }], rootAtt: [RUN] }), 'NOT_PROVEN'],
  ['another ability', () => shown({ att: [{ ...RUN, can: 'audit/read' }], rootAtt: [RUN] }), 'NOT_PROVEN'],
  ['another device', () => shown({ att: [{ ...RUN, with: `errand:${alice.did}` }], rootAtt: [RUN] }), 'NOT_PROVEN'],
  ['other words', () => shown({ att: [{ ...RUN, with: `${RUN.with}/${encodeURIComponent('exec: *')}` }], rootAtt: [NPM] }), 'NOT_PROVEN'],
  ['one of two capabilities unproven', () => shown({ att: [NPM, { ...RUN, can: 'audit/read' }], rootAtt: [NPM] }), 'NOT_PROVEN'],
  ['expired', () => shown({ exp: world.now }), 'TOKEN_EXPIRED'],
  ['with an expired proof', () => shown({ rootExp: world.now - 1 }), 'TOKEN_EXPIRED'],
  ['not valid yet', () => shown({ nbf: world.now + 60 }), 'TOKEN_TOO_EARLY'],
  ['with a proof that is not valid yet', () => shown({ rootNbf: world.now + 60 }), 'TOKEN_TOO_EARLY'],
  ['with a proof whose not-before is past: the library has that check the wrong way round', () => shown({ rootNbf: world.now - 60 }), 'NOT_PROVEN'],
  ['for somebody else', () => built({ from: carol, to: bob, att: [NPM], exp: soon }), 'WRONG_AUDIENCE'],
  ['without any proof', () => built({ from: carol, to: alice, att: [NPM], exp: soon }), 'NOT_PROVEN'],
  ['of the owner itself', () => built({ from: owner, to: alice, att: [NPM], exp: soon }), 'CANNOT_GRANT'],
  ['of somebody who is in no mesh', () => built({ from: mallory, to: alice, att: [NPM], exp: soon }), 'UNKNOWN_DEVICE'],
  [
    'beginning with another device',
    async () => await built({ from: carol, to: alice, att: [NPM], exp: soon, proofs: [await built({ from: bob, to: carol, att: [NPM], exp: soon })] }),
    'NOT_PROVEN',
  ],
  [
    'with a gap: the proof is given to somebody else',
    async () => await built({ from: carol, to: alice, att: [NPM], exp: soon, proofs: [await built({ from: owner, to: bob, att: [NPM], exp: soon })] }),
    'NOT_PROVEN',
  ],
  ['of everything that is mine', () => shown({ att: [{ with: 'my:*', can: '*' }] }), 'UNKNOWN_CAPABILITY'],
  ['of what is the owner’s', () => shown({ att: [{ with: `as:${owner.did}:*`, can: '*' }] }), 'UNKNOWN_CAPABILITY'],
  ['of what a proof gives', () => shown({ att: [{ with: 'prf:*', can: 'ucan/DELEGATE' }] }), 'UNKNOWN_CAPABILITY'],
  ['of a file system', () => shown({ att: [{ with: 'wnfs://boris.example/', can: 'wnfs/OVERWRITE' }] }), 'UNKNOWN_CAPABILITY'],
  ['of an ability that is nobody’s to give', () => shown({ att: [{ ...RUN, can: 'mesh/join' }] }), 'UNKNOWN_CAPABILITY'],
  ['of a name that every object has', () => shown({ att: [{ ...RUN, can: 'constructor' }] }), 'UNKNOWN_CAPABILITY'],
  ['of an ability in capitals', () => shown({ att: [{ ...RUN, can: 'EXEC/RUN' }] }), 'UNKNOWN_CAPABILITY'],
  ['of a device that is none', () => shown({ att: [{ ...RUN, with: 'errand:laptop' }] }), 'UNKNOWN_CAPABILITY'],
  ['of words that are not a right', () => shown({ att: [{ ...RUN, with: `${RUN.with}/anything` }] }), 'UNKNOWN_CAPABILITY'],
  ['of words in another spelling', () => shown({ att: [{ ...RUN, with: `${RUN.with}/exec%3A%20npm` }] }), 'UNKNOWN_CAPABILITY'],
  ['of words about something else than its ability', () => shown({ att: [{ ...NPM, can: 'audit/read' }] }), 'UNKNOWN_CAPABILITY'],
  ['of words in broken percent signs', () => shown({ att: [{ ...RUN, with: `${RUN.with}/%E0%A4%A` }] }), 'UNKNOWN_CAPABILITY'],
  ['that outlives what the owner holds there', () => shown({ att: [{ ...NPM, with: NPM.with.replace(bob.did, carol.did) }] }), 'CANNOT_GRANT'],
])('not taken, and in the log: a token %s', async (_, make, code) => {
  const before = held()
  expect(await codeOf(await make())).toBe(code)
  expect(held()).toBe(before)
  expect(facts).toMatchObject([{ action: 'grant.import', result: 'denied', details: { reason: expect.stringContaining(code) } }])
})

test('a token made to keep the library busy for minutes costs its thread the deadline, and the node nothing', async () => {
  const { clock, random } = { ...world, clock: systemClock }
  const keyring = new Keyring({ device: alice, owner, wallet: rooms.wallet, revocations: rooms.revocations, clock, random })
  const real = new BridgeDesk({ ...rooms, keyring, rights, audit: { append: (fact) => Promise.resolve(facts.push(fact)) }, clock, bridgeFile: thread('ucans') })
  // Every link checks what lies below it anew for each of its capabilities, and there is no right at the end of it but the last one tried.
  const busy = [NPM, ...Array.from({ length: 7 }, (_, n) => ({ with: 'x:y', can: `a/${n}` }))]
  let proofs: string[] = [await built({ from: owner, to: carol, att: [NPM], exp: soon })]
  for (let depth = 0; depth < 4; depth++) proofs = [await built({ from: carol, to: carol, att: [...busy].reverse(), exp: soon, proofs })]
  const token = await built({ from: carol, to: alice, att: [NPM], exp: soon, proofs })
  const began = systemClock.monotonic()
  let turns = 0
  const turning = setInterval(() => turns++, 20)
  expect(await codeOf(token, real)).toBe('TOOK_TOO_LONG')
  clearInterval(turning)
  expect(systemClock.monotonic() - began).toBeLessThan(BRIDGE.deadlineMs + 2_000)
  expect(turns).toBeGreaterThan(BRIDGE.deadlineMs / 40) // the node's own thread went on
})

test('the library’s yes is not enough, and neither is ours', async () => {
  expect(await codeOf(await shown({ att: [RUN], rootAtt: [NPM] }), deskOver('yes'))).toBe('NOT_PROVEN')
  const honest = await shown()
  for (const liar of ['other', 'nothing', 'truthy', 'ends', 'throws', 'grows'] as const) expect(await codeOf(honest, deskOver(liar)), liar).toBe('NOT_PROVEN')
  expect(await codeOf(honest, deskOver('yes'))).toBe('taken')
}, 60_000)

test('nothing asked is nothing proven', async () => {
  const asked = judgeOldToken(thread('nothing'), { token: 'x', audience: alice.did, claims: [] }, systemClock)
  await expect(asked).rejects.toMatchObject({ code: 'NOT_PROVEN' })
})

test('a thread that does not answer is ended at the deadline, and meanwhile nobody else waits in vain', async () => {
  const slow = deskOver('silent')
  const asked = codeOf(await shown(), slow)
  await settled()
  expect(await codeOf(await shown(), slow)).toBe('BUSY')
  world.clock.advance(BRIDGE.deadlineMs)
  expect(await asked).toBe('TOOK_TOO_LONG')
  expect(await codeOf('x', slow)).toBe('NOT_A_TOKEN')
})

test('a token that dies while it is checked is not taken', async () => {
  const token = await shown({ exp: world.now + 2 })
  const asked = codeOf(token, deskOver('yes'))
  world.clock.advance(2_000) // the thread is not even up yet, and has a second more
  expect(await asked).toBe('TOKEN_EXPIRED')
})

test('a flood of bad tokens does not flood the log', async () => {
  for (let n = 0; n < 100; n++) await codeOf('x')
  expect(facts).toHaveLength(20)
})

test('a device without the owner’s key takes only what began with itself', async () => {
  const { clock, random } = world
  const keyring = new Keyring({ device: bob, wallet: rooms.wallet, revocations: rooms.revocations, clock, random })
  const bobs = new BridgeDesk({ ...rooms, keyring, rights, audit: { append: (fact) => Promise.resolve(facts.push(fact)) }, clock, bridgeFile: thread('ucans') })
  const byOwner = await built({ from: owner, to: carol, att: [NPM], exp: soon })
  const byBob = await built({ from: bob, to: carol, att: [NPM], exp: soon })
  expect(await codeOf(await built({ from: carol, to: bob, att: [NPM], exp: soon, proofs: [byOwner] }), bobs)).toBe('NOT_PROVEN')
  expect(await codeOf(await built({ from: carol, to: bob, att: [NPM], exp: soon, proofs: [byBob] }), bobs)).toBe('taken')
  expect(await codeOf(await built({ from: carol, to: owner, att: [NPM], exp: soon, proofs: [byBob] }), bobs)).toBe('WRONG_AUDIENCE')
})

test('a grant whose bounds UCAN 0.8 cannot say is not exported', async () => {
  const refused = async (fields: Parameters<MeshWorld['grant']>[3]): Promise<string> => {
    const link = world.grant(owner, carol, bob, fields)
    await rooms.records.admit('delegations', link.bytes)
    return await desk.export({ grant: link.cid, format: 'jwt' }).then(
      () => 'written',
      (thrown: Error) => thrown.message,
    )
  }
  expect(await refused({ pol: parseRight('exec: npm').pol })).toBe('written')
  expect(await refused({ cmd: '/device/info' })).toBe('written')
  expect(await refused({ meta: { [LAST_LINK]: true } })).toContain('may not be passed on')
  expect(await refused({ meta: { 'errand/rate': 3 } })).toContain('cannot say errand/rate')
  expect(await refused({ pol: [['!=', '.exe', 'rm']] })).toContain('words that mean exactly the same')
  expect(await refused({ cmd: '/exec' })).toContain('no ability for /exec')
  expect(await refused({ sub: null })).toContain('names no device')
  expect(await refused({ exp: null })).toContain('a token of UCAN 0.8 has to')
  expect(await refused({ exp: world.now })).toContain('has expired')
  expect(await refused({ nbf: world.now + 60 })).toContain('not valid yet')
  const foreign = world.grant(bob, carol, bob)
  await rooms.records.admit('delegations', foreign.bytes)
  await expect(desk.export({ grant: foreign.cid, format: 'jwt' })).rejects.toThrow('whose key is not here')
})
