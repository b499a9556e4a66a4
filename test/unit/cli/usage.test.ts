import { expect, test } from 'vitest'
import { commandLine } from './command-line.ts'

const errand = await commandLine()

test.each([
  [['stauts'], "unknown command 'stauts' (Did you mean status?)"],
  [['run'], 'name the device before --'],
  [['run', '--on', 'gpu', 'x', '--', 'ls'], 'name one device, or choose by --on'],
  [['run', '--on', 'gpu'], 'name the command after --'],
  [['run', '--all', '--count', '2', '--', 'ls'], '--all and --count are two different things'],
  [['run', '--count', '0', '--', 'ls'], '--count 0 is no device at all'],
  [['run', '--all', '--id', '019aa3c1-0000-7000-8000-000000000001', '--', 'ls'], '--id names one task'],
  [['run', '--fail-fast', 'gpu1', '--', 'ls'], '--max-parallel, --fail-fast and --prefix are for many devices'],
  [['run', '--all', '-t', '--', 'ls'], 'leave it out, or choose one device'],
  [['run', '--all', '-i', '--', 'ls'], 'leave it out, or choose one device'],
  [['run', 'gpu1'], 'name the command after --'],
  [['run', 'gpu1', 'ls'], 'put -- before the command'],
  [['run', 'gpu1', 'ls', '--', 'x'], 'one device before --'],
  [['run', 'gpu1', '--'], 'name the command after --'],
  [['run', '--', 'gpu1', 'ls'], 'name the device before --'],
  [['run', '--', 'ls'], 'name the device before --'],
  [['run', '--timeout', '5', 'gpu1', '--', 'ls'], 'like 90s, 10m, 8h or 2d'],
  [['run', '--env', 'A', 'gpu1', '--', 'ls'], 'NAME=VALUE'],
  [['run', '--id', '7', 'gpu1', '--', 'ls'], 'UUID'],
  [['run', '--intractive', 'gpu1', '--', 'ls'], 'Did you mean --interactive?'],
  [['up', '--listen', '0.0.0.0:4701'], 'a TCP address like /ip4/'],
  [['join', 'errand1x', '--via', 'laptop'], 'a TCP address like /ip4/'],
  [['up', '--preset', 'wan'], 'Allowed choices are local, lan, internet'],
  [['grant', 'gpu1', '--on', 'laptop'], "required option '--can <right>' not specified"],
  [['revoke'], 'name either one grant, or a device'],
  [['revoke', 'bafy', '--on', 'gpu1'], 'name either one grant, or a device'],
  [['revoke', '--can', 'exec'], 'name either one grant, or a device'],
  [['invite', '--mine', '--ask', 'exec: ls'], 'cannot be used with'],
  [['invite', '--short', '--long'], 'cannot be used with'],
  [['audit', 'verfy'], 'audit has list and verify'],
  [['audit', '--since', 'soon'], 'how long ago'],
  [['status', 'now'], 'too many arguments'],
  [['invite', '--guest', '--role', 'developer'], 'cannot be used with option'],
  [['invite', '--guest', '--mine'], 'cannot be used with option'],
])('%j is a usage error: exit code 2, the reason and the usage on stderr, nothing on stdout', async (args, reason) => {
  const { code, stdout, stderr } = await errand.run(args)
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toContain(reason)
  expect(stderr).toMatch(/^errand: .*\nusage: errand /)
})

test.each([
  ['audit', 'prune'],
  ['forward', 'gpu1'],
])('what belongs to later chapters is not accepted silently: %s %s', async (...args) => {
  expect((await errand.run(args)).code).toBe(2)
})

test('a usage error under --json is one JSON document on stdout', async () => {
  const { code, stdout, stderr } = await errand.run(['stauts', '--json'])
  expect([code, stderr]).toEqual([2, ''])
  expect(JSON.parse(stdout).error).toMatchObject({ code: 'USAGE', source: 'errand' })
})

test('a --json that belongs to the remote command is not ours', async () => {
  const { stdout, stderr } = await errand.run(['run', 'gpu1', '--', 'ls', '--json'])
  expect(stdout).toBe('')
  expect(stderr).toContain('no node is running')
})

test('help that was asked for is data; without a command it is an error', async () => {
  const help = await errand.run(['help', 'run'])
  expect([help.code, help.stderr]).toEqual([0, ''])
  expect(help.stdout).toContain('-- COMMAND')
  const nothing = await errand.run([])
  expect([nothing.code, nothing.stdout]).toEqual([2, ''])
})

test('a missing node is said within half a second, with what to do', async () => {
  const began = performance.now()
  const said = await errand.run(['status'])
  expect(performance.now() - began).toBeLessThan(3_000) // the whole process, on a busy machine; the client's own 0.5 s are tested in local/client.test.ts
  expect(said).toEqual({ code: 125, stdout: '', stderr: 'errand: no node is running here\nhint: start it with: errand up\n' })
})

test('a home that was typed is named when no node runs there', async () => {
  expect((await errand.run(['status', '--home', '/tmp'])).stderr).toBe('errand: no node is running in /tmp\nhint: start it with: errand up --home /tmp\n')
  const { stderr } = await errand.run(['run', '--home', '/tmp/no such', 'gpu1', '--', 'ls'])
  expect(stderr).toBe("errand: no node is running in /tmp/no such, and there is no such directory\nhint: start it with: errand up --home '/tmp/no such'\n")
})

test('--home and --json count before and after the command, and --home over $ERRAND_HOME', async () => {
  for (const args of [
    ['--home', '/tmp/other', '--json', 'status'],
    ['status', '--json', '--home', '/tmp/other'],
  ]) {
    const { code, stdout } = await errand.run(args)
    expect(code).toBe(125)
    expect(JSON.parse(stdout).error).toMatchObject({ code: 'NO_NODE', fields: { socket: '/tmp/other/errand.sock' } })
  }
})

test('the version needs no node', async () => {
  expect((await errand.run(['version', '--json'])).stdout).toMatch(/^\{"version":"\d+\.\d+\.\d+","node":null/)
})
