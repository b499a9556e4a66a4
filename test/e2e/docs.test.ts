/**
 * The programs in docs/: type-checked against the declarations that users get, then run as users run them, in the order of the page and in
 * one directory, and held against what the page says they print.
 */
import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type World, world } from '../support/world.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const require = createRequire(import.meta.url)

interface Program {
  readonly name: string
  readonly text: string
  readonly prints: string
}

function programsIn(page: string): Program[] {
  const text = readFileSync(join(ROOT, 'docs', page), 'utf8')
  const blocks = [...text.matchAll(/```ts\n(.*?)```\n```text\n(.*?)```/gs)]
  expect(blocks.length, 'each program is followed by what it prints').toBe(text.split('```ts\n').length - 1)
  return blocks.map(([, program = '', prints = ''], i) => ({ name: `${page.replace('.md', '')}-${i + 1}`, text: program, prints }))
}

describe.each(['embedding.md', 'adapters.md'])('the programs of docs/%s', (page) => {
  const programs = programsIn(page)
  let w: World

  beforeAll(() => {
    w = world()
    mkdirSync(w.at('node_modules', '@types'), { recursive: true })
    symlinkSync(ROOT, w.at('node_modules', 'errand'))
    symlinkSync(join(ROOT, 'node_modules', '@types', 'node'), w.at('node_modules', '@types', 'node'))
    symlinkSync(join(ROOT, 'node_modules', 'undici-types'), w.at('node_modules', 'undici-types'))
    writeFileSync(w.at('package.json'), '{ "type": "module", "private": true }')
    for (const { name, text } of programs) writeFileSync(w.at(`${name}.ts`), text)
  })
  afterAll(() => w[Symbol.asyncDispose]())

  test('they type-check', () => {
    const strict = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--target', 'es2022', '--module', 'nodenext']
    const files = programs.map(({ name }) => `${name}.ts`)
    const { stdout } = spawnSync(process.execPath, [require.resolve('typescript/bin/tsc'), ...strict, '--types', 'node', ...files], {
      cwd: w.root,
      encoding: 'utf8',
    })
    expect(stdout).toBe('')
  })

  test.each(programs)('$name prints what the page says', async ({ name, text, prints }) => {
    const { outputText } = ts.transpileModule(text, { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } })
    writeFileSync(w.at(`${name}.mjs`), outputText)
    const { stdout } = await promisify(execFile)(process.execPath, [`${name}.mjs`], { cwd: w.root, env: w.env, timeout: 60_000 })
    expect(stdout).toBe(prints)
  })
})
