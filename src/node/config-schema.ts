/**
 * The settings of a node: default, unit, bound and doc of each in one place. Their names are dotted paths in runtime.yaml; nobody else knows them
 * or a number of theirs. Not here: reading a file, and what follows from several settings together.
 */
import { distance } from 'fastest-levenshtein'
import * as v from 'valibot'
import { DeviceName } from '../../protocols/member/messages.ts'
import { choice, duration, hostPort, listOf, Multiaddr, onOff, Path, path, Role, size, whole } from './config-kinds.ts'

export const CONFIG_VERSION = 1

export interface Setting {
  /** From what stands in the file to what the node works with: milliseconds, bytes. */
  readonly schema: v.GenericSchema
  /** As it would stand in the file; undefined where there is none. */
  readonly fallback: unknown
  readonly unit: string
  readonly bound: string
  readonly doc: string
  /** Other names that are understood and never written: those of config.yaml before runtime.yaml. */
  readonly aliases?: readonly string[]
  /** The environment variable that rules over the file. */
  readonly env?: string
  /** What a missing value follows, in words. */
  readonly follows?: string
}

const LABELS = v.pipe(
  v.record(v.pipe(v.string(), v.regex(/^[a-z0-9._-]{1,64}$/, 'a label’s name is 1 to 64 of a-z 0-9 . _ -')), v.pipe(v.string(), v.maxLength(256))),
  v.maxEntries(32, 'must be at most 32 labels'),
)

export const SETTINGS = {
  version: { schema: v.literal(CONFIG_VERSION), unit: '', bound: '`1`', fallback: CONFIG_VERSION, doc: 'version of this file' },
  name: {
    ...{ schema: DeviceName, unit: '', bound: '1 to 63 of a-z 0-9 -', fallback: undefined, follows: 'the host name' },
    doc: 'name of this device where it founds or joins a mesh',
  },
  mode: {
    ...choice('local-only', 'remote-enabled', 'distributed-cluster'),
    ...{ fallback: undefined, follows: 'preset' },
    doc: 'whom the node is reachable for: `local-only` listens on loopback, the others on the network; `errand status` says `distributed-cluster` once two members are online',
  },
  preset: {
    ...choice('local', 'lan', 'internet'),
    fallback: 'local',
    doc: 'how it listens: `local` on loopback and a free port, `lan` on every IPv4 interface and port 4701, `internet` on IPv4 and IPv6 and port 4701',
  },
  labels: { schema: LABELS, unit: '', bound: 'at most 32', fallback: {}, doc: 'labels that this device announces' },
  'transport.listen': {
    ...listOf(Multiaddr, { what: 'addresses', most: 8 }),
    ...{ fallback: [], aliases: ['listen'] },
    doc: 'addresses in the place of the preset’s, like `/ip4/10.0.0.7/tcp/4701`; port 0 is any free one, the same again after a restart',
  },
  'transport.bootstrap': {
    ...listOf(Multiaddr, { what: 'addresses', most: 16 }),
    ...{ fallback: [], aliases: ['bootstrap'] },
    doc: 'addresses dialled at start, besides those of known devices',
  },
  'transport.mdns': { ...onOff(), fallback: true, aliases: ['mdns'], doc: 'find devices on the local network by multicast' },
  'transport.dht': { ...onOff(), fallback: true, aliases: ['dht'], doc: 'find moved devices through the mesh’s DHT' },
  'transport.addressSync': { ...onOff(), fallback: true, aliases: ['addressSync'], doc: 'exchange signed address records with other devices' },
  'transport.api.listen': { ...hostPort(), fallback: undefined, doc: 'where the HTTP API listens besides its socket; not set: nowhere' },
  'transport.api.tls.cert': { ...path(), fallback: undefined, doc: 'its certificate chain, a PEM file' },
  'transport.api.tls.key': { ...path(), fallback: undefined, doc: 'the key of that certificate, a PEM file' },
  'transport.api.tls.clientCa': { ...path(), fallback: undefined, doc: 'a PEM file: clients must show a certificate that one of these signed' },
  'transport.api.token': { ...path(), fallback: undefined, doc: 'a file that holds the token which clients must send' },
  'transport.grpc.socket': { ...onOff(), fallback: false, doc: 'serve gRPC as well, on `run/grpc.sock` in the home' },
  'security.requireAuth': {
    ...onOff(),
    ...{ fallback: true, aliases: ['requireAuth'] },
    doc: 'who calls the HTTP API on `transport.api.listen` must prove who it is; `false` only on loopback',
  },
  'security.allowRemoteSessions': {
    ...onOff(),
    ...{ fallback: true, aliases: ['allowRemoteSessions'] },
    doc: 'other devices may run something here, as far as their rights go; `false`: this device alone',
  },
  'security.defaultRoles': {
    ...listOf(Role, { what: 'roles', most: 1 }),
    ...{ fallback: [], aliases: ['defaultRoles'] },
    doc: 'roles that an invite made here gives when it names neither a role nor rights (`--role`, `--give`)',
  },
  'security.sessionFor': { ...duration({ least: '1s', most: '1d' }), fallback: '8h', doc: 'how long a session lives that is opened here without `--for`' },
  'security.sessionIdle': {
    ...duration({ least: '1s', most: '1d' }),
    fallback: '1d',
    doc: 'how long a session lives that nobody uses, when it is opened without `--idle`',
  },
  'security.sessionLinks': {
    ...duration({ least: '2s', most: '1d' }),
    ...{ fallback: '1h', doc: 'how long a link of a session is good for asking; past the half of it the session has a new key. What runs goes on' },
  },
  'security.approvalTimeout': {
    ...duration({ least: '1s', most: '30d' }),
    ...{ fallback: '1h', doc: 'how long a command waits here for its approval before it fails' },
  },
  'deployment.maxConcurrentTasks': {
    ...whole({ least: 1, most: 4_096 }),
    ...{ fallback: 256, aliases: ['slots'] },
    doc: 'commands that may run here at once',
  },
  'deployment.queueSize': {
    ...whole({ least: 0, most: 1_000_000, unit: 'tasks' }),
    fallback: 1_024,
    doc: 'tasks that may wait here for a place; one more is refused',
  },
  'deployment.queueTimeout': { ...duration({ least: '1s', most: '30d' }), fallback: '1h', doc: 'how long a task waits for a place before it fails' },
  'deployment.requestsPerMinute': {
    ...whole({ least: 1, most: 1_000_000, unit: 'requests' }),
    ...{ fallback: 6_000, doc: 'requests a minute that this device takes of one other device; `rateLimit` in `policy.yaml` rules over it' },
  },
  'deployment.shutdown': {
    ...choice('drain', 'suspend'),
    fallback: 'drain',
    doc: 'what a stop means for detached tasks that run: `drain` waits for them, `suspend` leaves them to the next start',
  },
  'deployment.drainTimeout': { ...duration({ least: '1s', most: '1d' }), fallback: '10s', doc: 'how long `drain` waits; `errand down --drain` rules over it' },
  'deployment.spoolBytes': { ...size({ least: '64KiB', most: '1TiB' }), fallback: '64MiB', doc: 'output kept of one task' },
  'deployment.spoolPolicy': {
    ...choice('drop-oldest', 'block', 'kill'),
    fallback: 'drop-oldest',
    doc: 'what happens when a detached task has printed more: the oldest bytes go and are counted, it waits for a reader, or it ends',
  },
  'exec.path': {
    ...listOf(Path, { what: 'directories', most: 32 }),
    ...{ fallback: [], aliases: ['execPath'] },
    doc: 'directories searched for commands after `/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`',
  },
  'log.level': {
    ...choice('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    ...{ fallback: 'info', env: 'ERRAND_LOG' },
    doc: 'how much the node says on stderr, or in `errand.log`',
  },
} as const satisfies Record<string, Setting>

type Table = typeof SETTINGS
export type SettingName = keyof Table
/** Every setting by its dotted name, as the node works with it. */
export type Settings = {
  readonly [Name in SettingName]: v.InferOutput<Table[Name]['schema']> | (Table[Name]['fallback'] extends undefined ? undefined : never)
}

export function isSetting(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name)
}

/** All names of settings, in the order of the table. */
export const NAMES: readonly SettingName[] = Object.keys(SETTINGS).filter(isSetting)

export function settingOf(name: SettingName): Setting {
  return SETTINGS[name]
}

const CANONICAL = new Map(NAMES.flatMap((name) => [name, ...(settingOf(name).aliases ?? [])].map((word) => [word, name] as const)))
const SECTIONS: ReadonlySet<string> = new Set(NAMES.flatMap((name) => parents(name)))

/** @returns the setting that a name or an alias stands for. */
export function canonical(word: string): SettingName | undefined {
  return CANONICAL.get(word)
}

export function isSection(name: string): boolean {
  return SECTIONS.has(name)
}

function parents(name: string): string[] {
  const words = name.split('.')
  return words.slice(1).map((_, i) => words.slice(0, i + 1).join('.'))
}

/** One sentence on a name that is no setting, with the nearest one that is. */
export function unknownSetting(name: string): string {
  if (isSection(name)) return `"${name}" is a section; its settings are ${NAMES.filter((one) => one.startsWith(`${name}.`)).join(', ')}`
  const near = nearest(name)
  return `unknown setting "${name}"${near === undefined ? '' : `, did you mean "${near}"?`}`
}

/** By its letters, also when it stands in the wrong section. */
function nearest(name: string): string | undefined {
  const ranked = [...CANONICAL.keys(), ...SECTIONS]
    .map((word) => ({ word, whole: distance(name, word), last: distance(lastOf(name), lastOf(word)) }))
    .sort((a, b) => Math.min(a.whole, a.last) - Math.min(b.whole, b.last) || a.whole - b.whole)
  const [best] = ranked
  const bearable = Math.min(3, Math.ceil(lastOf(name).length / 2.5))
  return best !== undefined && Math.min(best.whole, best.last) <= bearable ? best.word : undefined
}

function lastOf(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1)
}
