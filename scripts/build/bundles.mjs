/**
 * The bundles of dist, and what each of them must not hold. A client that carries libp2p starts in 200 ms instead of 40: that is a fault
 * like any other, so the build refuses it and names the file that pulled the package in.
 */
const KIB = 1024
const HEAVY = ['libp2p', '@libp2p/', '@chainsafe/', '@multiformats/', 'level', 'classic-level', 'datastore-', 'fastify', 'pino']
/** Not heavy, but each costs every start of the command line more than the command line itself (docs/decisions/0013). */
const SLOW = ['commander', 'it-', 'uint8arraylist', 'uint8arrays', 'uint8-varint']
/** Only a node that serves gRPC pays for it (docs/decisions/0018). */
const GRPC = ['@grpc/', 'grpc-health-check', 'protobufjs', '@protobufjs/']

/** Only the thread of the bridge knows it: nothing that admits or runs a command can reach it (docs/decisions/0020). */
const OLD_UCAN = ['ucans', '@ucans/', '@stablelib/', 'big-integer', 'one-webcrypto']

/** What these packages read from `../../proto` at run time. */
const GRPC_PROTOS = [
  'grpc-health-check/proto/health/v1/health.proto',
  '@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto',
  '@grpc/reflection/build/proto/grpc/reflection/v1alpha/reflection.proto',
]

/**
 * `beside`: files of packages that the bundle's code reads from `proto` beside it.
 * `format`: a CommonJS program starts 6 ms sooner than an ES module, which goes through Node's asynchronous loader; people wait for the client only.
 * @type {readonly { name: string, entry: string, format?: 'cjs', mustNotHold: readonly string[], maxBytes: number, beside?: readonly string[] }[]}
 */
export const BUNDLES = [
  { name: 'errand', entry: 'src/cli/main.ts', format: 'cjs', mustNotHold: [...HEAVY, ...SLOW], maxBytes: 63 * KIB },
  { name: 'whole', entry: 'src/cli/whole.ts', format: 'cjs', mustNotHold: HEAVY, maxBytes: 560 * KIB },
  // Keys, tokens and the words of BIP-39, for the one command in the life of a mesh that needs them in the client.
  { name: 'recovery', entry: 'src/runtime/recovery-words.ts', format: 'cjs', mustNotHold: [...HEAVY, 'commander'], maxBytes: 200 * KIB },
  // An emulator of terminals, for whoever comes back to one.
  { name: 'screen', entry: 'src/cli/screen.ts', format: 'cjs', mustNotHold: [...HEAVY, 'commander'], maxBytes: 400 * KIB },
  { name: 'index', entry: 'src/node/public.ts', mustNotHold: [...HEAVY, 'commander'], maxBytes: 2 * KIB },
  { name: 'node', entry: 'src/node/main.ts', mustNotHold: ['commander', ...GRPC, ...OLD_UCAN], maxBytes: 6_080 * KIB },
  // Spawning copies the parent's page tables, so what spawns must stay small.
  { name: 'exec-host', entry: 'src/exec/host-main.ts', mustNotHold: [...HEAVY, ...OLD_UCAN, 'commander', '@noble/'], maxBytes: 350 * KIB },
  // The library of UCAN 0.8, in a thread of its own when a token is imported (docs/decisions/0020).
  { name: 'bridge', entry: 'src/authority/ucan08-worker.ts', format: 'cjs', mustNotHold: [...HEAVY, 'commander'], maxBytes: 350 * KIB },
  { name: 'client', entry: 'src/local/client.ts', mustNotHold: [...HEAVY, 'commander'], maxBytes: 200 * KIB },
  { name: 'grpc/library', entry: 'src/local/grpc-library.ts', mustNotHold: [...HEAVY, 'commander'], maxBytes: 1_500 * KIB, beside: GRPC_PROTOS },
]

/** Bundles that others load by `import()` of their source. */
export const NEXT_DOOR = [
  { entry: 'src/cli/whole.ts', file: './whole.cjs' },
  { entry: 'src/runtime/recovery-words.ts', file: './recovery.cjs' },
  { entry: 'src/cli/screen.ts', file: './screen.cjs' },
]

/** Stay outside every bundle: the one package with native code, found in node_modules at run time (see "dependencies"). */
export const EXTERNAL = ['level', 'classic-level']

/**
 * Judges one bundle by esbuild's own account of what went in.
 * @returns one sentence a fault; empty when all is well.
 */
export function judge(bundle, metafile, bytes) {
  const wrong = []
  const file = fileOf(bundle)
  if (bytes > bundle.maxBytes) wrong.push(`${file} is ${bytes} bytes; its budget is ${bundle.maxBytes}`)
  const seen = new Set()
  for (const [from, { imports }] of Object.entries(metafile.inputs)) {
    for (const { path, external } of imports) {
      const pkg = external ? path : packageOf(path)
      if (pkg === undefined || seen.has(pkg) || !isHeld(bundle.mustNotHold, pkg)) continue
      seen.add(pkg)
      wrong.push(`${file} must not hold ${pkg}; ${from} imports it`)
    }
  }
  return wrong
}

/** The name of a bundle's file in dist. */
export function fileOf({ name, format }) {
  return `${name}.${format ?? 'mjs'}`
}

/** A forbidden word that ends in `/` or `-` stands for all packages that start so; the others for exactly one package. */
function isHeld(forbidden, pkg) {
  return forbidden.some((word) => pkg === word || (/[/-]$/.test(word) && pkg.startsWith(word)) || pkg.startsWith(`${word}/`))
}

function packageOf(path) {
  const match = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)
  return match === null ? undefined : match[1]
}
