/** Rights as a person gives, hands on and takes back; each device a process. Alice's device is the one that everybody wants something of. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { GrantView, RevokeView } from '../../protocols/local/messages.ts'
import { signDelegation } from '../../src/authority/token.ts'
import { readOldToken } from '../../src/authority/ucan08.ts'
import { systemRandom } from '../../src/base/clock.ts'
import type { Did, Identity } from '../../src/identity/identity.ts'
import { fromPem } from '../../src/identity/keyfile.ts'
import { failureOf, jsonOf, type Node, type Ran, until, type World, world } from '../support/world.ts'
import { forged } from '../unit/runtime/old-tokens.ts'
import { Attacker, ask, chainTo, command, enrol, openFrame } from './support-attack.ts'
import { addressOf, ended, goneFromProc, processesWith, startRun } from './support-exec.ts'

let w: World
let alice: Node
let bob: Node
let carol: Node
let marker: string

beforeAll(async () => {
  w = world()
  marker = w.at('must-not-be')
  alice = await w.founder('alice')
  bob = await w.joiner(alice, 'bob', { invite: ['--ask', 'exec: true'] })
  carol = await w.joiner(alice, 'carol', { invite: ['--ask', 'exec: printf, echo asked', '--for', '2h'] })
  await w.connected(bob.home, 'carol')
})

afterAll(async () => {
  await w[Symbol.asyncDispose]()
})

afterEach(clean)

const grant = async (by: Node, to: string, ...words: string[]): Promise<Ran> => await w.errand(by.home, 'grant', to, ...words, '--json')

async function granted(by: Node, to: string, ...words: string[]): Promise<GrantView> {
  const ran = await grant(by, to, ...words)
  const [first] = jsonOf<GrantView[]>(ran)
  if (ran.code !== 0 || first === undefined) throw new Error(`no grant: ${ran.stdout}${ran.stderr}`)
  return first
}

async function revoked(by: Node, ...words: string[]): Promise<RevokeView> {
  return jsonOf<RevokeView>(await w.errand(by.home, 'revoke', ...words, '--json'))
}

const grants = async (home: string): Promise<GrantView[]> => jsonOf<GrantView[]>(await w.errand(home, 'grants', '--json'))

/** Takes back what a test gave, so that the next one starts with nothing. */
async function clean(): Promise<void> {
  await w.errand(alice.home, 'revoke', '--on', 'alice', '--to', 'bob')
  await w.errand(alice.home, 'revoke', '--on', 'alice', '--to', 'carol')
}

test('by default nobody may do anything: the refusal says who would have to allow it, and is in the executor’s log', async () => {
  const ran = await w.run(bob.home, 'alice', 'touch', marker)
  expect(ran).toMatchObject({ code: 126, stdout: '' })
  expect(ran.stderr).toMatch(/^errand: denied on alice: no grant from alice reaches bob\nhint: .*errand grant/)
  expect(existsSync(marker)).toBe(false)
  const [denial] = await w.audit(alice.home, '--action', 'exec.denied', '--actor', bob.did)
  expect(denial).toMatchObject({ result: 'denied', device: alice.did, actor: bob.did, command: ['touch', marker], reason: expect.stringContaining('no grant') })
})

test('a grant is shown back in words and as data, on both devices, and allows that and no more', async () => {
  const ran = await w.errand(alice.home, 'grant', 'bob', '--on', 'alice', '--can', 'exec: echo, printf hello', '--for', '1h')
  expect(ran).toMatchObject({ code: 0, stderr: '' })
  expect(ran.stdout).toMatch(/^✓ .*bob.*exec: echo ….*printf hello ….*on alice/)
  const found = async (home: string): Promise<GrantView | undefined> =>
    (await grants(home)).find(({ audience, device }) => audience === 'bob' && device === 'alice')
  const [here, there] = [await found(alice.home), await until('bob knows', () => found(bob.home))]
  expect(here).toMatchObject({ issuer: 'alice', audience: 'bob', device: 'alice', can: ['exec: echo …, printf hello …'], revoked: false, parents: [] })
  expect(there).toMatchObject({ cid: here?.cid, can: here?.can })
  expect(Date.parse(here?.expiresAt ?? '') - Date.now()).toBeGreaterThan(3_500_000)
  expect(await w.run(bob.home, 'alice', 'echo', 'a', 'b')).toMatchObject({ code: 0, stdout: 'a b\n' })
  expect(await w.run(bob.home, 'alice', 'printf', 'hello')).toMatchObject({ code: 0, stdout: 'hello' })
  const bye = await w.run(bob.home, 'alice', 'printf', 'bye')
  expect(bye).toMatchObject({ code: 126, stdout: '' })
  expect(bye.stderr).toContain('"printf bye" is not in {printf hello …}')
  const denied = await w.run(bob.home, 'alice', 'rm', '-rf', marker)
  expect(denied.code).toBe(126)
  expect(denied.stderr).toMatch(
    /^errand: denied on alice: exe "rm" is not in \{echo, printf\} {2}\(grant bafy\w*…\w+, expires in (about )?(1h|59m\w*)\)\nhint: .*errand grant bob --on alice --can 'exec: rm'/,
  )
  const json = failureOf(await w.errand(bob.home, 'run', 'alice', '--json', '--', 'rm'))
  expect(json).toMatchObject({ code: 'DENIED', source: 'device', fields: { reason: 'POLICY', grant: here?.cid, device: 'alice' } })
  expect(await w.errand(bob.home, 'run', 'alice', '--env', 'A=b', '--', 'echo')).toMatchObject({ code: 126 })
})

test('a right goes on over two hops, rests on whichever grant carries it, and only ever narrows', async () => {
  const parent = await granted(alice, 'bob', '--on', 'alice', '--can', 'exec: echo, printf', '--for', '1h')
  await granted(alice, 'bob', '--on', 'alice', '--can', 'exec: sleep', '--for', '90m')
  const child = await granted(bob, 'carol', '--on', 'alice', '--can', 'exec: echo', '--for', '10m')
  expect(child).toMatchObject({ issuer: 'bob', audience: 'carol', device: 'alice' })
  expect(child.parents).toHaveLength(1)
  expect(await w.run(carol.home, 'alice', 'echo', 'two hops')).toMatchObject({ code: 0, stdout: 'two hops\n' })
  for (const words of [
    ['printf', 'x'],
    ['touch', marker],
    ['sleep', '0'],
  ])
    expect(await w.run(carol.home, 'alice', ...words), words.join(' ')).toMatchObject({ code: 126, stdout: '' })
  const [start] = (await w.audit(alice.home, '--action', 'exec.start', '--actor', carol.did)).slice(-1)
  expect(start).toMatchObject({ grant: child.cid, policyApplied: `${parent.cid} ${child.cid}` })
  await clean()
  expect(await w.run(carol.home, 'alice', 'echo', 'still?')).toMatchObject({ code: 126 })
})

test('widening is refused before it is signed: another command, a longer life, somebody else’s device, what may not be passed on', async () => {
  await granted(alice, 'bob', '--on', 'alice', '--can', 'exec: echo', '--for', '1h')
  const tries: [string[], string][] = [
    [['--can', 'everything', '--for', '10m'], 'CANNOT_GRANT'],
    [['--can', 'audit: read', '--for', '10m'], 'CANNOT_GRANT'],
    [['--can', '/audit/purge', '--for', '10m'], 'BAD_RIGHT'],
    [['--can', 'exec: echo', '--for', '2h'], 'CANNOT_GRANT'],
    [['--can', 'exec: echo, touch', '--for', '10m'], 'CANNOT_GRANT'],
    [['--can', 'exec: echo; env CI', '--for', '10m'], 'CANNOT_GRANT'],
  ]
  for (const [words, code] of tries) {
    const ran = await grant(bob, 'carol', '--on', 'alice', ...words)
    expect(ran.code, words.join(' ')).not.toBe(0)
    expect(failureOf(ran)).toMatchObject({ code })
  }
  expect(failureOf(await grant(carol, 'bob', '--on', 'alice', '--can', 'exec: echo', '--for', '1m'))).toMatchObject({ code: 'CANNOT_GRANT' })
  await clean()
  await granted(alice, 'bob', '--on', 'alice', '--can', 'exec: echo', '--for', '1h', '--no-pass-on')
  expect(failureOf(await grant(bob, 'carol', '--on', 'alice', '--can', 'exec: echo', '--for', '1m'))).toMatchObject({ code: 'CANNOT_GRANT' })
  expect(await w.run(bob.home, 'alice', 'echo', 'mine')).toMatchObject({ code: 0 })
})

test('widening is refused where it counts: tokens that our program would not sign are not believed by the device', async () => {
  const dave = await enrol(w, alice, 'dave', '--ask', 'exec: true', '--give', 'exec: echo', '--for', '1h')
  const mallory = await enrol(w, alice, 'mallory', '--ask', 'exec: true')
  await using peer = await Attacker.start(mallory.meshId, mallory.identity)
  const { connection, challenge } = await peer.session(await addressOf(alice.home), mallory.membership)
  const chain = chainTo(dave, alice.did)
  const soon = Math.floor(Date.now() / 1_000) + 600
  const link = (by: Identity, o: { cmd?: string; exp?: number | null; sub?: string | null; aud?: Did; meta?: Record<string, unknown> } = {}) =>
    signDelegation(by, {
      ...{ aud: o.aud ?? mallory.identity.did, sub: o.sub === undefined ? (alice.did as Did) : (o.sub as Did | null), cmd: o.cmd ?? '/exec/run' },
      ...{ pol: [], exp: o.exp === undefined ? soon : o.exp, nonce: systemRandom(16), ...(o.meta === undefined ? {} : { meta: o.meta }) },
    })
  const tryIt = async (args: ReturnType<typeof command>, ...links: ReturnType<typeof link>[]) =>
    await ask(connection, openFrame({ by: mallory.identity, to: alice.did as Did, challenge, args, chain: [...chain, ...links] }))
  const touch = command('touch', marker)
  expect(await tryIt(command('echo', 'handed on'), link(dave.identity))).toMatchObject({ t: 'ended', stdout: Buffer.from('handed on\n') })
  expect(await tryIt(touch, link(dave.identity))).toMatchObject({ reason: 'POLICY' })
  expect(await tryIt(touch, link(dave.identity, { cmd: '/' }))).toMatchObject({ reason: 'NOT_COVERED' })
  expect(await tryIt(touch, link(dave.identity, { cmd: '/exec' }))).toMatchObject({ reason: 'NOT_COVERED' })
  expect(await tryIt(command('echo'), link(dave.identity, { exp: null }))).toMatchObject({ reason: 'NO_EXPIRY' })
  expect(await tryIt(command('echo'), link(dave.identity, { exp: soon - 1_200 }))).toMatchObject({ reason: 'GRANT_EXPIRED' })
  expect(await tryIt(command('echo'), link(dave.identity, { sub: bob.did }))).toMatchObject({ reason: 'CHAIN_SUBJECT' })
  expect(await tryIt(command('echo'), link(mallory.identity))).toMatchObject({ reason: 'CHAIN_GAP' })
  const last = link(dave.identity, { aud: bob.did as Did, meta: { 'errand/last': true } })
  expect(await tryIt(command('echo'), last, link(dave.identity))).toMatchObject({ t: 'refused' })
  const kept = link(dave.identity, { meta: { 'errand/last': true } })
  expect(await tryIt(command('echo', 'kept'), kept)).toMatchObject({ t: 'ended' })
  expect(await tryIt(command('echo'), kept, link(mallory.identity))).toMatchObject({ reason: 'PASSED_ON' })
  expect(existsSync(marker)).toBe(false)
})

test('a revocation stops what runs on the grant, says so to everybody, and is acknowledged', async () => {
  const mark = 'sleep 86388'
  const { cid } = await granted(alice, 'bob', '--on', 'alice', '--can', 'exec: sleep', '--for', '1h')
  const run = startRun(w, bob.home, 'alice', '--', ...mark.split(' '))
  const over = ended(run)
  await until('it sleeps', () => processesWith(mark).some((seen) => seen.command === mark))
  const done = await revoked(alice, cid)
  expect(done).toMatchObject({ grants: [cid], stopped: [expect.stringMatching(/^[0-9a-f-]{36}$/)] })
  expect(done.unreachable.map(({ device }) => device)).not.toEqual(expect.arrayContaining(['bob']))
  expect([...done.acknowledged].sort()).toEqual(expect.arrayContaining(['bob', 'carol']))
  const ran = await over
  expect(ran).toMatchObject({ code: 126 })
  expect(ran.stderr).toContain('revoked')
  await goneFromProc(mark)
  const [end] = (await w.audit(alice.home, '--action', 'exec.end', '--task', done.stopped[0] ?? '')).slice(-1)
  expect(end).toMatchObject({ why: 'revoked', result: 'failed', grant: cid })
  const again = await w.run(bob.home, 'alice', 'sleep', '0')
  expect(again.code).toBe(126)
  expect(again.stderr).toContain('revoked')
  expect((await grants(bob.home)).find((one) => one.cid === cid)).toMatchObject({ revoked: true })
})

test('a device that is away is named as unreached, with the day on which the grant dies there anyway', async () => {
  await using own = world()
  const here = await own.founder('here')
  const away = await own.joiner(here, 'away')
  const [given] = jsonOf<GrantView[]>(await own.errand(here.home, 'grant', 'away', '--on', 'here', '--can', 'exec: true', '--for', '1h', '--json'))
  await away.kill()
  const done = jsonOf<RevokeView>(await own.errand(here.home, 'revoke', given?.cid ?? '', '--json'))
  expect(done).toMatchObject({ grants: [given?.cid], acknowledged: [], unreachable: [{ device: 'away', expiresAt: given?.expiresAt }] })
})

test('a grant that runs out takes its command with it', async () => {
  const mark = 'sleep 86387'
  await granted(alice, 'bob', '--on', 'alice', '--can', 'exec: sleep', '--for', '4s')
  const ran = await w.run(bob.home, 'alice', ...mark.split(' '))
  expect(ran).toMatchObject({ code: 126 })
  expect(ran.tookMs).toBeLessThan(20_000)
  await goneFromProc(mark)
  expect(await w.run(bob.home, 'alice', 'sleep', '0')).toMatchObject({ code: 126, stdout: '' })
})

test('grants are taken back by any unique piece of their name, or by device, right and holder', async () => {
  const given = await Promise.all(
    ['exec: echo', 'exec: printf', 'audit: read'].map((can) => granted(alice, 'bob', '--on', 'alice', '--can', can, '--for', '1h')),
  )
  const kept = await granted(alice, 'carol', '--on', 'alice', '--can', 'exec: echo', '--for', '1h')
  const [echo, printf, audit] = given.map(({ cid }) => cid)
  expect(failureOf(await w.errand(alice.home, 'revoke', 'bafyre', '--json'))).toMatchObject({ code: 'AMBIGUOUS_GRANT' })
  expect(failureOf(await w.errand(alice.home, 'revoke', 'no-such-grant', '--json'))).toMatchObject({ code: 'NO_SUCH_GRANT' })
  expect(failureOf(await w.errand(alice.home, 'revoke', echo?.slice(-5) ?? '', '--json'))).toMatchObject({ code: 'NO_SUCH_GRANT' })
  expect((await revoked(alice, echo?.slice(-8) ?? '')).grants).toEqual([echo])
  expect((await revoked(alice, '--on', 'alice', '--can', 'exec', '--to', 'bob')).grants).toEqual([printf])
  expect((await revoked(alice, '--on', 'alice', '--to', 'bob')).grants).toEqual([audit])
  expect(failureOf(await w.errand(alice.home, 'revoke', '--on', 'alice', '--to', 'bob', '--json'))).toMatchObject({ code: 'NO_SUCH_GRANT' })
  expect(failureOf(await w.errand(bob.home, 'revoke', kept.cid, '--json'))).toMatchObject({ code: expect.stringMatching(/CANNOT_REVOKE|NO_SUCH_GRANT/) })
  expect(await w.run(carol.home, 'alice', 'echo', 'not mine to lose')).toMatchObject({ code: 0 })
})

test('a device that joined with --ask can be used for that and for nothing else, also by the owner', async () => {
  expect(await w.run(alice.home, 'carol', 'printf', 'as agreed')).toMatchObject({ code: 0, stdout: 'as agreed' })
  expect(await w.run(alice.home, 'carol', 'echo', 'asked', 'for')).toMatchObject({ code: 0, stdout: 'asked for\n' })
  for (const words of [
    ['echo', 'other'],
    ['touch', marker],
    ['sh', '-c', 'true'],
  ]) {
    const ran = await w.run(alice.home, 'carol', ...words)
    expect(ran, words.join(' ')).toMatchObject({ code: 126, stdout: '' })
    expect(ran.stderr).toContain('denied on carol')
  }
  expect(await w.run(bob.home, 'carol', 'printf', 'x')).toMatchObject({ code: 126, stdout: '' })
  expect(existsSync(marker)).toBe(false)
})

test('a grant goes out to a program that uses UCAN 0.8 and comes back as a grant, after somebody has read what it gives', async () => {
  const asBob = fromPem(readFileSync(join(bob.home, 'identity', 'device.pem'), 'utf8'))
  const given = await granted(alice, 'bob', '--on', 'alice', '--can', 'exec: echo', '--for', '1h')
  const jwt = (await w.errand(alice.home, 'grant', 'export', given.cid.slice(-8), '--format', 'jwt')).stdout.trim()
  const [capability] = readOldToken(jwt).att
  const token = forged({ by: asBob, payload: { iss: bob.did, aud: alice.did, att: [capability], exp: Math.floor(Date.now() / 1_000) + 600, prf: [jwt] } })
  writeFileSync(w.at('token'), `${token}\n`)
  const shown = await w.errand(alice.home, 'grant', 'import', w.at('token'))
  expect(shown).toMatchObject({ code: 125, stdout: '', stderr: expect.stringContaining('bob may exec: echo … on alice, for') })
  expect(shown.stderr).toContain('add --yes')
  expect(failureOf(await w.errand(bob.home, 'grant', 'import', w.at('token'), '--yes', '--json'))).toMatchObject({ code: 'WRONG_AUDIENCE' })
  expect((await w.errand(alice.home, 'grant', 'import', w.at('token'), '--yes')).stdout).toMatch(/^✓ bob may exec: echo … on alice/)
  const [entry] = (await w.audit(alice.home, '--action', 'grant.import')).filter(({ result }) => result === 'ok')
  expect(entry).toMatchObject({ actor: alice.did, subject: bob.did, words: 'exec: echo …' })
  await w.errand(alice.home, 'revoke', given.cid)
  expect(await w.run(bob.home, 'alice', 'echo', 'over the bridge')).toMatchObject({ code: 0, stdout: 'over the bridge\n' })
  expect(failureOf(await w.errand(alice.home, 'grant', 'export', given.cid, '--format', 'jwt', '--json'))).toMatchObject({ code: 'CANNOT_EXPORT' })
})
