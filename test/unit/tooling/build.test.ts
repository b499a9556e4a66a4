/** The build's promises, on small trees of their own. */
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { fingerprint, isBuilt, isInstalled } from '../../../scripts/build/fresh.mjs'
import { holdingLock } from '../../../scripts/build/lock.mjs'
import { build } from '../../../scripts/build.mjs'
import { refuseOldNode } from '../../../scripts/ensure.mjs'

const ROOT = join(import.meta.dirname, '..', '..', '..')
let root = ''

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'errand build-')) // a blank on purpose
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
}

test('a client that reaches libp2p by any way is not built, and the file that pulled it in is named', async () => {
  put('node_modules/@libp2p/tcp/index.js', 'export const tcp = 1\n')
  put('src/base/innocent.ts', "export { tcp } from '@libp2p/tcp'\n")
  put('src/cli/main.ts', "import { tcp } from '../base/innocent.ts'\nconsole.log(tcp)\n")
  await expect(build({ root })).rejects.toThrow(/errand\.cjs must not hold @libp2p\/tcp; src\/base\/innocent\.ts imports it/)
  expect(isBuilt(root)).toBe(false)
})

test('a package that stays outside of the bundle counts as held', async () => {
  put('src/local/client.ts', "export { Level } from 'level'\n")
  await expect(build({ root })).rejects.toThrow(/client\.mjs must not hold level/)
})

test('a client that grows beyond its budget is not built', async () => {
  put('src/local/client.ts', `export const much = '${'x'.repeat(1 << 20)}'\n`)
  await expect(build({ root })).rejects.toThrow(/client\.mjs is \d+ bytes; its budget is \d+/)
})

test('the client starts the node from the bundle next door, and only when asked', async () => {
  put('node_modules/libp2p/index.js', "export const word = 'node'\n")
  put('src/node/main.ts', "import { word } from 'libp2p'\nconsole.log(word)\n")
  put('src/cli/main.ts', "console.log('client')\nif (process.argv[2] === 'up') void import('../node/main.ts')\n")
  await build({ root })
  const run = (...args: string[]): string => execFileSync(process.execPath, [join(root, 'dist', 'errand.cjs'), ...args], { encoding: 'utf8' })
  expect(run()).toBe('client\n')
  expect(run('up')).toBe('client\nnode\n')
})

test('the client starts without commander, and finds it in the bundle next door when a line needs it', async () => {
  put('node_modules/commander/index.js', "export const word = 'commander'\n")
  put('src/cli/whole.ts', "import { word } from 'commander'\nexport const whole = () => console.log(word)\n")
  put('src/cli/main.ts', "console.log('client')\nif (process.argv[2] === 'help') void import('./whole.ts').then(({ whole }) => whole())\n")
  await build({ root })
  const program = join(root, 'dist', 'errand.cjs')
  const run = (...args: string[]): string => execFileSync(process.execPath, [program, ...args], { encoding: 'utf8' })
  expect(run('help')).toBe('client\ncommander\n')
  rmSync(join(root, 'dist', 'whole.cjs'))
  expect(run()).toBe('client\n')
  put('src/cli/main.ts', "import { whole } from './whole.ts'\nwhole()\n")
  await expect(build({ root })).rejects.toThrow(/errand\.cjs must not hold commander; src\/cli\/whole\.ts imports it/)
})

test('the node carries no gRPC; it finds it in the bundle next door, with the files that its packages read', async () => {
  const [file, code] = [
    'grpc-health-check/proto/health/v1/health.proto',
    'require("fs").readFileSync(require("path").join(__dirname, "../../proto/health/v1/health.proto"), "utf8")',
  ]
  put('node_modules/grpc-health-check/package.json', '{ "main": "build/src/health.js" }')
  put('node_modules/grpc-health-check/build/src/health.js', `exports.word = ${code}\n`)
  for (const name of [file, ...['v1', 'v1alpha'].map((version) => `@grpc/reflection/build/proto/grpc/reflection/${version}/reflection.proto`)]) {
    put(`node_modules/${name}`, 'syntax')
  }
  put('src/local/grpc-library.ts', "export { word } from 'grpc-health-check'\n")
  put('src/node/main.ts', "const { word } = await import('../local/grpc-library.ts')\nconsole.log(word)\n")
  await build({ root })
  rmSync(join(root, 'node_modules'), { recursive: true })
  expect(execFileSync(process.execPath, [join(root, 'dist', 'node.mjs')], { encoding: 'utf8' })).toBe('syntax\n')
  put('node_modules/grpc-health-check/index.js', 'exports.word = 1\n')
  put('src/node/main.ts', "import { word } from '../local/grpc-library.ts'\nconsole.log(word)\n")
  await expect(build({ root })).rejects.toThrow(/node\.mjs must not hold grpc-health-check; src\/local\/grpc-library\.ts imports it/)
})

test('the licence of every bundled package travels with its code', async () => {
  put('node_modules/@some/thing/package.json', '{ "name": "@some/thing", "version": "1.2.3", "license": "MIT" }')
  put('node_modules/@some/thing/LICENSE-MIT', 'Copyright: somebody\n')
  put('node_modules/@some/thing/index.js', 'export const thing = 1\n')
  put('src/cli/main.ts', "import { thing } from '@some/thing'\nconsole.log(thing)\n")
  await build({ root })
  expect(readFileSync(join(root, 'dist', 'THIRD-PARTY.txt'), 'utf8')).toBe('@some/thing 1.2.3: MIT\n\nCopyright: somebody\n')
})

test('`using` works in a bundle on every Node.js that errand runs on', async () => {
  put('src/cli/main.ts', "{ using it = { [Symbol.dispose]: () => console.log('closed') }; void it }\n")
  await build({ root })
  expect(readFileSync(join(root, 'dist', 'errand.cjs'), 'utf8')).not.toMatch(/^\s*using /m)
})

test('a build is out of date when a source is changed, added or gone', async () => {
  put('src/cli/main.ts', 'console.log(1)\n')
  put('src/cli/other.ts', '')
  await build({ root })
  expect(isBuilt(root)).toBe(true)
  put('src/cli/main.ts', 'console.log(11)\n')
  expect(isBuilt(root)).toBe(false)
  await build({ root, stamp: fingerprint(root) })
  rmSync(join(root, 'src/cli/other.ts'))
  expect(isBuilt(root)).toBe(false)
})

test('installed means: what the lock file says, and nothing half done', () => {
  const packages = { '': {}, 'node_modules/a': { version: '1.0.0' }, 'node_modules/b-win32': { version: '1.0.0', optional: true } }
  put('package-lock.json', JSON.stringify({ packages }))
  expect(isInstalled(root)).toBe(false)
  put('node_modules/.package-lock.json', JSON.stringify({ packages: { 'node_modules/a': { version: '1.0.0' } } }))
  expect(isInstalled(root)).toBe(false) // recorded, but its files are gone
  put('node_modules/a/package.json', '{}')
  expect(isInstalled(root)).toBe(true)
  put('package-lock.json', JSON.stringify({ packages: { ...packages, 'node_modules/a': { version: '1.0.1' } } }))
  expect(isInstalled(root)).toBe(false)
})

test('an older Node.js is refused with what to do', () => {
  expect(() => refuseOldNode('20.18.3')).toThrow(/needs Node\.js 20\.19 or newer; this is 20\.18\.3/)
  expect(() => refuseOldNode('18.20.0')).toThrow(/needs/)
  for (const fine of ['20.19.0', '22.0.0', '26.1.0']) expect(() => refuseOldNode(fine)).not.toThrow()
})

test('setup runs once at a time, and a dead owner does not hold it up', async () => {
  const path = join(root, 'lock')
  writeFileSync(path, '999999999') // no such process
  let running = 0
  let most = 0
  const work = async (): Promise<void> => {
    running += 1
    most = Math.max(most, running)
    await new Promise((resolve) => setImmediate(resolve))
    running -= 1
  }
  await Promise.all([holdingLock(path, work), holdingLock(path, work), holdingLock(path, work)])
  expect(most).toBe(1)
})

test('the command survives links and blanks, and puts NODE_EXTRA_CA_CERTS aside', () => {
  put(
    'dist/errand.cjs',
    'console.log(JSON.stringify([process.argv.slice(2), process.env.NODE_EXTRA_CA_CERTS ?? null, process.env.ERRAND_NODE_EXTRA_CA_CERTS ?? null]))\n',
  )
  mkdirSync(join(root, 'scripts'))
  mkdirSync(join(root, 'some where'))
  copyFileSync(join(ROOT, 'scripts', 'bin.cjs'), join(root, 'scripts', 'bin.cjs'))
  chmodSync(join(root, 'scripts', 'bin.cjs'), 0o755)
  symlinkSync(join('..', 'scripts', 'bin.cjs'), join(root, 'some where', 'errand'))
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: '/certs.pem', ERRAND_NODE_EXTRA_CA_CERTS: '' }
  const said = execFileSync(join(root, 'some where', 'errand'), ['run', 'a  b', '--', '$HOME', "'"], { encoding: 'utf8', env, cwd: tmpdir() })
  expect(JSON.parse(said)).toEqual([['run', 'a  b', '--', '$HOME', "'"], null, '/certs.pem'])
})
