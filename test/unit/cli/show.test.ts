import { afterAll, expect, test } from 'vitest'
import { commandLine, ended, says } from './command-line.ts'
import { startFake } from './fake-node.ts'

const errand = await commandLine()
const node = await startFake({ home: errand.home })
afterAll(() => node.close())

test('status --json is one document with the fields of the contract', async () => {
  const { code, stdout, stderr } = await errand.run(['status', '--json'])
  expect([code, stderr]).toEqual([0, ''])
  const fields = ['ready', 'did', 'peerId', 'name', 'version', 'mesh', 'uptimeSeconds', 'addresses', 'devices', 'tasks', 'mode', 'healthy']
  expect(Object.keys(JSON.parse(stdout))).toEqual(expect.arrayContaining(fields))
})

test('without a terminal nothing is coloured', async () => {
  expect((await errand.run(['status'])).stdout).not.toContain('\u001b')
})

test('invite sends what was asked and prints the code on a line of its own', async () => {
  const { stdout } = await errand.run(['invite', '--name', 'gpu1', '--ask', 'exec: git', '--ask', 'exec: npm test', '--role', 'admin', '--for', '8h', '--json'])
  expect(JSON.parse(JSON.parse(stdout).code)).toEqual({ name: 'gpu1', ask: ['exec: git', 'exec: npm test'], role: 'admin', forMs: 28_800_000 })
  expect((await errand.run(['invite', '--mine', '--long'])).stdout.split('\n')).toContain('{"mine":true}')
  expect((await errand.run(['invite', '--mine'])).stdout.split('\n')).toContain('{"mine":true,"short":true}') // for people, a code to type as well
})

test('grant and revoke say what was given and who has heard that it is gone', async () => {
  expect((await errand.run(['grant', 'gpu1', '--on', 'laptop', '--can', 'exec: git', '--for', '8h', '--json'])).stdout).toContain('"words":"exec: git"')
  expect((await errand.run(['grant', 'gpu1', '--on', 'laptop', '--can', 'exec: git', '--can', 'exec: ls', '--for', '8h', '--no-pass-on'])).stdout).toContain(
    'exec: git; exec: ls, not to be passed on',
  )
  const { stdout } = await errand.run(['revoke', '--on', 'gpu1', '--can', 'exec'])
  expect(Buffer.from(stdout, 'latin1').toString()).toBe('✓ 1 grant revoked · 1 live task stopped · acknowledged by gpu1 0.3 s · jetson offline\n')
})

test('audit prints one line a record, with and without its list, and its filters reach the node', async () => {
  for (const words of [['audit'], ['audit', 'list']]) {
    const { code, stdout } = await errand.run([...words, '--limit', '2', '--since', '2h', '--json'])
    expect(code).toBe(0)
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).n),
    ).toEqual([0, 1])
  }
})

test('audit names who did what, and says when nothing fits', async () => {
  const shown = Buffer.from((await errand.run(['audit', '--limit', '1'])).stdout, 'latin1').toString()
  expect(shown).toMatch(/^20\S+Z {2}laptop#0 +exec\.start +ok +laptop {2}sh -c 'make all' {2}exit 2 {2}\(no rule\)\n$/)
  expect(await errand.run(['audit', '--limit', '0'])).toEqual({ code: 0, stdout: '', stderr: 'no entry of any log fits that\n' })
})

test('a grant can be named as it is shown', async () => {
  expect(JSON.parse((await errand.run(['revoke', 'bafyre…fuoise', '--json'])).stdout).grants).toEqual(['fuoise'])
  expect(JSON.parse((await errand.run(['revoke', 'bafyreigrant', '--json'])).stdout).grants).toEqual(['bafyreigrant'])
})

test('audit --follow shows what is there, then what is new, each record once, until it is stopped', async () => {
  const child = errand.start(['audit', '--follow', '--json'])
  const done = ended(child)
  await says(child, '"n":3')
  child.kill()
  expect(
    (await done).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).n),
  ).toEqual([0, 1, 2, 3])
})

test('audit --follow with a limit shows nothing older than that', async () => {
  const child = errand.start(['audit', '--follow', '--limit', '0', '--json'])
  const done = ended(child)
  await says(child, '"n":3')
  child.kill()
  expect((await done).stdout.trim().split('\n')).toEqual([expect.stringContaining('"n":3')])
})

test('devices are a table for eyes', async () => {
  expect((await errand.run(['devices'])).stdout).toMatch(
    /^NAME +STATE +PATH +RTT +SYSTEM +LOAD +TRUST +LABELS +DID\ngpu\[1m1 +online +direct +9\.0 ms +linux\/x64 8 cpus 16 GiB +0\.50 +- +room=attic +did:key:z6Mk.*vktH\n$/,
  )
})

test('audit verify says what was proven', async () => {
  const { code, stdout } = await errand.run(['audit', 'verify'])
  expect(code).toBe(0)
  expect(Buffer.from(stdout, 'latin1').toString()).toBe('✓ 1 log · 1,204 entries · 0 gaps · heads witnessed by ≥ 2 devices\n')
})
