/** `errand config`: every setting with its value and where that comes from, and a value as a person types it. */
import { parseDocument } from 'yaml'
import { ErrandError } from '../base/errors.ts'
import { socketPathOf } from '../base/paths.ts'
import { loadLayers } from './config.ts'
import { type Saved, saveSetting } from './config-file.ts'
import { type From, type Override, settingNamed } from './config-layers.ts'
import { ofEnvironment, recordedOverrides } from './config-overrides.ts'
import { NAMES, type SettingName, settingOf } from './config-schema.ts'
import { answers } from './running.ts'

export interface SettingView {
  readonly name: string
  /** As it would stand in the file; null where nothing is set and nothing is the default. */
  readonly value: unknown
  readonly from: From
  /** `default`, `runtime.yaml line 3`, `--preset`, `ERRAND_LOG`, `follows preset`. */
  readonly where: string
  readonly line: number | null
  readonly default: unknown
  readonly unit: string
  readonly bound: string
  readonly doc: string
}

/** Every setting in force: of the node that runs, else of one that would start here. @throws what reading the file throws */
export async function listSettings(home: string, env: NodeJS.ProcessEnv): Promise<SettingView[]> {
  const isRunning = await answers(socketPathOf(home))
  return viewsOf(home, isRunning ? recordedOverrides(home) : ofEnvironment(env))
}

function viewsOf(home: string, overrides: readonly Override[]): SettingView[] {
  const { sources } = loadLayers(home, overrides)
  return NAMES.flatMap((name) => {
    const source = sources.get(name)
    const { fallback, unit, bound, doc } = settingOf(name)
    if (source === undefined) return []
    const { from, where, written, line } = source
    return [{ name, value: written ?? null, from, where, line: line ?? null, default: fallback ?? null, unit, bound, doc }]
  })
}

/** @throws BAD_SETTING for a name that is none. */
export async function getSetting(home: string, word: string, env: NodeJS.ProcessEnv): Promise<SettingView> {
  const name = settingNamed(word)
  return only(await listSettings(home, env), name)
}

/** Sets a value as a person types it: YAML, and for lists also a bare word; `null` goes back to the default. @returns what stands in the file now. @throws BAD_SETTING */
export function typeSetting(home: string, word: string, text: string): SettingView & Omit<Saved, 'name'> {
  const name = settingNamed(word)
  const { name: _, ...saved } = saveSetting(home, name, typed(name, text))
  return { ...only(viewsOf(home, []), name), ...saved }
}

function only(views: readonly SettingView[], name: SettingName): SettingView {
  const found = views.find((one) => one.name === name)
  if (found === undefined) throw new ErrandError('INTERNAL', `the setting ${name} is not listed`)
  return found
}

function typed(name: SettingName, text: string): unknown {
  const document = parseDocument(text)
  const plain: unknown = document.errors.length > 0 ? text : document.toJS()
  const { fallback } = settingOf(name)
  if (Array.isArray(fallback) && plain !== null && !Array.isArray(plain)) return [plain]
  return plain
}
