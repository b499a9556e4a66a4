/**
 * `npm run mutate [-- --room R] [--file F] [--only N,N] [--jobs N] [--write]`: removes every guard in turn and runs the tests that should notice.
 * A guard whose removal nobody notices is a survivor: exit 1. `--write` puts the result into docs/mutation.md. Works in copies of the checkout.
 */
import { fork } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { asProgram, isMain, ROOT } from './build/program.mjs'
import { guardsIn } from './mutate/guards.mjs'
import { report } from './mutate/report.mjs'
import { ROOMS } from './mutate/rooms.mjs'

const COPIED = ['src', 'test', 'protocols', 'scripts', 'docs', 'tsconfig.json', 'package.json', 'vitest.config.ts', 'CHANGELOG.md', '.dependency-cruiser.cjs']

/** A test that hangs without its guard has noticed, but says nothing. */
const DEADLINE_MS = 600_000

/** @typedef {{ id: string, room: string, file: string, line: number, was: string, quick: readonly string[], all: readonly string[], guard: import('./mutate/guards.mjs').Guard }} Mutant */

/** @returns {Mutant[]} every guard of the rooms, by file and place. */
export function mutantsOf(root = ROOT) {
  const files = readdirSync(join(root, 'src'), { recursive: true }).map((file) => `src/${String(file).replaceAll('\\', '/')}`)
  return ROOMS.flatMap(({ room, files: pattern, quick, all }) =>
    files
      .filter((file) => pattern.test(file))
      .sort()
      .flatMap((file) =>
        guardsIn(file, readFileSync(join(root, file), 'utf8')).map((guard, n) => ({
          id: `${file}#${n}`,
          room,
          file,
          line: guard.line,
          was: guard.was,
          quick,
          all,
          guard,
        })),
      ),
  )
}

/** A copy of the checkout to break, with its packages. */
export function copyTree(root = ROOT) {
  const tree = mkdtempSync(join(tmpdir(), 'errand-mutate-'))
  for (const name of COPIED) cpSync(join(root, name), join(tree, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'))
  return tree
}

/** Breaks guards in a copy of the checkout of its own, one at a time. */
export class Breaker {
  #tree = copyTree()
  #child = fork(join(this.#tree, 'scripts', 'mutate', 'worker.mjs'), {
    cwd: this.#tree,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, CI: 'true', NO_COLOR: '1' },
  })
  #ready = this.#heard()

  /** @param {Mutant} mutant @returns {Promise<string | undefined>} the test that failed; undefined: nobody noticed. */
  async break(mutant) {
    await this.#ready
    this.#child.send(mutant)
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), DEADLINE_MS)
    const { noticed } = await this.#heard()
    clearTimeout(deadline)
    return noticed ?? undefined
  }

  close() {
    this.#child.kill('SIGKILL')
    rmSync(this.#tree, { recursive: true, force: true })
  }

  #heard() {
    return new Promise((resolve, reject) => {
      const gone = (code) => reject(new Error(`the process that runs the tests ended (${code})`))
      this.#child.once('exit', gone)
      this.#child.once('message', (said) => {
        this.#child.off('exit', gone)
        resolve(said)
      })
    })
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      room: { type: 'string' },
      file: { type: 'string' },
      only: { type: 'string' },
      jobs: { type: 'string', default: '2' },
      write: { type: 'boolean' },
      list: { type: 'boolean' },
    },
  })
  const only = values.only?.split(',').map((n) => Number(n))
  const mutants = mutantsOf().filter(
    ({ room, file, id }) =>
      (values.room === undefined || values.room === room) &&
      (values.file === undefined || file.includes(values.file)) &&
      (only?.includes(Number(id.split('#')[1])) ?? true),
  )
  if (values.list) return list(mutants)
  const waiting = [...mutants]
  const results = []
  const breakers = Array.from({ length: Number(values.jobs) }, () => new Breaker())
  try {
    await Promise.all(
      breakers.map(async (breaker) => {
        for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
          const noticed = await breaker.break(mutant)
          results.push({ ...mutant, noticed })
          show(mutant, noticed)
        }
      }),
    )
  } finally {
    for (const breaker of breakers) breaker.close()
  }
  return finish(results, values.write === true)
}

function show({ id, line, was }, noticed) {
  const by = noticed === undefined ? '' : `  ← ${noticed.slice(0, 120)}`
  process.stdout.write(`${noticed === undefined ? 'SURVIVED' : 'noticed '} ${id} line ${line}: ${was.slice(0, 100)}${by}\n`)
}

function list(mutants) {
  for (const { id, line, was } of mutants) process.stdout.write(`${id} line ${line}: ${was.slice(0, 140)}\n`)
  process.stdout.write(`${mutants.length} guards\n`)
  return 0
}

function finish(results, write) {
  const survivors = results.filter(({ noticed }) => noticed === undefined)
  process.stdout.write(`${results.length} guards removed in turn, ${survivors.length} survived\n`)
  if (write) writeFileSync(join(ROOT, 'docs', 'mutation.md'), report(join(ROOT, 'docs', 'mutation.md'), results, mutantsOf()))
  return survivors.length === 0 ? 0 : 1
}

if (isMain(import.meta.url)) await asProgram(main)
