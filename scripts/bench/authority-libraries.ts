/**
 * The kernel and the libraries beside it, each a process of its own with the same question: a chain of so many links, one invocation on it.
 * The libraries come from npm into node_modules/.cache, at pinned versions; none of them is a dependency of errand's kernel.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ExecRunArgs } from '../../src/authority/commands.ts'
import { parseRight } from '../../src/authority/rights.ts'
import { signDelegation, signInvocation } from '../../src/authority/token.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Identity } from '../../src/identity/identity.ts'
import type { KernelAsked, KernelTold, Request } from './authority-kernel.ts'
import { CLEAN_ENV, type Cleanup, endProcess, say, succeed } from './support.ts'

/** These files run as dist/bench/NAME.mjs. */
const KERNEL = fileURLToPath(new URL('./authority-kernel.mjs', import.meta.url))
const PEERS = fileURLToPath(new URL('../../scripts/bench/ucan-peers.mjs', import.meta.url))
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/errand-bench/ucan', import.meta.url))
const PACKAGES = ['@ucans/core@0.12.0', 'iso-ucan@0.5.0', 'iso-signatures@0.5.1', 'iso-did@2.1.1', 'multiformats@13.4.1']
const LIFE_SECONDS = 250

/** `cold`: keys and tokens that were never seen. `warm`: the grant is known, the invocation is new, as with the second command of one grant. */
export type Mode = 'cold' | 'warm'

export interface RoundOf {
  readonly mode: Mode
  /** Delegations; the invocation comes on top. */
  readonly depth: number
  readonly count: number
}

export interface Library {
  readonly name: string
  readonly what: string
  /** @returns milliseconds of each verification. */
  round(of: RoundOf): Promise<readonly number[]>
}

/** The same right in every link, and the same arguments, where a library knows such things. */
const RIGHT = parseRight('exec: git status, make test')
const ARGS: ExecRunArgs = {
  ...{ exe: 'make', argv: ['test'], cwd: '', env: [], user: '', timeoutMs: 0, maxOutputBytes: 0, tty: false, stdin: false },
  task: '019aa3c1-0000-7000-8000-000000000001',
}

export async function startKernel(cleanup: Cleanup): Promise<Library> {
  const ask = await program<KernelAsked, KernelTold>(cleanup, KERNEL, [])
  const round = async ({ mode, depth, count }: RoundOf): Promise<readonly number[]> => {
    const chain = chainOf(depth)
    const timed = Array.from({ length: count }, () => (mode === 'warm' ? chain() : chainOf(depth)()))
    return await ask({ known: mode === 'warm' ? [chain()] : [], timed })
  }
  return { name: 'errand', what: 'errand', round }
}

/** @returns why not, when they cannot be had. */
export async function startPeers(cleanup: Cleanup): Promise<readonly Library[] | string> {
  try {
    await install()
    return await Promise.all([
      peer(cleanup, 'ucans-core', `@ucans/core ${versionOf('@ucans/core')} on node:crypto`),
      peer(cleanup, 'iso-ucan', `iso-ucan ${versionOf('iso-ucan')} on node:crypto`),
      peer(cleanup, 'iso-ucan-stock', `iso-ucan ${versionOf('iso-ucan')} as it comes`),
    ])
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown)
  }
}

async function install(): Promise<void> {
  if (['@ucans/core', 'iso-ucan', 'iso-did'].every((name) => existsSync(join(CACHE, 'node_modules', name)))) return
  say(`installing ${PACKAGES.join(', ')} into node_modules/.cache (once)`)
  mkdirSync(CACHE, { recursive: true })
  const args = ['install', '--prefix', CACHE, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', ...PACKAGES]
  await succeed({ file: 'npm', args, env: process.env }) // behind a proxy npm needs the environment as it is
}

function versionOf(name: string): string {
  return JSON.parse(readFileSync(join(CACHE, 'node_modules', name, 'package.json'), 'utf8')).version
}

async function peer(cleanup: Cleanup, name: string, what: string): Promise<Library> {
  const ask = await program<RoundOf & { readonly shape: object }, KernelTold>(cleanup, PEERS, [name, CACHE])
  const shape = { cmd: RIGHT.cmd, pol: RIGHT.pol, args: ARGS }
  return { name, what, round: (of) => ask({ ...of, shape }) }
}

/** A chain of fresh keys. @returns a way to invoke it, anew each time. */
function chainOf(depth: number): () => Request {
  const keys = Array.from({ length: depth + 1 }, () => new Identity(systemRandom(32)))
  const [device, invoker] = [keys[0], keys[depth]]
  if (device === undefined || invoker === undefined) throw new Error('a chain has at least one link')
  const now = Math.floor(systemClock.now() / 1_000)
  const exp = now + 3_600
  const links = keys.slice(1).map((to, at) => {
    return signDelegation(keys[at] ?? device, { aud: to.did, sub: device.did, cmd: RIGHT.cmd, pol: RIGHT.pol, exp, nonce: systemRandom(12) })
  })
  const proofs = links.map(({ bytes }) => bytes)
  const prf = links.map(({ cid }) => cid)
  const challenge = systemRandom(16)
  return () => {
    const nonce = Buffer.concat([challenge, systemRandom(16)])
    const fields = { sub: device.did, aud: device.did, cmd: RIGHT.cmd, args: ARGS, prf, nonce, exp: now + LIFE_SECONDS, iat: now }
    return { self: device.did, peer: invoker.did, challenge, invocation: signInvocation(invoker, fields).bytes, proofs }
  }
}

/** Starts one of the programs. @returns a way to ask it, one round at a time. */
async function program<A extends object, T extends KernelTold>(
  cleanup: Cleanup,
  file: string,
  args: readonly string[],
): Promise<(asked: A) => Promise<readonly number[]>> {
  const child: ChildProcess = fork(file, args, { env: CLEAN_ENV, serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  cleanup.add(() => endProcess(child))
  const next = (): Promise<T> =>
    new Promise((resolve, reject) => {
      const over = (code: number | null): void => reject(new Error(`${[file, ...args].join(' ')} ended with ${code}`))
      child.once('exit', over)
      child.once('message', (told: T) => {
        child.off('exit', over)
        resolve(told)
      })
    })
  await next() // ready
  return async (asked) => {
    const told = next()
    child.send(asked)
    const answer = await told
    if (answer.t !== 'took') throw new Error(answer.t === 'failed' ? answer.why : 'it is not ready')
    return answer.ms
  }
}
