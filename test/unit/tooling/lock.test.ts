import { expect, test } from 'vitest'
import { complete, lockFaults } from '../../../scripts/lint/lock.mjs'
import { accept, vectorFaults } from '../../../scripts/lint/vectors.mjs'

const TOOL = {
  version: '2.0.0',
  dev: true,
  optionalDependencies: { '@tool/linux-x64': '2.0.0', '@tool/linux-x64-musl': '2.0.0', '@tool/darwin-arm64': '2.0.0' },
}
const PACKAGES = { '': {}, 'node_modules/@tool/linux-x64': { version: '2.0.0' }, 'node_modules/tool': TOOL }

test('a lock file without some platform is refused, and completed without touching the rest', () => {
  expect(lockFaults(PACKAGES).join('\n')).toMatch(/@tool\/linux-x64-musl.*\n.*@tool\/darwin-arm64/)
  const whole = complete(PACKAGES)
  expect(lockFaults(whole)).toEqual([])
  expect(whole).toMatchObject(PACKAGES)
  expect(whole['node_modules/@tool/darwin-arm64']).toEqual({ version: '2.0.0', cpu: ['arm64'], os: ['darwin'], dev: true, optional: true })
  expect(whole['node_modules/@tool/linux-x64-musl']).toMatchObject({ cpu: ['x64'], os: ['linux'], libc: ['musl'] })
})

test('a lock file that names a download address or no exact version is refused', () => {
  expect(lockFaults({ 'node_modules/a': { version: '1.0.0', resolved: 'https://example.org/a.tgz' } })).toHaveLength(1)
  expect(lockFaults({ 'node_modules/a': {} })).toHaveLength(1)
})

test('golden bytes cannot change, vanish or appear in passing', () => {
  const locked = { 'exec/vectors.json': 'aa', 'join/vectors.json': 'bb' }
  expect(vectorFaults(locked, locked)).toEqual([])
  expect(vectorFaults({ ...locked, 'exec/vectors.json': 'ab' }, locked).join()).toMatch(/exec\/vectors.json has changed/)
  expect(vectorFaults({ 'exec/vectors.json': 'aa' }, locked).join()).toMatch(/join\/vectors.json is gone/)
  expect(vectorFaults({ ...locked, 'new/vectors.json': 'cc' }, locked).join()).toMatch(/new\/vectors.json is new/)
})

test('accepting takes new vectors, and changed ones only by name', () => {
  const locked = { 'exec/vectors.json': 'aa' }
  const now = { 'exec/vectors.json': 'ab', 'new/vectors.json': 'cc' }
  expect(accept(now, locked, [])).toEqual({ 'exec/vectors.json': 'aa', 'new/vectors.json': 'cc' })
  expect(accept(now, locked, ['exec/vectors.json'])).toEqual(now)
})
