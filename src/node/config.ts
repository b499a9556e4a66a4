/** `config.yaml`: every setting with its default, unit, bound and doc in one place. Unknown keys are refused with the nearest known one. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import * as v from 'valibot'
import { parseDocument } from 'yaml'
import { DeviceName } from '../../protocols/member/messages.ts'
import { ErrandError } from '../base/errors.ts'
import { makePrivateDirectory } from './home.ts'

export const CONFIG_VERSION = 1

interface Setting {
  readonly schema: v.GenericSchema
  readonly fallback: unknown
  readonly doc: string
}

const Address = v.pipe(
  v.string(),
  v.regex(/^\/(ip4|ip6|dns|dns4|dns6)\/[^/]+\/tcp\/\d{1,5}(\/p2p\/[A-Za-z0-9]+)?$/, 'a TCP multiaddr, like /ip4/0.0.0.0/tcp/4701'),
)
const Switch = v.boolean()

/** What a user may set. The names are the keys of config.yaml. */
export const SETTINGS = {
  version: { schema: v.literal(CONFIG_VERSION), fallback: CONFIG_VERSION, doc: 'version of this file' },
  name: { schema: v.optional(DeviceName), fallback: undefined, doc: 'name of this device where it founds or joins a mesh; default: the host name' },
  preset: {
    schema: v.picklist(['local', 'lan', 'internet']),
    fallback: 'local',
    doc: 'where the node listens: local = loopback only, lan and internet = every interface, port 4701',
  },
  listen: { schema: v.pipe(v.array(Address), v.maxLength(8)), fallback: [], doc: 'addresses to listen on instead of the preset’s' },
  bootstrap: { schema: v.pipe(v.array(Address), v.maxLength(16)), fallback: [], doc: 'addresses dialled at start, besides those of the known devices' },
  labels: {
    schema: v.pipe(v.record(v.pipe(v.string(), v.regex(/^[a-z0-9._-]{1,64}$/)), v.pipe(v.string(), v.maxLength(256))), v.maxEntries(32)),
    fallback: {},
    doc: 'labels that this device announces',
  },
  slots: { schema: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(4_096)), fallback: 256, doc: 'commands that may run here at once' },
  mdns: { schema: Switch, fallback: true, doc: 'find devices on the local network by multicast' },
  dht: { schema: Switch, fallback: true, doc: 'find moved devices through the mesh’s DHT' },
  addressSync: { schema: Switch, fallback: true, doc: 'exchange signed address records with other devices' },
  execPath: {
    schema: v.pipe(v.array(v.pipe(v.string(), v.startsWith('/'), v.maxLength(4_096))), v.maxLength(32)),
    fallback: [],
    doc: 'directories searched for commands after the fixed system path',
  },
} as const satisfies Record<string, Setting>

export type SettingName = keyof typeof SETTINGS
export type Config = { readonly [K in SettingName]: v.InferOutput<(typeof SETTINGS)[K]['schema']> }

/** @throws CONFIG_DAMAGED with the line, NEWER_STATE for a file of a newer errand. */
export function readConfig(path: string): Config {
  const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
  return parseConfig(text, path)
}

export function parseConfig(text: string, path: string): Config {
  const document = parseDocument(text)
  const [broken] = document.errors
  if (broken !== undefined) throw configError(path, `line ${broken.linePos?.[0].line ?? '?'}: ${broken.message.split('\n')[0] ?? ''}`)
  const value: unknown = document.toJS() ?? {}
  if (typeof value !== 'object' || Array.isArray(value)) throw configError(path, 'it is not a list of settings')
  const given = new Map<string, unknown>(Object.entries(value ?? {}))
  const version = given.get('version')
  if (typeof version === 'number' && version > CONFIG_VERSION) {
    throw new ErrandError('NEWER_STATE', `${path} has version ${version}; this errand knows up to ${CONFIG_VERSION}`, {
      hint: 'a newer errand wrote it: run that version again, or use another --home',
    })
  }
  for (const key of given.keys()) if (!(key in SETTINGS)) throw configError(path, unknownKey(key))
  const entries = Object.entries(SETTINGS).map(([name, setting]) => [name, checked(name, setting, given, path)])
  return Object.fromEntries(entries) as Config
}

function checked(name: string, setting: Setting, given: Map<string, unknown>, path: string): unknown {
  if (!given.has(name)) return setting.fallback
  const seen = v.safeParse(setting.schema, given.get(name))
  if (seen.success) return seen.output
  throw configError(path, `${name}: ${seen.issues[0].message}`)
}

export function unknownKey(key: string): string {
  const near = Object.keys(SETTINGS).sort((a, b) => distance(key, a) - distance(key, b))[0]
  return `unknown setting "${key}"${near !== undefined && distance(key, near) <= 3 ? `, did you mean "${near}"?` : ''}`
}

function configError(path: string, why: string): ErrandError {
  return new ErrandError('CONFIG_DAMAGED', `${path}: ${why}`, {
    hint: 'mend the file, or move it away to go back to the defaults; errand config list shows the settings',
  })
}

/** Levenshtein distance, for short words. */
function distance(a: string, b: string): number {
  let row = [...Array(b.length + 1).keys()]
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length] ?? 0
}

const PRESET_LISTEN = { local: ['/ip4/127.0.0.1/tcp/0'], lan: ['/ip4/0.0.0.0/tcp/4701'], internet: ['/ip4/0.0.0.0/tcp/4701', '/ip6/::/tcp/4701'] } as const

export function listenOf(config: Pick<Config, 'preset' | 'listen'>): { addresses: readonly string[]; chosen: boolean } {
  return config.listen.length > 0 ? { addresses: config.listen, chosen: true } : { addresses: PRESET_LISTEN[config.preset], chosen: false }
}

/** Sets one value and keeps the rest of the file, comments included. The value must fit its schema. @throws BAD_SETTING */
export function saveSetting(path: string, name: string, value: unknown): void {
  if (!isSetting(name)) throw new ErrandError('BAD_SETTING', unknownKey(name), { hint: 'errand config list shows the settings' })
  const seen = v.safeParse(SETTINGS[name].schema, value)
  if (!seen.success) throw new ErrandError('BAD_SETTING', `${name}: ${seen.issues[0].message}`, { hint: SETTINGS[name].doc })
  const document = parseDocument(existsSync(path) ? readFileSync(path, 'utf8') : `version: ${CONFIG_VERSION}\n`)
  document.set(name, value)
  writeFileSync(`${path}.new`, document.toString(), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

export function isSetting(name: string): name is SettingName {
  return name in SETTINGS
}

export interface SettingView {
  readonly name: string
  readonly value: unknown
  readonly from: 'default' | 'file'
  readonly doc: string
}

/** Every setting of a file, with where its value comes from. @throws CONFIG_DAMAGED, NEWER_STATE */
export function listSettings(path: string): SettingView[] {
  const config = readConfig(path)
  const document = parseDocument(existsSync(path) ? readFileSync(path, 'utf8') : '')
  return Object.entries(SETTINGS).map(([name, { doc }]) => ({
    name,
    value: config[name as SettingName] ?? null,
    from: document.has(name) ? 'file' : 'default',
    doc,
  }))
}

/** Sets a value as a person types it: YAML, and for lists also a bare word. @throws BAD_SETTING */
export function typeSetting(path: string, name: string, text: string): SettingView {
  makePrivateDirectory(dirname(path))
  readConfig(path) // a damaged file is mended by hand, not by us
  const typed: unknown = parseDocument(text).toJS()
  const isList = isSetting(name) && Array.isArray(SETTINGS[name].fallback) && !Array.isArray(typed)
  saveSetting(path, name, isList ? [typed] : typed)
  return getSetting(path, name)
}

/** @throws BAD_SETTING for a name that is none. */
export function getSetting(path: string, name: string): SettingView {
  const found = listSettings(path).find((one) => one.name === name)
  if (found === undefined) throw new ErrandError('BAD_SETTING', unknownKey(name), { hint: 'errand config list shows the settings' })
  return found
}
