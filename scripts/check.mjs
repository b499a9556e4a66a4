/**
 * `npm run check`: every promise that can be checked without running the product, each one line with its seconds. Says what broke in the
 * tool's own words. `--report FILE` also writes `{ passed, failed }` for .ci/run.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { asProgram, ROOT } from './build/program.mjs'
import { ensureInstalled } from './ensure.mjs'

const bin = (...path) => join(ROOT, 'node_modules', ...path)
const CACHE = bin('.cache', 'errand')

/** Slowest first: the others then fit beside it. */
const CHECKS = [
  {
    name: 'types',
    says: 'tsc, as strict as it goes',
    run: [bin('typescript', 'bin', 'tsc'), '-p', '.', '--incremental', '--tsBuildInfoFile', join(CACHE, 'tsc.json')],
  },
  { name: 'layers', says: 'rooms import only what lies below', run: ['scripts/lint/layers.mjs'] },
  { name: 'dead code', says: 'no file, export or package without use', run: [bin('knip', 'bin', 'knip.js'), '--no-progress'] },
  {
    name: 'style',
    says: 'biome: format and lint',
    run: [bin('@biomejs', 'biome', 'bin', 'biome'), 'check', '--error-on-warnings', '--max-diagnostics=50', '.'],
  },
  { name: 'bundles', says: 'no libp2p in the client, sizes within budget', run: ['scripts/build.mjs', '--check'] },
  { name: 'text', says: 'no hidden clock, suppression, leftover, private name or endless file', run: ['scripts/lint/text.mjs'] },
  { name: 'vectors', says: 'golden bytes unchanged', run: ['scripts/lint/vectors.mjs'] },
  { name: 'lock file', says: 'every platform, nobody’s registry', run: ['scripts/lint/lock.mjs'] },
]

async function main() {
  await ensureInstalled()
  mkdirSync(CACHE, { recursive: true })
  const startedAt = performance.now()
  const results = []
  const waiting = [...CHECKS]
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const result = await run(next)
      results.push(result)
      show(result)
    }
  }
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker))
  const failed = results.filter(({ ok }) => !ok)
  for (const { name, output } of failed) process.stdout.write(`\n── ${name} ──\n${output.trim()}\n`)
  process.stdout.write(`\n${results.length - failed.length} checks passed, ${failed.length} failed in ${seconds(startedAt)}\n`)
  report({ passed: results.length - failed.length, failed: failed.length })
  return failed.length > 0 ? 1 : 0
}

function run(check) {
  const startedAt = performance.now()
  return new Promise((resolve) => {
    const child = spawn(process.execPath, check.run, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' } })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
    child.stderr.setEncoding('utf8').on('data', (text) => (output += text))
    child.once('error', (cause) => resolve({ ...check, ok: false, output: cause.message, took: seconds(startedAt) }))
    child.once('close', (code) => resolve({ ...check, ok: code === 0, output, took: seconds(startedAt) }))
  })
}

function show({ name, says, ok, took }) {
  process.stdout.write(`${ok ? '✓' : '✗'} ${name.padEnd(10)} ${took.padStart(6)}  ${says}\n`)
}

function seconds(since) {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`
}

function report(counts) {
  const at = process.argv.indexOf('--report')
  if (at !== -1) writeFileSync(process.argv[at + 1], JSON.stringify(counts))
}

await asProgram(main)
