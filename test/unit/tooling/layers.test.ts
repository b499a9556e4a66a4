/** Every rule of the house, each with a file that breaks it: a rule that nothing can break checks nothing. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Breach, cruise } from '../../../scripts/lint/layers.mjs'

const ROOT = join(import.meta.dirname, '..', '..', '..')
const { forbidden }: { forbidden: { name: string }[] } = createRequire(import.meta.url)(join(ROOT, '.dependency-cruiser.cjs'))

/** How a rule's name begins → the file that breaks it, and what that file imports. */
const BREACHES: readonly (readonly [rule: string, file: string, imports: string])[] = [
  ['protocols may import only', 'protocols/breach.ts', '../src/base/ok.ts'],
  ['base may import only', 'src/base/breach.ts', '../../protocols/ok.ts'],
  ['identity may import only', 'src/identity/breach.ts', '../authority/ok.ts'],
  ['authority may import only', 'src/authority/breach.ts', '../registry/ok.ts'],
  ['registry may import only', 'src/registry/breach.ts', '../audit/ok.ts'],
  ['audit may import only', 'src/audit/breach.ts', '../tasks/ok.ts'],
  ['policy may import only', 'src/policy/breach.ts', '../registry/ok.ts'],
  ['tasks may import only', 'src/tasks/breach.ts', '../identity/ok.ts'],
  ['files may import only', 'src/files/breach.ts', '../sessions/ok.ts'],
  ['sessions may import only', 'src/sessions/breach.ts', '../files/ok.ts'],
  ['exec may import only', 'src/exec/breach.ts', '../tasks/ok.ts'],
  ['workflows may import only', 'src/workflows/breach.ts', '../exec/ok.ts'],
  ['runtime may import only', 'src/runtime/breach.ts', '../exec/ok.ts'],
  ['store may import only', 'src/store/breach.ts', '../runtime/ok.ts'],
  ['local may import only', 'src/local/breach.ts', '../runtime/ok.ts'],
  ['mesh may import only', 'src/mesh/breach.ts', '../store/ok.ts'],
  ['node may import only', 'src/node/breach.ts', '../cli/ok.ts'],
  ['cli may import only', 'src/cli/breach.ts', '../node/ok.ts'],
  ['starters import only', 'src/cli/background.ts', '../mesh/ok.ts'],
  ['no cycles', 'src/base/ring.ts', './ring2.ts'],
  ['every import can be found', 'src/base/lost.ts', './nowhere.ts'],
  ['store sees the rooms as types only', 'src/store/values.ts', '../audit/ok.ts'],
  ['libp2p only in', 'src/identity/libp2p.ts', 'libp2p'],
  ['libp2p keys only in', 'src/authority/keys.ts', '@libp2p/crypto/keys'],
  ['LevelDB only in', 'src/audit/level.ts', 'classic-level'],
  ['child processes only in', 'src/mesh/spawn.ts', 'node:child_process'],
  ['the web server only in', 'src/local/client.ts', 'fastify'],
  ['gRPC only in', 'src/node/grpc.ts', '@grpc/grpc-js'],
  ['gRPC is seen early as types only', 'src/local/grpc-early.ts', '@grpc/grpc-js'],
  ['the command line library only in', 'src/node/commander.ts', 'commander'],
  ['the logger only in', 'src/mesh/pino.ts', 'pino'],
  ['UCAN libraries only in', 'src/runtime/ucan.ts', '@ucanto/core'],
  ['the library of UCAN 0.8 only in', 'src/authority/verify.ts', 'ucans'],
  ['the bridge is for its desk only', 'src/runtime/exec-door.ts', '../authority/ucan08.ts'],
  ['the desk of the bridge is for the hall only', 'src/runtime/exec-admission.ts', './bridge-desk.ts'],
]

/** Looks like a breach and is none. */
const ALLOWED: readonly (readonly [file: string, imports: string])[] = [
  ['src/exec/fine.ts', '../tasks/ports.ts'],
  ['src/exec/spawn.ts', 'node:child_process'],
  ['src/mesh/fine.ts', '../runtime/runtime.ts'],
  ['src/mesh/noise.ts', '@chainsafe/libp2p-noise'],
  ['src/identity/keys.ts', '@libp2p/crypto/keys'],
  ['src/store/level.ts', 'level'],
  ['src/store/types.ts', '../tasks/ports.ts'],
  ['src/local/server.ts', 'fastify'],
  ['src/authority/ucan08-worker.ts', 'ucans'],
  ['src/node/hall.ts', '../runtime/bridge-desk.ts'],
  ['src/local/grpc-types.ts', '@grpc/grpc-js'],
  ['src/cli/fine.ts', '../local/client.ts'],
  ['src/cli/commands/node.ts', '../../node/ok.ts'],
  ['src/node/fine.ts', '../exec/ok.ts'],
  ['src/index.ts', './node/ok.ts'],
]

const PACKAGES = [
  'libp2p',
  '@libp2p/crypto/keys',
  '@chainsafe/libp2p-noise',
  'level',
  'classic-level',
  'fastify',
  '@grpc/grpc-js',
  'commander',
  'pino',
  '@ucanto/core',
  'ucans',
]
const ROOMS = ['base', 'identity', 'authority', 'registry', 'audit', 'tasks', 'files', 'sessions', 'exec', 'runtime', 'store', 'mesh', 'node', 'cli']

let tree = ''
let breaches: readonly Breach[] = []

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'errand-layers-'))
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(tree, path)), { recursive: true })
    writeFileSync(join(tree, path), text)
  }
  copyFileSync(join(ROOT, 'tsconfig.json'), join(tree, 'tsconfig.json'))
  put('package.json', '{ "name": "planted", "type": "module" }')
  for (const name of PACKAGES) put(`node_modules/${name}/index.js`, 'export const thing = 1\n')
  const parts = ['protocols/ok.ts', ...ROOMS.map((room) => `src/${room}/ok.ts`), 'src/tasks/ports.ts', 'src/runtime/runtime.ts']
  for (const path of [...parts, 'src/authority/ucan08.ts', 'src/runtime/bridge-desk.ts']) {
    put(path, 'export type Thing = number\nexport const thing: Thing = 1\n')
  }
  put('src/base/ring2.ts', "import type { Thing } from './ring.ts'\nexport type Thing2 = Thing\n")
  // Only types are imported, wherever that is possible: a rule that sees values alone would let the house grow together by its types.
  for (const [rule, file, from] of BREACHES) {
    put(file, rule.includes('types only') ? `export { thing } from '${from}'\n` : `import type { Thing } from '${from}'\nexport type Mine = Thing\n`)
  }
  for (const [file, from] of ALLOWED) put(file, `import type { Thing } from '${from}'\nexport type Fine = Thing\n`)
  breaches = cruise(tree).breaches
}, 60_000)

afterAll(() => rmSync(tree, { recursive: true, force: true }))

test.each(BREACHES)('%s …: broken by %s', (rule, file) => {
  expect(breaches.filter(({ from }) => from === file).map((breach) => breach.rule)).toContainEqual(expect.stringMatching(new RegExp(`^${rule}`)))
})

test('nothing but the planted breaches is reported', () => {
  const planted = new Set([...BREACHES.map(([, file]) => file), 'src/base/ring2.ts'])
  expect(breaches.filter(({ from }) => !planted.has(from))).toEqual([])
})

test('no rule is without its breach', () => {
  const unproven = forbidden.filter(({ name }) => !BREACHES.some(([rule]) => name.startsWith(rule)))
  expect(unproven).toEqual([])
})
