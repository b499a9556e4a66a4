/** The policy's file while people edit it: what holds at each moment, and who may have written it. */
import { chmodSync, chownSync, existsSync, linkSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PolicyKeeper, type PolicyNews } from '../../../src/policy/keeper.ts'
import { readSource } from '../../../src/policy/source.ts'
import { Workspaces } from '../../../src/policy/workspace.ts'
import { HandClock } from '../base/hand-clock.ts'

const UID = process.getuid?.() ?? 0
const owner = { uid: UID }
const SETTLED_MS = 1_001
let home = ''
let clock = new HandClock()
let news: PolicyNews[] = []

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'policy-'))
  clock = new HandClock()
  news = []
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const at = (name: string): string => join(home, name)

function write(text: string, name = 'policy.yaml'): void {
  writeFileSync(at(`${name}.new`), text, { mode: 0o600 })
  renameSync(at(`${name}.new`), at(name)) // another file each time, so that no clock of the file system has to tick between two edits
}

function keep(): PolicyKeeper {
  const told = (one: PolicyNews): number => news.push(one)
  return new PolicyKeeper({ path: at('policy.yaml'), lastPath: at('last.yaml'), owner, clock, write: (path, bytes) => writeFileSync(path, bytes), told })
}

/** What is denied by all that holds now. */
function denied(keeper: PolicyKeeper): (string | undefined)[] {
  return keeper.standing().layers.flatMap(({ policy }) => (policy.exec?.deniedCommands ?? []).map(([exe]) => exe))
}

const deny = (exe: string): string => `exec: { deniedCommands: [${exe}] }\n`

test('without a file nothing is narrowed, and nothing is wrong', () => {
  const keeper = keep()
  expect([keeper.standing(), keeper.problem, news]).toEqual([{ layers: [], closed: undefined }, undefined, []])
})

test('an edit holds at once; what it takes away holds on until the file is settled', () => {
  write(deny('rm'))
  const keeper = keep()
  expect(denied(keeper)).toEqual(['rm'])
  write(deny('dd'))
  expect(denied(keeper)).toEqual(['dd', 'rm'])
  clock.advance(SETTLED_MS)
  expect(denied(keeper)).toEqual(['dd'])
  expect(news.map(({ t }) => t)).toEqual(['changed', 'changed'])
})

test('half a file, an empty one and none at all open nothing while somebody writes', () => {
  write(deny('rm'))
  const keeper = keep()
  for (const half of ['', 'version: 1\n']) {
    write(half)
    expect(denied(keeper)).toEqual(['rm'])
  }
  rmSync(at('policy.yaml'))
  expect(denied(keeper)).toEqual(['rm'])
  write(`${deny('rm')}allowedRoles: [ci]\n`)
  expect(denied(keeper)).toEqual(['rm', 'rm'])
  clock.advance(SETTLED_MS)
  expect(denied(keeper)).toEqual(['rm'])
})

test('a file that is gone is a policy that is gone, a moment later, and that is said', () => {
  write(deny('rm'))
  const keeper = keep()
  rmSync(at('policy.yaml'))
  keeper.look()
  clock.advance(SETTLED_MS)
  expect(denied(keeper)).toEqual([])
  expect(news.at(-1)).toMatchObject({ t: 'removed' })
  expect(existsSync(at('last.yaml'))).toBe(false)
})

test('a broken file keeps the last good policy and says so, over a restart too', () => {
  write(deny('rm'))
  const keeper = keep()
  write('exec: { deniedCommand: [dd] }')
  expect(denied(keeper)).toEqual(['rm'])
  expect(keeper.problem).toBe('policy.yaml: line 1: exec.deniedCommand: unknown field "deniedCommand", did you mean "deniedCommands"?; the last good one holds')
  expect(keeper.standing().closed).toBeUndefined()
  const later = keep()
  expect([denied(later), later.standing().closed, later.problem]).toEqual([['rm'], undefined, keeper.problem])
  expect(news.map(({ t }) => t)).toEqual(['changed', 'invalid', 'invalid'])
})

test('where there never was a good one, nothing is done for others until it is mended, and half a mending is none', () => {
  write('exec: {')
  const keeper = keep()
  expect(keeper.standing()).toMatchObject({ layers: [], closed: expect.stringContaining('nothing is done for other devices') })
  write(deny('rm'))
  expect(keeper.standing().closed).toBeDefined()
  clock.advance(SETTLED_MS)
  expect([keeper.standing().closed, denied(keeper), keeper.problem]).toEqual([undefined, ['rm'], undefined])
})

test('broken, mended and broken again in one moment is still closed', () => {
  write('exec: {')
  const keeper = keep()
  write('version: 1')
  keeper.look()
  write('exec: {')
  expect(keeper.standing().closed).toBeDefined()
})

/** What was there is there still, behind a link. */
function linkInPlaceOf(path: string): void {
  renameSync(path, `${path}.x`)
  symlinkSync(`${path}.x`, path)
}

function rmThen(path: string): string {
  rmSync(path)
  return path
}

test.each<[string, (path: string) => void, RegExp]>([
  ['that others may write', (path) => chmodSync(path, 0o602), /other users of the machine can change it/],
  ['that its group may write', (path) => chmodSync(path, 0o620), /other users of the machine can change it/],
  ['that is a link', (path) => linkInPlaceOf(path), /symbolic link/],
  ['that is a directory', (path) => mkdirSync(rmThen(path)), /not a plain file/],
  ['that is longer than any policy', (path) => writeFileSync(path, `# ${'x'.repeat(70_000)}`), /longer than 64 KiB/],
  ['that is no text', (path) => writeFileSync(path, Buffer.from([0xff, 0xfe, 0x00])), /UTF-8/],
])('a file %s is as bad as a broken one', (_, spoil, why) => {
  write(deny('rm'))
  spoil(at('policy.yaml'))
  const keeper = keep()
  expect(keeper.standing().closed).toMatch(why)
})

test('a file of another user is believed when that user is root, and by nobody else', () => {
  write(deny('rm'))
  expect(readSource(at('policy.yaml'), { uid: UID + 1 })).toMatchObject(
    UID === 0 ? { t: 'text' } : { t: 'bad', why: `it belongs to another user (uid ${UID})` },
  )
  if (UID === 0) {
    chownSync(at('policy.yaml'), 12_345, 0)
    expect(readSource(at('policy.yaml'), owner)).toMatchObject({ t: 'bad', why: 'it belongs to another user (uid 12345)' })
  }
})

test('a change that leaves size and times as they were is seen', () => {
  write(deny('rm'))
  const keeper = keep()
  writeFileSync(at('other'), deny('dd'), { mode: 0o600 })
  rmSync(at('policy.yaml'))
  linkSync(at('other'), at('policy.yaml'))
  expect(denied(keeper)).toContain('dd')
})

/** Directories that nobody else may write into, whatever the umask. */
function workspace(path: string, text?: string): string {
  mkdirSync(join(path, '.errand'), { recursive: true, mode: 0o700 })
  if (text !== undefined) writeFileSync(join(path, '.errand', 'security.yaml'), text, { mode: 0o600 })
  return path
}

test('every workspace above a directory counts, the innermost first', () => {
  workspace(at('a'), deny('rm'))
  workspace(at('a/b/c'), deny('dd'))
  const read = new Workspaces(owner).above(at('a/b/c'))
  expect(read.ok && read.layers.map(({ root, policy }) => [root, policy.exec?.deniedCommands])).toEqual([
    [at('a/b/c'), [['dd']]],
    [at('a'), [['rm']]],
  ])
  expect(new Workspaces(owner).above(at('a/b'))).toMatchObject({ ok: true, layers: [{ root: at('a') }] })
})

test('an edit of a workspace counts with the next command', () => {
  const [root, all] = [workspace(at('w'), deny('rm')), new Workspaces(owner)]
  expect(all.above(root)).toMatchObject({ ok: true, layers: [{ policy: { exec: { deniedCommands: [['rm']] } } }] })
  write(deny('dd'), 'w/.errand/security.yaml')
  expect(all.above(root)).toMatchObject({ ok: true, layers: [{ policy: { exec: { deniedCommands: [['dd']] } } }] })
})

test.each<[string, (root: string) => void]>([
  ['that is broken', (root) => writeFileSync(join(root, '.errand/security.yaml'), 'exec: [')],
  ['that wants rates', (root) => writeFileSync(join(root, '.errand/security.yaml'), 'rateLimit: { queueSize: 1 }')],
  ['that others may write', (root) => chmodSync(join(root, '.errand/security.yaml'), 0o666)],
  ['in a directory that others may write', (root) => chmodSync(join(root, '.errand'), 0o777)],
  ['that is a link', (root) => linkInPlaceOf(join(root, '.errand/security.yaml'))],
  ['behind a link', (root) => linkInPlaceOf(join(root, '.errand'))],
])('a workspace policy %s lets nothing run there', (_, spoil) => {
  const root = workspace(at('w'), deny('rm'))
  spoil(root)
  mkdirSync(join(root, 'src'))
  const all = new Workspaces(owner)
  expect(all.above(root).ok).toBe(false)
  expect(all.above(join(root, 'src')).ok).toBe(false)
})
