/**
 * Makes a fresh clone ready: installs what the lock file lists, then builds. What is already right is left alone, so this costs
 * milliseconds on every later start. Plain JavaScript without dependencies, because it runs before anything is installed.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fingerprint, isBuilt, isInstalled } from './build/fresh.mjs'
import { holdingLock } from './build/lock.mjs'
import { asProgram, isMain, ROOT, SetupFailed, say } from './build/program.mjs'

const OLDEST_NODE = [20, 19]

/** @throws SetupFailed when this Node.js is older than the oldest that errand runs on. */
export function refuseOldNode(version = process.versions.node) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const tooOld = major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])
  if (!tooOld) return
  throw new SetupFailed(
    `errand needs Node.js ${OLDEST_NODE.join('.')} or newer; this is ${version} (${process.execPath})\nhint: install a current release from https://nodejs.org`,
  )
}

/** Installs and builds whatever is missing or out of date. Safe to run several times at once: the others wait. */
export async function ensure(root = ROOT) {
  await ensureInstalled(root)
  if (!isBuilt(root)) await alone(root, async () => isBuilt(root) || (await buildNow(root)))
}

/** The first half of `ensure`, for what works on the sources. */
export async function ensureInstalled(root = ROOT) {
  refuseOldNode()
  if (!isInstalled(root)) await alone(root, async () => isInstalled(root) || (await install(root)))
}

/** Whoever waited finds the work done, so `work` looks again before it starts. */
function alone(root, work) {
  return holdingLock(join(root, '.setup.lock'), work)
}

async function install(root) {
  say('installing packages (npm ci) …')
  // Development packages are asked for by name: NODE_ENV=production would leave out the bundler that makes dist.
  const { code, output } = await npm(root, ['ci', '--include=dev', '--no-audit', '--no-fund', '--no-progress'])
  if (code === 0) return
  throw new SetupFailed(
    `${output.trim()}\nnpm ci failed with ${code}\nhint: is the network up, and is this directory writable? Then run the same command again.`,
  )
}

async function buildNow(root) {
  const startedAt = performance.now()
  const before = fingerprint(root)
  const { build } = await import('./build.mjs')
  await build({ root, stamp: before })
  say(`built in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
}

/** Prefers the npm that started us, so that `npx npm@10 test` stays with npm 10. */
function npm(root, args) {
  const cli = process.env.npm_execpath
  const own = cli !== undefined && basename(cli) === 'npm-cli.js' && existsSync(cli)
  const [file, all] = own ? [process.execPath, [cli, ...args]] : ['npm', args]
  return new Promise((resolve, reject) => {
    const child = spawn(file, all, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: !own && process.platform === 'win32', // npm is a .cmd file there, which only a shell can start
      env: environment(),
    })
    const seen = []
    child.stdout.on('data', (chunk) => seen.push(chunk))
    child.stderr.on('data', (chunk) => seen.push(chunk))
    child.once('error', (cause) => reject(new SetupFailed(`cannot start npm: ${cause.message}\nhint: npm comes with Node.js; is it on the PATH?`)))
    child.once('close', (code) => resolve({ code: code ?? 1, output: Buffer.concat(seen).toString() }))
  })
}

/** Under `npm install -g .` npm hands its own options down; this install is a local and a whole one all the same. */
function environment() {
  const own = { ...process.env, ERRAND_SETUP: '1' }
  for (const name of ['global', 'location', 'prefix', 'omit', 'only', 'production']) delete own[`npm_config_${name}`]
  return own
}

if (isMain(import.meta.url)) await asProgram(() => ensure())
