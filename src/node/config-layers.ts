/** Lays the sources of settings over each other: defaults, the file, the environment, the command line. Says of every value who gave it. */
import * as v from 'valibot'
import { asErrand, ErrandError } from '../base/errors.ts'
import { contradiction, reach } from './config-modes.ts'
import { type ConfigText, damaged, type Given } from './config-read.ts'
import { canonical, NAMES, type SettingName, type Settings, settingOf, unknownSetting } from './config-schema.ts'

const FROM = ['default', 'file', 'environment', 'flag'] as const
export type From = (typeof FROM)[number]

/** One value that rules over the file for as long as the node runs. */
export interface Override {
  readonly name: SettingName
  /** As it would stand in the file. */
  readonly value: unknown
  readonly from: 'environment' | 'flag'
  /** `--preset`, `ERRAND_LOG`. */
  readonly where: string
}

export interface Source {
  readonly from: From
  readonly where: string
  /** As it would stand in the file; undefined where nothing is set and nothing is the default. */
  readonly written: unknown
  readonly line?: number
}

export interface Layers {
  readonly settings: Settings
  readonly sources: ReadonlyMap<SettingName, Source>
}

/**
 * @param file where it lies, for what is said of it; `name` as it is called there.
 * @throws CONFIG_DAMAGED for what stands in the file, BAD_SETTING for an override.
 */
export function layered(text: ConfigText, file: { readonly path: string; readonly name: string }, overrides: readonly Override[]): Layers {
  const sources = new Map(NAMES.map((name) => [name, sourceOf(name, text.given.get(name), { file: file.name, overrides })]))
  const given = settingsOf(sources)
  const rank = (name: SettingName): number => FROM.indexOf(sources.get(name)?.from ?? 'default')
  const wrong = contradiction(given, rank)
  if (wrong !== undefined) {
    const at = wrong.names.map((name) => sources.get(name)).sort((a, b) => FROM.indexOf(b?.from ?? 'default') - FROM.indexOf(a?.from ?? 'default'))[0]
    if (at?.from === 'file') throw damaged(file.path, `line ${at.line ?? '?'}: ${wrong.why}`)
    throw badSetting(at?.where ?? wrong.names[0], wrong.why)
  }
  const settled = reach(given, rank)
  follow(sources, given, settled)
  return { settings: { ...given, ...settled }, sources }
}

function sourceOf(name: SettingName, given: Given | undefined, o: { file: string; overrides: readonly Override[] }): Source {
  const { fallback, follows } = settingOf(name)
  const base: Source =
    given === undefined
      ? { from: 'default', where: follows === undefined || fallback !== undefined ? 'default' : `follows ${follows}`, written: fallback }
      : { from: 'file', where: `${o.file} line ${given.line}`, written: given.value, line: given.line }
  return o.overrides
    .filter((one) => one.name === name)
    .sort((a, b) => FROM.indexOf(a.from) - FROM.indexOf(b.from))
    .reduce<Source>((below, { from, where, value }) => ({ from, where, written: over(below.written, value) }), base)
}

/** Labels of the command line come to those of the file; everything else is replaced. */
function over(below: unknown, value: unknown): unknown {
  return isRecord(below) && isRecord(value) ? { ...below, ...value } : value
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function settingsOf(sources: ReadonlyMap<SettingName, Source>): Settings {
  const entries = [...sources].map(([name, { written, where }]) => {
    if (written === undefined) return [name, undefined]
    const seen = v.safeParse(settingOf(name).schema, written)
    if (!seen.success) throw badSetting(where, seen.issues[0].message)
    return [name, seen.output]
  })
  return Object.fromEntries(entries) as Settings
}

/** `mode` and `preset` say what they came to, also where one of them had no word in it. */
function follow(sources: Map<SettingName, Source>, given: Settings, settled: Pick<Settings, 'mode' | 'preset'>): void {
  if (settled.mode !== given.mode) {
    const leader = given['transport.listen'].length > 0 ? 'transport.listen' : 'preset'
    sources.set('mode', { from: 'default', where: `follows ${leader}`, written: settled.mode })
  }
  if (settled.preset !== given.preset) sources.set('preset', { from: 'default', where: 'follows mode', written: settled.preset })
}

export function badSetting(what: string, why: string, hint = 'errand config list shows the settings'): ErrandError {
  return new ErrandError('BAD_SETTING', `${what}: ${why}`, { hint })
}

/** A name as a person gives it, which may be an older one. @throws BAD_SETTING with the nearest one that is. */
export function settingNamed(word: string): SettingName {
  const name = canonical(word)
  if (name !== undefined) return name
  throw new ErrandError('BAD_SETTING', unknownSetting(word), { hint: 'errand config list shows the settings' })
}

/** What is wrong with a file that we are about to write is a fault of the value, not of the file. */
export function asBadSetting(thrown: unknown, path: string): ErrandError {
  const { code, message, hint } = asErrand(thrown)
  if (code !== 'CONFIG_DAMAGED') return asErrand(thrown)
  return new ErrandError('BAD_SETTING', message.replace(`${path}: `, '').replace(/^line \d+: /, ''), { ...(hint === undefined ? {} : { hint }), cause: thrown })
}
