/** The package as a program in TypeScript gets it: packed, unpacked beside nothing else, type-checked and run. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')
const require = createRequire(import.meta.url)
let dir: string

/** What a consumer writes. Every kind of member is used in its own type, so that a declaration that is gone or became `any` shows below. */
const PROGRAM = `
import type { createNode, ErrandNode } from 'errand'
import { type AuditRecordView, connect, type DeviceView, ErrandError, type ExecOutcome, type ExecRequest, LocalClient, type Status } from 'errand/client'

const client: LocalClient = connect({ socketPath: '/nowhere/errand.sock' })
const request: Omit<ExecRequest, 'stdin'> = { device: 'gpu1', command: ['npm', 'test'], timeoutMs: 60_000 }

export async function use(signal: AbortSignal): Promise<number | null> {
  const status: Status = await client.status({ signal })
  const mode: 'local-only' | 'remote-enabled' | 'distributed-cluster' = status.mode
  const devices: DeviceView[] = await client.devices()
  const rtt: number | null | undefined = devices[0]?.rttMs
  for await (const record of client.audit({ action: mode, limit: rtt ?? 1 })) show(record)
  const outcome: ExecOutcome = await client.exec(request, { signal, onStdout: async (chunk) => void chunk.byteLength })
  return outcome.exitCode
}

export async function embed(create: typeof createNode): Promise<string> {
  const adapter = { name: 'mine', start: async (runtime: ErrandNode['runtime']) => async () => void (await runtime.getStatus()) }
  const node = await create({ home: './home', preset: 'lan', settings: { 'deployment.maxConcurrentTasks': 2 }, adapters: [adapter] })
  for await (const event of node.runtime.executeStream({ device: 'gpu1', command: ['ls'] }))
    if (event.t === 'printed') return String(event.fd + event.bytes.length)
  const { code } = await node.owner.invite({ name: 'gpu1' })
  return code
}

function show({ actor, result }: AuditRecordView): string {
  return actor + result
}

const refused: unknown = await client.status().catch((error: unknown) => error)
if (!(refused instanceof ErrandError)) throw new Error('not one of ours')
console.log(refused.code)
client.close()
`

/** Each line is a mistake that the declarations must find. */
const MISTAKES = [
  "await connect().exec({ device: 'a', command: 'ls' })",
  "await connect().exec({ device: 'a' })",
  "await connect().exec({ device: 'a', command: ['ls'], quantum: true })",
  'const n: number = (await connect().status()).name',
  'connect({ hom: "x" })',
  'for await (const { actor } of connect().audit()) actor.toFixed()',
  'await connect().run()',
  'new ErrandError(1, 2)',
  "await create({ hom: 'x' })",
  "await (await create({ home: 'x' })).runtime.execute({ device: 'a', command: 'ls' })",
  "for await (const event of (await create({ home: 'x' })).runtime.attach('t')) event.bytes",
]

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'errand-package-'))
  execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', dir], { cwd: ROOT, stdio: 'pipe' })
  const [tarball = ''] = readdirSync(dir).filter((name) => name.endsWith('.tgz'))
  mkdirSync(join(dir, 'node_modules', 'errand'), { recursive: true })
  execFileSync('tar', ['-xzf', join(dir, tarball), '-C', join(dir, 'node_modules', 'errand'), '--strip-components=1'])
  writeFileSync(join(dir, 'package.json'), '{ "type": "module", "private": true }')
  for (const [name, text] of [['program.ts', PROGRAM], ...MISTAKES.map((line, i) => [`mistake${i}.ts`, wrong(line)])] as const)
    writeFileSync(join(dir, name), text)
})

afterAll(() => rmSync(dir, { recursive: true, force: true }))

function wrong(line: string): string {
  return `import type { createNode } from 'errand'; import { connect, ErrandError } from 'errand/client'; declare const create: typeof createNode\n${line}\nvoid connect, void ErrandError, void create\n`
}

/** @returns what the compiler says; nothing when all is well. */
function check(files: readonly string[], ...options: string[]): string {
  const strict = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--skipLibCheck', 'false', '--target', 'es2022']
  const { stdout } = spawnSync(process.execPath, [require.resolve('typescript/bin/tsc'), ...strict, ...options, ...files], { cwd: dir, encoding: 'utf8' })
  return stdout
}

test.each([
  ['Node.js', ['--module', 'nodenext', '--lib', 'es2023,dom']],
  ['a bundler', ['--module', 'esnext', '--moduleResolution', 'bundler', '--lib', 'es2023,dom']],
])('a program type-checks against the package alone, as %s finds it', (_who, options) => {
  expect(check(['program.ts'], ...options)).toBe('')
})

test('it type-checks beside the types of Node.js as well', () => {
  mkdirSync(join(dir, 'node_modules', '@types'), { recursive: true })
  symlinkSync(dirname(require.resolve('@types/node/package.json')), join(dir, 'node_modules', '@types', 'node'))
  symlinkSync(join(ROOT, 'node_modules', 'undici-types'), join(dir, 'node_modules', 'undici-types'))
  expect(check(['program.ts'], '--module', 'nodenext', '--lib', 'es2023,esnext.disposable', '--types', 'node', '--skipLibCheck', 'true')).toBe('')
})

test('a mistake is found where it is made', () => {
  const said = check(
    MISTAKES.map((_, i) => `mistake${i}.ts`),
    ...['--module', 'nodenext', '--lib', 'es2023,dom'],
  )
  const found = new Set([...said.matchAll(/^mistake(\d+)\.ts\(2,/gm)].map(([, i]) => MISTAKES[Number(i)]))
  expect([...MISTAKES].filter((line) => !found.has(line))).toEqual([])
})

test.each(['client', 'index'])('the declarations of %s name no package, and no private part of ours', (name) => {
  const text = readFileSync(join(dir, 'node_modules', 'errand', 'dist', `${name}.d.ts`), 'utf8')
  expect(text.replaceAll(/\/\*.*?\*\//gs, '')).not.toMatch(/^import|import\(|\bany\b/m) // comments may say "any"
  expect(text).toContain('/** How long the code can be used. */') // what a schema says of a field stays with it
})

test('the program runs with nothing installed but the package', () => {
  const { outputText } = (require('typescript') as typeof import('typescript')).transpileModule(PROGRAM, { compilerOptions: { target: 9, module: 99 } })
  writeFileSync(join(dir, 'program.mjs'), outputText)
  expect(execFileSync(process.execPath, ['program.mjs'], { cwd: dir, encoding: 'utf8' })).toBe('NO_NODE\n')
})

test('the packages of gRPC are in it, with every file that they read', () => {
  const library = join(dir, 'node_modules', 'errand', 'dist', 'grpc', 'library.mjs')
  writeFileSync(
    join(dir, 'grpc.mjs'),
    `const { loadProto, loadDescriptors, ReflectionService, HealthImplementation, Server } = await import(${JSON.stringify(library)})
const server = new Server()
new ReflectionService(loadDescriptors()).addToServer(server)
new HealthImplementation({}).addToServer(server)
console.log(Object.keys(loadProto()).includes('errand.v1.Exec'))`,
  )
  expect(execFileSync(process.execPath, ['grpc.mjs'], { cwd: dir, encoding: 'utf8' })).toBe('true\n')
})
