/** `errand config`: the settings of a home, through the node's own schema. A node that runs reads them at its next start. */
import { existsSync } from 'node:fs'
import { socketPathOf } from '../../base/paths.ts'
import type { Context } from '../context.ts'
import { clean } from '../render.ts'
import { loadNode } from './node.ts'

interface Setting {
  readonly name: string
  readonly value: unknown
  readonly where: string
  readonly doc: string
}

const WIDEST_VALUE = 32

export async function list(context: Context): Promise<number> {
  const { listSettings } = await loadNode()
  const settings = await listSettings(context.home, process.env)
  context.print(settings, () => table(settings))
  return 0
}

export async function get(context: Context, name: string): Promise<number> {
  const { getSetting } = await loadNode()
  const setting = await getSetting(context.home, name, process.env)
  context.print(setting, () => said(setting.value))
  return 0
}

export async function set(context: Context, name: string, value: string): Promise<number> {
  const { typeSetting } = await loadNode()
  const setting = await typeSetting(context.home, name, value)
  context.print(setting, () => context.tick(`${setting.name} = ${said(setting.value)}  ${setting.where}`))
  for (const gone of setting.gone) context.say(`${gone} said the contrary and is gone from the file`)
  if (setting.backup !== undefined) context.say(`the settings are in runtime.yaml now; the file before it is ${setting.backup}`)
  if (existsSync(socketPathOf(context.home))) context.say('a running node takes it up at its next start')
  return 0
}

function table(settings: readonly Setting[]): string {
  const width = (of: (one: Setting) => string, most: number): number => Math.min(most, Math.max(...settings.map((one) => of(one).length)))
  const [names, values, places] = [width(({ name }) => name, 40), width(({ value }) => said(value), WIDEST_VALUE), width(({ where }) => where, 32)]
  return settings
    .map(({ name, value, where, doc }) => `${name.padEnd(names)}  ${said(value).padEnd(values)}  ${where.padEnd(places)}  ${doc.replaceAll('`', '')}`)
    .join('\n')
}

function said(value: unknown): string {
  return value === null ? '-' : clean(typeof value === 'string' ? value : JSON.stringify(value))
}
