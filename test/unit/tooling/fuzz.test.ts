/** A short run of the fuzzer over every door, and proof that it finds: broken doors that it must catch. */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Door } from '../../../scripts/fuzz/door.ts'
import { doorsOf } from '../../../scripts/fuzz/doors.ts'
import { invocationDoor } from '../../../scripts/fuzz/doors-tokens.ts'
import { inputOf } from '../../../scripts/fuzz/inputs.ts'
import { FUZZ_LIMITS, feed } from '../../../scripts/fuzz/run.ts'
import { readCases } from '../../../scripts/vectors/cases.ts'
import { parseInvocation } from '../../../src/authority/token.ts'
import { ErrandError } from '../../../src/base/errors.ts'

const cases = readCases(JSON.parse(readFileSync('protocols/authority/vectors.json', 'utf8')))
const doors = doorsOf('.', cases)
const doorCalled = (name: string): Door => {
  const found = doors.find((door) => door.name === name)
  if (found === undefined) throw new TypeError(`no door ${name}`)
  return found
}

test.each(doors.map((door) => ({ name: door.name, door })))('bent bytes find nothing: $name', async ({ door }) => {
  const fed = await feed(door, { seed: 7, count: 400 })
  expect(fed.findings).toEqual([])
  expect(fed.taken + Object.values(fed.refused).reduce((sum, count) => sum + count, 0)).toBe(400)
})

test('every protocol with golden bytes has a door', () => {
  const named = readFileSync('scripts/fuzz/doors.ts', 'utf8') + readFileSync('scripts/fuzz/doors-tokens.ts', 'utf8')
  const protocols = readdirSync('protocols', { withFileTypes: true }).filter((entry) => entry.isDirectory())
  // task is vocabulary: its words come in by call, exec and the local API.
  const missing = protocols
    .map(({ name }) => name)
    .filter((name) => name !== 'task' && !named.includes(`protocols/${name}/`) && !named.includes(`'${name}'`) && name !== 'bridge')
  expect(missing).toEqual([])
})

test('inputs are bent, not only noise: every door is passed by some and closed to others, and the same seed is the same input', () => {
  const { name, seeds } = doorCalled('delegation')
  const inputs = Array.from({ length: 200 }, (_, n) => inputOf(name, { seed: 7, n, seeds }))
  expect(new Set(inputs.map((bytes) => Buffer.from(bytes).toString('hex'))).size).toBeGreaterThan(120)
  for (const [n, bytes] of inputs.entries()) expect(inputOf(name, { seed: 7, n, seeds })).toEqual(bytes)
  expect(inputOf(name, { seed: 8, n: 1, seeds })).not.toEqual(inputs[1])
})

const good = doorCalled('delegation')
const kept: Uint8Array[] = []
const BROKEN: readonly (readonly [what: string, feed: Door['feed'], says: RegExp])[] = [
  [
    'a decoder that reads beyond the end',
    (bytes) => {
      const at = bytes.indexOf(0x5b)
      return new DataView(bytes.buffer).getBigUint64(at + 1)
    },
    /RangeError/,
  ],
  [
    'a pattern that backtracks',
    (bytes) => {
      if (bytes.length % 16 === 3) for (const since = process.cpuUsage(); process.cpuUsage(since).user < 150_000; );
      throw new ErrandError('BAD_TOKEN', 'no')
    },
    /ms of work/,
  ],
  [
    'a cache without bounds',
    () => {
      kept.push(new Uint8Array(1 << 18).fill(1))
    },
    /grew by/,
  ],
]

test.each(BROKEN)('it finds %s', async (_, broken, says) => {
  const { findings } = await feed({ name: 'broken', seeds: good.seeds, feed: broken }, { seed: 7, count: 1_500 })
  kept.length = 0
  expect(findings[0]?.what).toMatch(says)
  expect(findings.length).toBeLessThanOrEqual(FUZZ_LIMITS.findings + 1)
})

test('it finds a verifier that forgot the signature', async () => {
  const forgetful = invocationDoor(cases, (bytes) => {
    parseInvocation(bytes) // and not `checkSignature`
    return { ok: true }
  })
  expect((await feed(forgetful, { seed: 7, count: 500 })).findings[0]?.what).toContain('nobody signed')
})
