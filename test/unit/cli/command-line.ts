/** The command line as users run it: bundled, in a process of its own. Bundled anew from the sources, so that no stale dist is tested. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { afterAll } from 'vitest'

const REQUIRE = "import { createRequire as errandCreateRequire } from 'node:module'\nconst require = errandCreateRequire(import.meta.url)"

const nodeStaysOutside: Plugin = {
  name: 'the node stays outside of the client',
  setup({ onResolve }) {
    onResolve({ filter: /\/node\/main\.ts$/ }, () => ({ path: './node.mjs', external: true }))
  },
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CommandLine {
  readonly dir: string
  readonly home: string
  /** Runs one command to its end. */
  run(args: readonly string[], o?: { env?: Record<string, string>; input?: string | Uint8Array }): Promise<Ended>
  start(args: readonly string[]): ChildProcess
}

/** Bundles the program and gives it a home; both are gone after the tests of this file. */
export async function commandLine(): Promise<CommandLine> {
  const dir = await mkdtemp(join(tmpdir(), 'errand-cli-'))
  afterAll(() => rm(dir, { recursive: true, force: true }))
  const entry = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
  const shared = { bundle: true, platform: 'node', format: 'esm', target: 'node20.19', banner: { js: REQUIRE }, logLevel: 'error' } as const
  await build({
    ...shared,
    entryPoints: [entry('../../../src/cli/main.ts')],
    outfile: join(dir, 'errand.cjs'),
    format: 'cjs',
    banner: {},
    plugins: [nodeStaysOutside],
  })
  await build({ ...shared, entryPoints: [entry('./fake-node.ts')], outfile: join(dir, 'node.mjs'), external: ['vitest'] })
  const home = join(dir, 'home')
  const start = (args: readonly string[], env: Record<string, string> = {}): ChildProcess => {
    const { NODE_EXTRA_CA_CERTS: _, ...rest } = process.env
    return spawn(process.execPath, [join(dir, 'errand.cjs'), ...args], { env: { ...rest, ERRAND_HOME: home, ...env } })
  }
  return {
    dir,
    home,
    start,
    async run(args, { env, input } = {}) {
      const child = start(args, env)
      child.stdin?.on('error', () => undefined).end(input ?? '')
      return await ended(child)
    },
  }
}

export function ended(child: ChildProcess): Promise<Ended> {
  const parts = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
  child.stdout?.on('data', (chunk: Buffer) => parts.stdout.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => parts.stderr.push(chunk))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout: Buffer.concat(parts.stdout).toString('latin1'), stderr: Buffer.concat(parts.stderr).toString() }))
  })
}

/** Resolves when the child has written this to stdout. */
export function says(child: ChildProcess, text: string): Promise<void> {
  let seen = ''
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      seen += chunk.toString()
      if (seen.includes(text)) resolve()
    })
    child.once('close', () => reject(new Error(`ended without saying ${text}: ${seen}`)))
  })
}
