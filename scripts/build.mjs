/**
 * Makes dist: one file a program, so that starting costs one read instead of a thousand. Judges every bundle before anything is written;
 * files appear by rename, so that a node that starts meanwhile never reads half of one.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import * as esbuild from 'esbuild'
import { BUNDLES, EXTERNAL, fileOf, judge, NEXT_DOOR } from './build/bundles.mjs'
import { fingerprint } from './build/fresh.mjs'
import { licences } from './build/licences.mjs'
import { asProgram, isMain, ROOT, SetupFailed } from './build/program.mjs'

/** CommonJS packages inside an ES module (fastify, pino, level) still call `require` for Node's own modules. */
const REQUIRE_BANNER = "import { createRequire as errandCreateRequire } from 'node:module'\nconst require = errandCreateRequire(import.meta.url)"
/** Two steps up from here lies the bundle, as two steps up from their code lie the packages that look there for `proto`. */
const BESIDE_BANNER = "const errandDirname = process.getBuiltinModule('node:url').fileURLToPath(new URL('./two/steps', import.meta.url))"

/**
 * Builds all bundles whose entry exists.
 * @param stamp the fingerprint of the sources taken before the build began, so that an edit during the build shows as out of date.
 * @param write false judges only and leaves dist alone.
 * @throws SetupFailed with every compile error or broken promise.
 */
export async function build({ root = ROOT, stamp = fingerprint(root), write = true } = {}) {
  const built = await Promise.all(plan(root).map((bundle) => bundleOne(root, bundle)))
  const wrong = built.flatMap(({ bundle, result }) => judge(bundle, result.metafile, mainBytes(result)))
  if (wrong.length > 0) throw new SetupFailed(`the build breaks its promises:\n  ${wrong.join('\n  ')}`)
  const declared = await declare(root)
  if (!write) return built.map(({ bundle, result }) => ({ name: fileOf(bundle), bytes: mainBytes(result) }))
  mkdirSync(join(root, 'dist'), { recursive: true })
  const kept = new Set(['.build', '.cache', 'THIRD-PARTY.txt'])
  for (const file of built.flatMap(({ result }) => result.outputFiles)) {
    kept.add(relative(join(root, 'dist'), file.path).split(/[/\\]/)[0])
    put(file.path, file.contents)
  }
  for (const { bundle } of built) for (const file of bundle.beside ?? []) put(besideOf(root, bundle, file), readFileSync(join(root, 'node_modules', file)))
  for (const { name, text } of declared) {
    kept.add(name)
    put(join(root, 'dist', name), text)
  }
  for (const name of readdirSync(join(root, 'dist'))) if (!kept.has(name)) rmSync(join(root, 'dist', name), { recursive: true })
  const metafiles = built.map(({ result }) => result.metafile)
  put(join(root, 'dist', 'THIRD-PARTY.txt'), licences(root, metafiles))
  put(join(root, 'dist', '.build'), stamp)
  return built.map(({ bundle, result }) => ({ name: fileOf(bundle), bytes: mainBytes(result) }))
}

/** Programs for measuring and for the standard's vectors are bundles too, without promises of their own. */
function plan(root) {
  const free = (name, entry) => ({ name, entry, mustNotHold: [], maxBytes: Number.POSITIVE_INFINITY })
  const bench = join(root, 'scripts', 'bench')
  const benches = existsSync(bench) ? readdirSync(bench).filter((file) => file.endsWith('.ts')) : []
  const all = [
    ...BUNDLES,
    free('conformance', 'scripts/conformance.ts'),
    free('fuzz', 'scripts/fuzz.ts'),
    ...benches.map((file) => free(`bench/${basename(file, '.ts')}`, `scripts/bench/${file}`)),
  ]
  // Tests build trees with a few of the programs; here a missing one is an error.
  return root === ROOT ? all : all.filter(({ entry }) => existsSync(join(root, entry)))
}

/** Types for programs that import errand. The trees of tests have none. */
async function declare(root) {
  if (root !== ROOT) return []
  const { declarations } = await import('./build/declarations.mjs') // the compiler, which nothing else here needs
  return await declarations(root)
}

async function bundleOne(root, bundle) {
  const result = await esbuild
    .build({
      absWorkingDir: root,
      entryPoints: [{ in: bundle.entry, out: bundle.name }],
      outdir: 'dist',
      outExtension: { '.js': `.${bundle.format ?? 'mjs'}` },
      bundle: true,
      platform: 'node',
      format: bundle.format ?? 'esm',
      target: 'node20.19',
      external: EXTERNAL,
      plugins: [nodeStaysOutside(root), neighboursStayOutside(root), grpcStaysOutside(root), commanderSpawnsNothing],
      ...(bundle.format === 'cjs' ? {} : { banner: { js: bundle.beside === undefined ? REQUIRE_BANNER : `${REQUIRE_BANNER}\n${BESIDE_BANNER}` } }),
      ...(bundle.beside === undefined ? {} : { define: { __dirname: 'errandDirname' } }),
      legalComments: 'external',
      metafile: true,
      write: false,
      logLevel: 'silent',
    })
    .catch((error) => {
      const lines = esbuild.formatMessagesSync(error.errors ?? [], { kind: 'error', color: false })
      throw new SetupFailed(`${bundle.entry} does not build:\n${lines.join('') || error.message}`)
    })
  return { bundle, result }
}

/**
 * `errand up` in the foreground imports the node's main file; in dist that is the bundle next door, loaded only then. What programs import
 * as `errand` names its parts, and is no second copy of it.
 */
function nodeStaysOutside(root) {
  const main = join(root, 'src', 'node', 'main.ts')
  const named = join(root, 'src', 'node', 'public.ts')
  return {
    name: 'the node stays outside of its users',
    setup({ onResolve }) {
      onResolve({ filter: /\/main\.ts$/ }, ({ path, resolveDir, kind, importer }) => {
        const wanted = (kind === 'dynamic-import' || importer === named) && join(resolveDir, path) === main
        return wanted ? { path: './node.mjs', external: true } : undefined
      })
    },
  }
}

/**
 * The file that every command starts with leaves commander and the rarer commands to a bundle next door, and these leave keys and tokens to another
 * one; `require`, since `import` costs 3 ms on Node 20.
 */
function neighboursStayOutside(root) {
  const neighbours = new Map(NEXT_DOOR.map(({ entry, file }) => [join(root, entry), file]))
  return {
    name: 'what is rarely needed stays outside of the quick client',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /\/(whole|recovery-words|screen)\.ts$/ }, ({ path, resolveDir, kind }) => {
        const file = kind === 'dynamic-import' ? neighbours.get(join(resolveDir, path)) : undefined
        return file === undefined ? undefined : { path: file, namespace: 'next-door' }
      })
      onResolve({ filter: /\.cjs$/, namespace: 'next-door' }, ({ path }) => ({ path, external: true }))
      onLoad({ filter: /.*/, namespace: 'next-door' }, ({ path }) => ({ contents: `module.exports = require('${path}')` }))
    },
  }
}

/** The gRPC packages: loaded by a node that serves gRPC, and by no other. */
function grpcStaysOutside(root) {
  const library = join(root, 'src', 'local', 'grpc-library.ts')
  return {
    name: 'gRPC stays outside of the node',
    setup({ onResolve }) {
      onResolve({ filter: /\/grpc-library\.ts$/ }, ({ path, resolveDir, kind }) =>
        kind === 'dynamic-import' && join(resolveDir, path) === library ? { path: './grpc/library.mjs', external: true } : undefined,
      )
    },
  }
}

/** commander loads `node:child_process` at every start, for subcommands that are programs of their own; errand has none. */
const commanderSpawnsNothing = {
  name: 'commander spawns nothing',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      /[\\/]commander[\\/]/.test(importer) ? { path: 'nothing', namespace: 'nothing' } : undefined,
    )
    onLoad({ filter: /.*/, namespace: 'nothing' }, () => ({ contents: 'module.exports = {}' }))
  },
}

/** @param file its path in node_modules, with the folder `proto` somewhere in it. */
function besideOf(root, { name }, file) {
  return join(root, 'dist', dirname(name), file.slice(file.lastIndexOf('/proto/')))
}

function mainBytes({ outputFiles }) {
  return outputFiles.find(({ path }) => /\.[cm]js$/.test(path)).contents.byteLength
}

function put(path, contents) {
  mkdirSync(dirname(path), { recursive: true })
  const aside = join(dirname(path), `.${basename(path)}.${process.pid}`)
  writeFileSync(aside, contents)
  renameSync(aside, path)
}

if (isMain(import.meta.url)) {
  await asProgram(async () => {
    for (const { name, bytes } of await build({ write: !process.argv.includes('--check') })) {
      process.stdout.write(`dist/${name} ${Math.ceil(bytes / 1024)} KiB\n`)
    }
  })
}
