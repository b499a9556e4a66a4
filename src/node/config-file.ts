/**
 * The file of the settings: which one it is, and how it is changed. errand writes runtime.yaml. A home that has only config.yaml, the file of
 * older homes, is read all the same, and becomes one with runtime.yaml when a setting is changed. Both at once are refused.
 */
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import * as v from 'valibot'
import { type Document, isMap, isScalar, type Pair, parseDocument, YAMLMap } from 'yaml'
import { ErrandError } from '../base/errors.ts'
import { asBadSetting, badSetting, layered, settingNamed } from './config-layers.ts'
import { companions } from './config-modes.ts'
import { type ConfigText, parseConfig } from './config-read.ts'
import { CONFIG_VERSION, type SettingName, settingOf } from './config-schema.ts'
import { makePrivateDirectory, writeWhole } from './home.ts'

const CONFIG_FILE = 'runtime.yaml'
const OLD_CONFIG_FILE = 'config.yaml'
/** What became of config.yaml, as it was. */
const BACKUP_FILE = 'config.yaml.bak'

export interface ConfigFile {
  readonly path: string
  readonly name: string
  readonly text: ConfigText
}

/** The file of a home, or none, which says the same as an empty one. @throws CONFIG_TWICE, CONFIG_DAMAGED, NEWER_STATE */
export function readConfigFile(home: string): ConfigFile {
  const [path, old] = [join(home, CONFIG_FILE), join(home, OLD_CONFIG_FILE)]
  const isOld = existsSync(old)
  if (isOld && existsSync(path)) {
    throw new ErrandError('CONFIG_TWICE', `${home} has both ${CONFIG_FILE} and ${OLD_CONFIG_FILE}; errand reads one`, {
      hint: `bring what you need into ${CONFIG_FILE}, then put the other one away: mv ${old} ${join(home, BACKUP_FILE)}`,
    })
  }
  const used = isOld ? old : path
  return { path: used, name: basename(used), text: parseConfig(existsSync(used) ? readFileSync(used, 'utf8') : '', used) }
}

export interface Saved {
  readonly name: SettingName
  /** Other settings that went because they said the contrary. */
  readonly gone: readonly SettingName[]
  /** Where the older file went, when this was the change that replaced it. */
  readonly backup: string | undefined
}

/**
 * Sets one value and keeps the rest of the file, comments included.
 * @param value as it would stand in the file; null goes back to the default. @throws BAD_SETTING, and what reading the file throws.
 */
export function saveSetting(home: string, word: string, value: unknown): Saved {
  const name = settingNamed(word)
  const file = readConfigFile(home) // a damaged file is mended by hand, not by us
  const { document, given } = file.text
  const fits = value === null || v.safeParse(settingOf(name).schema, value)
  if (fits !== true && !fits.success) throw badSetting(name, fits.issues[0].message, settingOf(name).doc)
  const isOld = file.name === OLD_CONFIG_FILE
  if (isOld) nest(document, file.text)
  if (document.contents === null) document.contents = parseDocument(`version: ${CONFIG_VERSION}\n`).contents
  const place = (one: SettingName): readonly string[] => (isOld ? undefined : given.get(one)?.path) ?? one.split('.')
  put(document, place(name), value)
  const gone = dropContraries(document, name, place)
  const path = join(home, CONFIG_FILE)
  const text = document.toString({ lineWidth: 0 })
  refuseContradiction(text, path)
  makePrivateDirectory(home)
  const backup = isOld ? join(home, BACKUP_FILE) : undefined
  if (backup !== undefined) copyFileSync(file.path, backup)
  writeWhole(path, Buffer.from(text))
  if (isOld) rmSync(file.path) // last: a crash before leaves both, and both are refused with what to do
  return { name, gone, backup }
}

function dropContraries(document: Document, name: SettingName, place: (name: SettingName) => readonly string[]): SettingName[] {
  const text = parseConfig(document.toString(), CONFIG_FILE)
  const raw = Object.fromEntries([...text.given].map(([one, { value }]) => [one, value]))
  const gone = companions(name, raw)
  for (const one of gone) document.deleteIn(place(one))
  return [...gone]
}

/** All sources but the file are left out: the file must hold by itself. */
function refuseContradiction(text: string, path: string): void {
  try {
    layered(parseConfig(text, path), { path, name: CONFIG_FILE }, [])
  } catch (thrown) {
    throw asBadSetting(thrown, path)
  }
}

function put(document: Document, path: readonly string[], value: unknown): void {
  if (value === null) {
    if (document.hasIn(path)) document.deleteIn(path)
    return
  }
  sectionOf(document, path)
  const before: unknown = document.getIn(path, true)
  const node = document.createNode(value)
  if (isNoted(before)) node.comment = before.comment
  document.setIn(path, node)
}

function isNoted(node: unknown): node is { comment: string } {
  return typeof node === 'object' && node !== null && 'comment' in node && typeof node.comment === 'string'
}

/** The map that a setting stands in; made where it is missing or empty (`transport:`). */
function sectionOf(document: Document, path: readonly string[]): YAMLMap {
  let map = mapOf(document.contents)
  for (const word of path.slice(0, -1)) {
    const below: unknown = map.get(word, true)
    const next = isMap(below) ? below : new YAMLMap(document.schema)
    if (next !== below) map.set(word, next)
    map = next
  }
  return map
}

/** Moves every setting to the place of its own name, with the comments on it. */
function nest(document: Document, { given }: ConfigText): void {
  for (const [name, { path }] of given) {
    const now = name.split('.')
    if (path.join('\n') === now.join('\n')) continue
    const pair = take(sectionOf(document, path), path.at(-1))
    if (pair === undefined || !isScalar(pair.key)) continue
    pair.key.value = now.at(-1)
    sectionOf(document, now).items.push(pair)
  }
}

function take(map: YAMLMap, word: string | undefined): Pair | undefined {
  const at = map.items.findIndex(({ key }) => isScalar(key) && key.value === word)
  return at < 0 ? undefined : map.items.splice(at, 1)[0]
}

function mapOf(contents: unknown): YAMLMap {
  if (isMap(contents)) return contents
  throw new ErrandError('INTERNAL', 'a document of settings without settings')
}
