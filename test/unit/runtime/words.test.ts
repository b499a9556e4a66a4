import { expect, test } from 'vitest'
import type { RefusalCode } from '../../../src/authority/verify.ts'
import { DenialMeter, denial } from '../../../src/runtime/denial.ts'
import { wordsOf } from '../../../src/runtime/words.ts'
import { HandClock } from '../base/hand-clock.ts'
import { alice, bob, keyOf } from './mesh-world.ts'

test('a key has three words, always the same, and other keys have others', () => {
  expect(wordsOf(alice.did)).toBe(wordsOf(alice.did))
  expect(wordsOf(alice.did)).toMatch(/^[a-z]+-[a-z]+-[a-z]+$/)
  expect(new Set(Array.from({ length: 100 }, (_, i) => wordsOf(keyOf(i + 10).did))).size).toBe(100)
  expect(() => wordsOf(`${bob.did}#x`)).toThrow()
})

test('a refusal says what was refused, by which grant, how long that still lives, and what to do', () => {
  const NOW = 1_800_000_000
  const grant = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
  const said = denial({ ok: false, code: 'POLICY', detail: 'exe "rm" is not in {git}', grant, expiresAt: NOW + 7_200 }, NOW * 1_000)
  expect(said).toMatchObject({ code: 'DENIED', fields: { reason: 'POLICY', grant, expiresAt: '2027-01-15T10:00:00.000Z' } })
  expect(said.message).toBe('exe "rm" is not in {git}  (grant bafyre…4s52zy, expires in 2h)')
  expect(said.hint).toContain('errand grant')
  expect(denial({ ok: false, code: 'NO_GRANT', detail: 'x' }, 0, { who: 'nas', on: 'gpu1', exe: 'train' }).hint).toContain(
    "errand grant nas --on gpu1 --can 'exec: train'",
  )
  expect(denial({ ok: false, code: 'NO_GRANT', detail: 'x' }, 0, { who: 'nas', on: 'gpu1', exe: "'; rm" }).hint).toContain("--can 'exec: …'")
  const hintOf = (code: RefusalCode): string | undefined => denial({ ok: false, code, detail: 'x' }, 0).hint
  expect(hintOf('REVOKED')).toContain('taken back')
  expect(hintOf('GRANT_EXPIRED')).toContain('new grant')
})

test('the meter lets twenty refusals through at once and one every three seconds, and says how many it only counted', () => {
  const clock = new HandClock()
  const meter = new DenialMeter(clock)
  const taken = Array.from({ length: 50 }, () => meter.take('mallory'))
  expect(taken.filter((one) => one !== undefined)).toEqual(Array(20).fill(0))
  expect(meter.take('bob')).toBe(0)
  clock.advance(2_999)
  expect(meter.take('mallory')).toBeUndefined()
  clock.advance(1)
  expect(meter.take('mallory')).toBe(31)
  expect(meter.take('mallory')).toBeUndefined()
  clock.advance(3_600_000)
  expect(Array.from({ length: 30 }, () => meter.take('mallory')).filter((one) => one !== undefined)).toHaveLength(20)
})
