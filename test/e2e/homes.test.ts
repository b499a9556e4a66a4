/** Homes that cannot be used: each says what is wrong and what to do, with exit code 125, and nothing in it is changed. */
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Level } from 'level'
import { expect, test } from 'vitest'
import { encode } from '../../protocols/wire.ts'
import { filesOf } from '../support/tree.ts'
import { failureOf, type World, world } from '../support/world.ts'

/** Not a user of any machine that tests run on. */
const SOMEBODY = 64_321
const isRoot = process.getuid?.() === 0

interface Said {
  readonly code: string
  readonly message: string
  readonly hint: string
}

/** The records of a database. LevelDB writes its files anew when it is opened, also when nothing is written to it. */
async function recordsOf(home: string): Promise<readonly (readonly [string, Uint8Array])[]> {
  const level = new Level<string, Uint8Array>(join(home, 'db/main'), { keyEncoding: 'utf8', valueEncoding: 'view', createIfMissing: false })
  await level.open()
  const records = await level.iterator().all()
  await level.close()
  return records
}

/** What `up` says of this home to a person and to a program, in front and in the background; and that saying it changed nothing. */
async function refused(w: World, home: string): Promise<Said> {
  const before = existsSync(home) ? filesOf(home) : {}
  const said = await w.errand(home, 'up')
  const told = await w.errand(home, 'up', '--json')
  const detached = await w.errand(home, 'up', '--json', '--detach')
  expect([said.code, told.code, detached.code]).toEqual([125, 125, 125])
  expect(said.stdout).toBe('')
  const { code, message, hint = '' } = failureOf(told)
  expect(said.stderr).toBe(`errand: ${message}\nhint: ${hint}\n`)
  expect(failureOf(detached).code).toBe(code)
  const after = existsSync(home) ? filesOf(home) : {}
  if ('db/main/CURRENT' in before) delete after['errand.log'] // its own home may have a log
  expect(after).toEqual(before)
  return { code, message, hint }
}

test('a home of another user is refused and stays theirs', async () => {
  await using w = world()
  const theirs = isRoot ? w.at('theirs') : '/usr'
  if (isRoot) mkdirSync(theirs)
  if (isRoot) chownSync(theirs, SOMEBODY, SOMEBODY)
  const before = readdirSync(theirs)
  for (const mode of [[], ['--detach']]) {
    const ran = await w.errand(theirs, 'up', '--json', ...mode)
    expect(ran.code).toBe(125)
    expect(failureOf(ran)).toMatchObject({ code: 'HOME_NOT_OURS', message: expect.stringContaining(theirs), hint: expect.stringContaining('--home') })
  }
  expect(readdirSync(theirs)).toEqual(before)
})

test('a directory with documents in it is not taken for a home, also not at the second try', async () => {
  await using w = world()
  const home = w.at('documents')
  mkdirSync(home)
  writeFileSync(join(home, 'thesis.txt'), 'years of work')
  expect(await refused(w, home)).toMatchObject({
    code: 'HOME_NOT_OURS',
    message: expect.stringContaining('thesis.txt'),
    hint: expect.stringContaining('--home'),
  })
  expect(await refused(w, home)).toMatchObject({ code: 'HOME_NOT_OURS' })
})

test('a file as a home is refused and left as it is', async () => {
  await using w = world()
  const home = w.at('file')
  writeFileSync(home, 'not a directory')
  for (const mode of [[], ['--detach']]) {
    const ran = await w.errand(home, 'up', '--json', ...mode)
    expect(ran.code).toBe(125)
    expect(failureOf(ran)).toMatchObject({ code: 'NOT_A_DIRECTORY', message: expect.stringContaining(home), hint: expect.stringContaining('--home') })
  }
})

test('a home that cannot be written is refused', async () => {
  await using w = world()
  // Permission bits do not stop root; what the kernel itself keeps does.
  const home = isRoot ? '/sys/errand-home' : w.at('locked', 'home')
  if (!isRoot) mkdirSync(w.at('locked'), { mode: 0o500 })
  expect(await refused(w, home)).toMatchObject({ code: 'HOME_NOT_WRITABLE', message: expect.stringContaining(home), hint: expect.stringContaining('--home') })
})

const SPOILT: readonly {
  readonly what: string
  readonly spoil: (home: string) => void
  readonly said: { readonly code: string; readonly message: RegExp; readonly hint: RegExp }
}[] = [
  {
    what: 'a runtime.yaml with a syntax error, by its line',
    spoil: (home) => writeFileSync(join(home, 'runtime.yaml'), 'version: 1\nmdns: false\nlabels: {a: "b\n'),
    said: { code: 'CONFIG_DAMAGED', message: /runtime\.yaml: line [34]: /, hint: /mend the file/ },
  },
  {
    what: 'a runtime.yaml with an unknown key, by the nearest known one',
    spoil: (home) => writeFileSync(join(home, 'runtime.yaml'), 'mdns: false\nlables: {}\n'),
    said: { code: 'CONFIG_DAMAGED', message: /line 2: unknown setting "lables", did you mean "labels"\?/, hint: /config list/ },
  },
  {
    what: 'a runtime.yaml with a value that does not fit',
    spoil: (home) => writeFileSync(join(home, 'runtime.yaml'), 'mdns: perhaps\n'),
    said: { code: 'CONFIG_DAMAGED', message: /runtime\.yaml: line 1: mdns: /, hint: /mend the file/ },
  },
  {
    what: 'a runtime.yaml of a newer errand',
    spoil: (home) => writeFileSync(join(home, 'runtime.yaml'), 'version: 99\nsomethingNew: 1\n'),
    said: { code: 'NEWER_STATE', message: /version 99/, hint: /newer errand/ },
  },
  {
    what: 'a damaged device key',
    spoil: (home) => writeFileSync(join(home, 'identity/device.pem'), 'garbage'),
    said: { code: 'KEY_DAMAGED', message: /device\.pem/, hint: /backup/ },
  },
  {
    what: 'a device key that is gone while the rest of the home is there, and makes no other in its place',
    spoil: (home) => rmSync(join(home, 'identity/device.pem')),
    said: { code: 'KEY_MISSING', message: /device\.pem/, hint: /backup/ },
  },
  {
    what: 'a device key that others can read',
    spoil: (home) => chmodSync(join(home, 'identity/device.pem'), 0o644),
    said: { code: 'KEY_EXPOSED', message: /device\.pem/, hint: /chmod 600/ },
  },
  {
    what: 'a damaged owner key',
    spoil: (home) => writeFileSync(join(home, 'identity/owner.pem'), 'garbage'),
    said: { code: 'KEY_DAMAGED', message: /owner\.pem/, hint: /backup/ },
  },
  {
    what: 'a damaged genesis document',
    spoil: (home) => writeFileSync(join(home, 'identity/genesis.cbor'), 'garbage'),
    said: { code: 'STATE_DAMAGED', message: /genesis/, hint: /backup/ },
  },
  {
    what: 'a membership that is gone',
    spoil: (home) => rmSync(join(home, 'identity/membership.cbor')),
    said: { code: 'STATE_DAMAGED', message: /membership/, hint: /backup/ },
  },
  {
    what: 'a membership that is damaged',
    spoil: (home) => writeFileSync(join(home, 'identity/membership.cbor'), 'garbage'),
    said: { code: 'STATE_DAMAGED', message: /membership/, hint: /backup/ },
  },
  {
    what: 'a database whose CURRENT is garbage',
    spoil: (home) => writeFileSync(join(home, 'db/main/CURRENT'), 'garbage'),
    said: { code: 'DB_DAMAGED', message: /db\/main is damaged/, hint: /move this directory away/ },
  },
  {
    what: 'a database whose MANIFEST is garbage',
    spoil: (home) => {
      const manifest = readdirSync(join(home, 'db/main')).find((name) => name.startsWith('MANIFEST')) ?? ''
      writeFileSync(join(home, 'db/main', manifest), Buffer.alloc(4_096, 0x5a))
    },
    said: { code: 'DB_DAMAGED', message: /db\/main is damaged/, hint: /move this directory away/ },
  },
]

test('up names a database of a newer errand and leaves every record of it alone', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  await alice.stop()
  const level = new Level<string, Uint8Array>(join(alice.home, 'db/main'), { keyEncoding: 'utf8', valueEncoding: 'view' })
  await level.put('!format', encode({ format: 99 }))
  await level.close()
  const before = await recordsOf(alice.home)
  const ran = await w.errand(alice.home, 'up', '--json')
  expect(ran.code).toBe(125)
  expect(failureOf(ran)).toMatchObject({ code: 'NEWER_STATE', message: expect.stringContaining('format 99'), hint: expect.stringContaining('newer errand') })
  expect(await recordsOf(alice.home)).toEqual(before)
})

test.each(SPOILT)('up names $what', async ({ spoil, said }) => {
  await using w = world()
  const alice = await w.founder('alice')
  await w.run(alice.home, 'alice', 'true')
  await alice.stop()
  spoil(alice.home)
  const seen = await refused(w, alice.home)
  expect(seen.code).toBe(said.code)
  expect(seen.message).toMatch(said.message)
  expect(seen.hint).toMatch(said.hint)
})

test('a damaged cache of addresses is no reason to refuse: it is made anew', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  await alice.stop()
  writeFileSync(join(alice.home, 'db/peers/CURRENT'), 'garbage')
  const again = await w.up(alice.home)
  expect(again.did).toBe(alice.did)
})
