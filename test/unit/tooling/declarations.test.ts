/** The declarations that programs see: schemas written out, nothing of anybody else's in them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { declarations } from '../../../scripts/build/declarations.mjs'

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'errand-types-'))
  put(
    'tsconfig.json',
    '{ "compilerOptions": { "strict": true, "module": "NodeNext", "target": "es2022", "lib": ["es2022"], "allowImportingTsExtensions": true, "types": [] } }',
  )
  put('package.json', '{ "type": "module" }')
  put('node_modules/checker/package.json', '{ "name": "checker", "type": "module", "types": "./index.d.ts" }')
  put(
    'node_modules/checker/index.d.ts',
    `export interface Schema<T> { of: T }
export type InferOutput<S extends { of: unknown }> = S['of']
export declare function shape<T>(of: T): Schema<T>
export interface Foreign { it: 1 }
`,
  )
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
}

async function declared(entry: string): Promise<string> {
  put('src/entry.ts', entry)
  const [file] = await declarations(root, [{ name: 'thing', entry: 'src/entry.ts' }])
  expect(file?.name).toBe('thing.d.ts')
  return file?.text ?? ''
}

test('a type that is inferred from a schema is written out, with what the schema says of its fields, and the schema is gone', async () => {
  put(
    'src/words.ts',
    "import * as v from 'checker'\nexport const Ask = v.shape({\n  /** How many. */\n  n: 1 as number,\n  who: '' as string,\n})\nexport type Ask = v.InferOutput<typeof Ask>\n",
  )
  const text = await declared("import type { Ask } from './words.ts'\n/** Asks. */\nexport function ask(it: Ask): void { void it }\nexport type { Ask }\n")
  expect(text).toContain('type Ask = {\n    /** How many. */\n    n: number;\n    who: string;\n};')
  expect(text).toContain('/** Asks. */\ndeclare function ask(it: Ask): void;')
  expect(text).not.toContain('checker')
})

test('files of ours become one; what is private stays out', async () => {
  put('src/other.ts', 'export interface Far { readonly a: 1 }\nexport interface Unused { readonly b: 1 }\n')
  const text = await declared("import type { Far } from './other.ts'\nexport class It { #far: Far | undefined; get(): Far | undefined { return this.#far } }\n")
  expect(text).toContain('interface Far')
  expect(text).not.toMatch(/Unused|import|#far/)
})

test('a type of a package is refused, and the package named', async () => {
  await expect(declared("import type { Foreign } from 'checker'\nexport function f(it: Foreign): void { void it }\n")).rejects.toThrow(
    /thing\.d\.ts must not need checker/,
  )
})

test('Node.js’s own modules may be named', async () => {
  put('node_modules/@types/node/package.json', '{ "name": "@types/node", "types": "./index.d.ts" }')
  put('node_modules/@types/node/index.d.ts', "declare module 'node:net' { export interface Socket { end(): void } }\n")
  put('tsconfig.json', '{ "compilerOptions": { "strict": true, "module": "NodeNext", "target": "es2022", "lib": ["es2022"], "types": ["node"] } }')
  expect(await declared("import type { Socket } from 'node:net'\nexport function f(it: Socket): void { it.end() }\n")).toMatch(/from 'node:net'/)
})

test('a type that cannot be declared stops the build with the compiler’s words', async () => {
  await expect(declared('export const it = (() => { class Hidden { private a = 1 }; return Hidden })()\n')).rejects.toThrow(
    /types that cannot be declared:\n.*TS4094/s,
  )
})
