/**
 * What rules over the file: options of `errand up` and the environment. A running node writes down which it was started with, in
 * run/overrides.json, so that `errand config list` can say where its values come from; the node itself never reads that file.
 */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import type { Override } from './config-layers.ts'
import { NAMES, settingOf } from './config-schema.ts'
import { makePrivateDirectory, writeWhole } from './home.ts'

/** The options of `errand up` that are settings. */
export interface Flags {
  readonly name?: string
  readonly listen?: readonly string[]
  readonly bootstrap?: readonly string[]
  readonly labels?: Readonly<Record<string, string>>
  readonly preset?: 'local' | 'lan' | 'internet'
  /** HOST:PORT. */
  readonly api?: string
}

const FLAG_OF = {
  name: { name: 'name', where: '--name' },
  listen: { name: 'transport.listen', where: '--listen' },
  bootstrap: { name: 'transport.bootstrap', where: '--bootstrap' },
  labels: { name: 'labels', where: '--label' },
  preset: { name: 'preset', where: '--preset' },
  api: { name: 'transport.api.listen', where: '--api' },
} as const satisfies Record<keyof Flags, { name: Override['name']; where: string }>

export function overridesOf(flags: Flags, env: NodeJS.ProcessEnv): Override[] {
  const given = Object.entries(FLAG_OF).flatMap(([flag, { name, where }]): Override[] => {
    const value = Object.entries(flags).find(([key]) => key === flag)?.[1]
    return value === undefined ? [] : [{ name, value, from: 'flag', where }]
  })
  return [...given, ...ofEnvironment(env)]
}

export function ofEnvironment(env: NodeJS.ProcessEnv): Override[] {
  return NAMES.flatMap((name): Override[] => {
    const { env: where } = settingOf(name)
    const value = where === undefined ? undefined : env[where]
    return where === undefined || value === undefined || value === '' ? [] : [{ name, value, from: 'environment', where }]
  })
}

const Recorded = v.array(
  v.strictObject({ name: v.picklist(NAMES), value: v.unknown(), from: v.picklist(['flag', 'environment']), where: v.pipe(v.string(), v.maxLength(64)) }),
)

function fileOf(home: string): string {
  return join(home, 'run', 'overrides.json')
}

export function recordOverrides(home: string, overrides: readonly Override[]): void {
  makePrivateDirectory(join(home, 'run'))
  writeWhole(fileOf(home), Buffer.from(JSON.stringify(overrides)))
}

/** The node stopped, or its preset was changed from outside, which is a later word than its option. */
export function forgetOverrides(home: string, name?: Override['name']): void {
  if (name === undefined) return rmSync(fileOf(home), { force: true })
  const left = recordedOverrides(home).filter((one) => one.name !== name)
  recordOverrides(home, left)
}

/** What the node that runs on this home was started with; none when nothing readable is there. */
export function recordedOverrides(home: string): Override[] {
  try {
    const seen = v.safeParse(Recorded, JSON.parse(readFileSync(fileOf(home), 'utf8')))
    return seen.success ? seen.output : []
  } catch {
    return []
  }
}
