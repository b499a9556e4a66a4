/** The log of every device, on every device of its owner: complete, in order, proven; and what was done to it on disk is found and named. */
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Level } from 'level'
import { expect, test } from 'vitest'
import type { AuditVerifyView } from '../../protocols/local/messages.ts'
import { failureOf, jsonOf, type Node, until, type World, world } from '../support/world.ts'

/** Facts of the log as `device action result command`, oldest first. */
async function facts(w: World, home: string, ...filters: string[]): Promise<string[]> {
  const records = await w.audit(home, ...filters)
  return records.map(({ deviceName, action, result, command }) => [deviceName, action, result, ...(Array.isArray(command) ? command : [])].join(' '))
}

test('what happens on one device is in the log of every other device of the owner: requests, starts, ends, denials, joins', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  const carol = await w.joiner(alice, 'carol')
  await w.connected(carol.home, 'alice', 'bob')
  expect((await w.run(alice.home, 'bob', 'sh', '-c', 'exit 3')).code).toBe(3)
  expect((await w.run(bob.home, 'alice', 'id')).code).toBe(126)
  const wanted = [
    'alice device.invite ok',
    'alice device.join ok',
    'alice task.submit ok sh -c exit 3',
    'bob exec.start allowed sh -c exit 3',
    'bob exec.end failed sh -c exit 3',
    'alice exec.denied denied id',
  ]
  for (const { home } of [alice, bob, carol]) {
    const seen = await until(`all of it is known in ${home}`, async () => {
      const all = await facts(w, home)
      return wanted.every((fact) => all.includes(fact)) && all
    })
    expect(seen.indexOf('bob exec.start allowed sh -c exit 3')).toBeLessThan(seen.indexOf('bob exec.end failed sh -c exit 3'))
  }
  const [start] = await w.audit(carol.home, '--action', 'exec.start')
  const [end] = await w.audit(carol.home, '--action', 'exec.end')
  expect(start).toMatchObject({
    device: bob.did,
    actor: alice.did,
    requestedBy: alice.did,
    from: expect.stringMatching(/^\/ip4\//),
    policyApplied: expect.stringMatching(/^bafy/),
    grant: expect.stringMatching(/^bafy/),
  })
  expect(end).toMatchObject({
    device: bob.did,
    actor: alice.did,
    task: start?.task,
    exitCode: 3,
    durationMs: expect.any(Number),
    startTime: expect.stringMatching(/Z$/),
  })
})

test('a device that was away gets what it missed, and filters name the same records everywhere', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const [bob, carol] = [await w.joiner(alice, 'bob'), await w.joiner(alice, 'carol')]
  await w.connected(alice.home, 'bob', 'carol')
  await carol.stop()
  await w.run(alice.home, 'bob', 'echo', 'missed')
  const back = await w.up(carol.home)
  const filters = ['--device', 'bob', '--actor', 'alice', '--action', 'exec.']
  const onBob = await w.audit(bob.home, ...filters)
  expect(onBob.map(({ action }) => action)).toEqual(['exec.start', 'exec.end'])
  expect(
    await until('carol has what she missed', async () => (await facts(w, back.home, ...filters)).length === 2 && (await w.audit(back.home, ...filters))),
  ).toEqual(onBob)
  expect(await facts(w, back.home, ...filters, '--limit', '1')).toEqual(['bob exec.end ok echo missed'])
})

test('a device of somebody else sees its own log only, and still witnesses the others', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  const guest = await w.joiner(alice, 'guest', { invite: ['--ask', 'exec: echo'] })
  await w.connected(guest.home, 'alice', 'bob')
  await w.run(alice.home, 'bob', 'echo', 'private')
  await w.run(alice.home, 'guest', 'echo', 'shared')
  await until('alice has the guest’s log', async () => (await facts(w, alice.home, '--device', 'guest')).includes('guest exec.end ok echo shared'))
  const own = await w.audit(guest.home)
  expect([...new Set(own.map(({ deviceName }) => deviceName))]).toEqual(['guest'])
  expect(JSON.stringify(own)).not.toContain('private')
  // Besides alice, who wrote it, and bob, who asks, only the guest is there to show a head of alice's log.
  await until('the guest has shown alice’s head to bob', async () => (await w.verify(bob.home)).logs.find(({ name }) => name === 'alice')?.witnesses === 1)
})

test('verify proves all logs and says who witnessed them', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const [bob, carol] = [await w.joiner(alice, 'bob'), await w.joiner(alice, 'carol')]
  await w.connected(carol.home, 'alice', 'bob')
  for (const name of ['bob', 'carol']) await w.run(alice.home, name, 'true')
  for (const { home, did } of [alice, bob, carol]) {
    // Whoever wrote a log is no witness of it: of the three, two witness the own log and one that of another.
    const report = await until('all logs are here and witnessed', async () => {
      const seen = await w.verify(home)
      return seen.logs.length === 3 && seen.logs.every(({ device, witnesses, behind }) => witnesses === (device === did ? 2 : 1) && behind === 0) && seen
    })
    expect(report).toMatchObject({ ok: true, problems: [] })
    expect(report.logs.every(({ gaps, forks, entries }) => gaps === 0 && forks === 0 && entries > 0)).toBe(true)
  }
})

test('a start is in the log before its command runs: a command that kills the node is in it afterwards', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  await w.connected(alice.home, 'bob')
  for (let round = 0; round < 3; round++) {
    const node = round === 0 ? bob : await w.up(bob.home)
    await until('alice reaches bob', async () => (await w.run(alice.home, 'bob', 'true')).code === 0)
    const killed = await w.run(alice.home, 'bob', 'sh', '-c', `kill -9 ${node.process.pid} # round ${round}`)
    expect(killed.code).toBe(125)
    expect((await node.process.ended).signal).toBe('SIGKILL')
  }
  await w.up(bob.home)
  const starts = await facts(w, bob.home, '--device', 'bob', '--action', 'exec.start')
  for (let round = 0; round < 3; round++) expect(starts.filter((fact) => fact.endsWith(`# round ${round}`))).toHaveLength(1)
  expect((await w.verify(bob.home)).ok).toBe(true)
})

test('a command whose daemon was killed has its true end in the log after the restart, once: it went on without its daemon', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  await w.run(alice.home, 'alice', 'sh', '-c', `kill -9 ${alice.process.pid}; exit 3 # mid-way`)
  await alice.process.ended
  const again = await w.up(alice.home)
  const ends = async (): Promise<unknown[]> =>
    (await w.audit(alice.home, '--action', 'exec.end')).filter(({ command }) => String(command).endsWith('# mid-way')).map(({ result, why }) => [result, why])
  await until('the end is recorded', async () => (await ends()).length > 0)
  expect(await ends()).toEqual([['failed', 'exit']])
  await again.stop()
  await w.up(alice.home)
  expect(await ends()).toEqual([['failed', 'exit']])
})

/** Alice and bob with a few entries in each log, both stopped; bob holds both logs. */
async function stoppedWithLogs(w: World): Promise<{ alice: Node; bob: Node }> {
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  await w.connected(alice.home, 'bob')
  await w.run(alice.home, 'bob', 'echo', 'one')
  await w.run(bob.home, 'alice', 'true')
  await until('both have all', async () => {
    const [here, there] = [await facts(w, alice.home), await facts(w, bob.home)]
    return here.some((fact) => fact.startsWith('bob task.failed')) && here.join() === there.join()
  })
  await alice.stop()
  await bob.stop()
  return { alice, bob }
}

type Database = Level<string, Uint8Array>

async function edited<T>(home: string, edit: (level: Database) => Promise<T>): Promise<T> {
  const level: Database = new Level(join(home, 'db/main'), { keyEncoding: 'utf8', valueEncoding: 'view', createIfMissing: false })
  await level.open()
  try {
    return await edit(level)
  } finally {
    await level.close()
  }
}

const logKeys = (home: string): Promise<string[]> => edited(home, (level) => level.keys({ gte: 'a/', lt: 'a0' }).all())

test('whichever record of the log is changed on disk, no answer changes unnoticed, and verify names device and entry', async () => {
  await using w = world()
  const { bob } = await stoppedWithLogs(w)
  cpSync(join(bob.home, 'db'), w.at('copy'), { recursive: true })
  const honest = await answers(w, bob)
  expect(honest.verify).toMatchObject({ ok: true })
  const keys = await logKeys(bob.home)
  expect(keys.filter((key) => key.startsWith('a/e/')).length).toBeGreaterThan(5)
  let found = 0
  for (const [i, key] of keys.entries()) {
    restore(w, bob)
    await edited(bob.home, async (level) => {
      const value = Buffer.from((await level.get(key)) ?? new Uint8Array())
      const at = (i * 37 + 11) % value.length
      value[at] = (value[at] ?? 0) ^ 0x04
      await level.put(key, value)
    })
    const seen = await answers(w, bob)
    if (seen.refused !== undefined) {
      expect(seen.refused).toMatchObject({ code: expect.stringMatching(/^(LOG_UNAVAILABLE|DB_DAMAGED)$/), hint: expect.stringContaining('pulled back') })
      found++
      continue
    }
    if (seen.audit !== honest.audit || key.startsWith('a/e/')) {
      expect({ key, ...seen.verify }).toMatchObject({ key, ok: false })
      const owner = key.includes(bob.did) ? 'bob' : 'alice'
      const n = Number.parseInt(key.slice(-14), 16)
      expect({ key, problems: seen.verify?.problems }).toMatchObject({ problems: expect.arrayContaining([expect.stringMatching(new RegExp(`${owner}`))]) })
      if (key.startsWith('a/e/')) expect(seen.verify?.problems.join(' ')).toMatch(new RegExp(`\\b${n}\\b`))
      found++
    }
    if (seen.audit !== honest.audit) expect(seen.auditFailure).toBe('LOG_DAMAGED') // no answer rather than a false one
  }
  expect(found).toBeGreaterThanOrEqual(keys.filter((key) => key.startsWith('a/e/')).length)
})

test('entries cut from the end of a log are named, and come back from the other devices', async () => {
  await using w = world()
  const { alice, bob } = await stoppedWithLogs(w)
  const before = (await answers(w, bob)).audit
  const own = (await logKeys(bob.home)).filter((key) => key.startsWith(`a/e/${bob.did}/`))
  const last = own.at(-1) ?? ''
  await edited(bob.home, (level) => level.del(last))
  const alone = await answers(w, bob)
  expect(alone.refused === undefined ? alone.verify : { ok: false, problems: [alone.refused.message] }).toMatchObject({
    ok: false,
    problems: expect.arrayContaining([expect.stringMatching(/bob|this device/)]),
  })
  // The way that the hint names: the database goes, the log is pulled back.
  rmSync(join(bob.home, 'db/main'), { recursive: true })
  await w.up(alice.home)
  const again = await w.up(bob.home)
  await w.connected(again.home, 'alice')
  await until('the whole log is back', async () => (await w.errand(again.home, 'audit', '--json', '--device', 'bob')).stdout === linesOf(before, bob.did))
  expect((await w.verify(again.home)).ok).toBe(true)
  expect((await w.run(alice.home, 'bob', 'echo', 'works again')).stdout).toBe('works again\n')
})

test.each([
  { what: 'when it has met the others', hurry: false },
  { what: 'also when it is used the moment it is up', hurry: true },
])('a database restored from an older backup is made whole by what the others kept and does not fork its log, $what', async ({ hurry }) => {
  await using w = world()
  const { alice, bob } = await stoppedWithLogs(w)
  cpSync(join(bob.home, 'db'), w.at('copy'), { recursive: true })
  await w.up(alice.home)
  const later = await w.up(bob.home)
  await until('alice reaches bob', async () => (await w.run(alice.home, 'bob', 'echo', 'after the backup')).code === 0)
  await until('alice has it', async () => (await facts(w, alice.home, '--device', 'bob')).includes('bob exec.end ok echo after the backup'))
  const whole = (await w.errand(later.home, 'audit', '--json', '--device', 'bob')).stdout
  await later.stop()
  restore(w, bob)
  const again = await w.up(bob.home)
  if (hurry) await w.run(again.home, 'alice', 'true') // asks, so it is recorded; whether it is allowed does not matter
  await w.connected(again.home, 'alice')
  await until('what the backup lacked is back', async () => (await w.errand(again.home, 'audit', '--json', '--device', 'bob')).stdout.startsWith(whole))
  expect((await w.run(alice.home, 'bob', 'echo', 'goes on')).code).toBe(0)
  for (const { home } of [again, alice]) {
    await until('the log goes on', async () => (await facts(w, home, '--device', 'bob')).includes('bob exec.end ok echo goes on'))
    expect(await w.verify(home)).toMatchObject({ ok: true, problems: [] })
  }
})

interface Answers {
  readonly refused?: { readonly code: string; readonly message: string; readonly hint?: string }
  readonly audit?: string
  readonly auditFailure?: string | undefined
  readonly verify?: AuditVerifyView
}

/** What a node that is alone says of its logs; or why it does not start. */
async function answers(w: World, { home }: Node): Promise<Answers> {
  const running = w.start(home, ['up', '--json'])
  const line = await running.firstLine()
  if (line === undefined || !line.includes('"ready"')) return { refused: failureOf(await running.ended) }
  const audit = await w.errand(home, 'audit', '--json')
  const verify = await w.errand(home, 'audit', 'verify', '--json')
  const report = jsonOf<AuditVerifyView>(verify)
  expect(verify.code).toBe(report.ok ? 0 : 1)
  await running.end('SIGTERM')
  const failure = audit.code === 0 ? undefined : failureOf({ ...audit, stdout: audit.stdout.trim().split('\n').at(-1) ?? '' }).code
  return { audit: audit.stdout, auditFailure: failure, verify: report }
}

function restore(w: World, { home }: Node): void {
  rmSync(join(home, 'db'), { recursive: true })
  cpSync(w.at('copy'), join(home, 'db'), { recursive: true })
}

function linesOf(audit: string | undefined, device: string): string {
  return (audit ?? '')
    .split('\n')
    .filter((line) => line.startsWith(`{"device":"${device}"`))
    .map((line) => `${line}\n`)
    .join('')
}
