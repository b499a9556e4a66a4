/**
 * The storeys of the house as a check: which room may import which, types included. Order = storeys, lowest first. Every rule here is
 * proven by a planted breach in test/unit/tooling/layers.test.ts; a rule without a breach fails that test.
 */
const BELOW_THE_BUILDER = [
  'identity',
  'authority',
  'policy',
  'registry',
  'audit',
  'tasks',
  'files',
  'sessions',
  'exec',
  'workflows',
  'runtime',
  'mesh',
  'local',
  'store',
]

const MAY_IMPORT = {
  protocols: [],
  base: [],
  identity: ['protocols', 'base'],
  authority: ['protocols', 'base', 'identity'],
  registry: ['protocols', 'base', 'identity'],
  audit: ['protocols', 'base', 'identity'],
  policy: ['protocols', 'base', 'authority'],
  tasks: ['protocols', 'base'],
  files: ['protocols', 'base'],
  sessions: ['protocols', 'base'],
  exec: ['protocols', 'base', 'identity', 'authority', 'tasks/ports'],
  workflows: ['protocols', 'base', 'tasks/ports'],
  runtime: ['protocols', 'base', 'identity', 'authority', 'policy', 'tasks', 'files', 'sessions', 'registry', 'audit'],
  store: ['protocols', 'base', 'identity', 'authority', 'registry', 'tasks/ports', 'files', 'sessions', 'audit'],
  local: ['protocols', 'base', 'runtime/runtime'],
  mesh: ['protocols', 'base', 'identity', 'authority', 'registry', 'audit', 'files', 'tasks/ports', 'runtime/runtime'],
  node: ['protocols', 'base', ...BELOW_THE_BUILDER],
  // The words of an emergency are read in the client, so that the node never sees one.
  cli: ['protocols', 'base', 'runtime/runtime', 'runtime/recovery-words', 'local/client'],
}

/** Start a node, in this process or in the background: the only files of the client that know there is one. */
const STARTERS = '^src/cli/(commands/node|background)\\.ts$'

const place = (room) => (room === 'protocols' ? '^protocols/' : `^src/${room}(/|\\.ts$)`)

const storeys = Object.entries(MAY_IMPORT).map(([room, allowed]) => ({
  name: `${room} may import only ${allowed.join(', ') || 'nothing of ours'}`,
  severity: 'error',
  from: { path: place(room), ...(room === 'cli' ? { pathNot: STARTERS } : {}) },
  to: { path: '^(src|protocols)/', pathNot: [place(room), ...allowed.map(place)] },
}))

/** A package (or a part of Node) that only some rooms may touch. */
const only = (what, path, rooms) => ({
  name: `${what} only in ${rooms.say}`,
  severity: 'error',
  from: { path: '^(src|protocols)/', pathNot: rooms.path },
  to: { path },
})
const installed = (names) => `node_modules/(${names})(/|$)`

module.exports = {
  forbidden: [
    ...storeys,
    {
      name: 'starters import only what the client may, and the node',
      severity: 'error',
      from: { path: STARTERS },
      to: { path: '^src/', pathNot: [...MAY_IMPORT.cli, 'cli', 'node'].map(place) },
    },
    { name: 'no cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'every import can be found', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'store sees the rooms as types only',
      severity: 'error',
      from: { path: '^src/store/' },
      to: { path: '^src/(tasks|audit|files|sessions|authority|registry|identity)/', dependencyTypesNot: ['type-only'] },
    },
    only('libp2p', installed('libp2p|@libp2p/(?!crypto(/|$))[^/]+|@chainsafe/[^/]+'), { say: 'mesh', path: '^src/mesh/' }),
    only('libp2p keys', installed('@libp2p/crypto'), { say: 'mesh and identity', path: '^src/(mesh|identity)/' }),
    only('LevelDB', installed('level|[a-z]+-level'), { say: 'store', path: '^src/store/' }),
    only('child processes', '^(node:)?child_process$', {
      say: 'exec, the background start and our own terminal',
      path: '^src/exec/|^src/cli/(background|commands/terminal)\\.ts$',
    }),
    only('the web server', installed('fastify|@fastify/[^/]+'), { say: 'local, never in its client', path: '^src/local/(?!client)' }),
    only('gRPC', installed('@grpc/[^/]+|grpc-[^/]+'), { say: 'local, behind grpc.ts', path: '^src/local/grpc' }),
    {
      name: 'gRPC is seen early as types only',
      severity: 'error',
      from: { path: '^(src|protocols)/', pathNot: '^src/local/grpc-library\\.ts$' },
      to: { path: `${installed('@grpc/[^/]+|grpc-[^/]+')}|^src/local/grpc-library\\.ts$`, dependencyTypesNot: ['type-only', 'dynamic-import'] },
    },
    only('the command line library', installed('commander'), { say: 'cli', path: '^src/cli/' }),
    only('the logger', installed('pino|pino-[^/]+'), { say: 'node', path: '^src/node/' }),
    only('UCAN libraries', installed('@ucanto/[^/]+|@ucan-wg/[^/]+|@ipld/dag-ucan|iso-ucan'), { say: 'authority', path: '^src/authority/' }),
    // Whatever admits, checks or runs a command must not be able to reach the older format: docs/decisions/0020.
    only('the library of UCAN 0.8', installed('ucans|@ucans/[^/]+'), { say: 'its thread', path: '^src/authority/ucan08-worker\\.ts$' }),
    {
      name: 'the bridge is for its desk only',
      severity: 'error',
      from: { path: '^(src|protocols)/', pathNot: '^src/authority/ucan08|^src/runtime/bridge-desk\\.ts$|^protocols/bridge/' },
      to: { path: '^src/authority/ucan08|^protocols/bridge/' },
    },
    {
      name: 'the desk of the bridge is for the hall only',
      severity: 'error',
      from: { path: '^(src|protocols)/', pathNot: '^src/node/hall\\.ts$$' },
      to: { path: '^src/runtime/bridge-desk\\.ts$' },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.mjs', '.cjs', '.js', '.json'],
    },
  },
}
