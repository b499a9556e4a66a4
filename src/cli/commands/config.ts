/** `errand config`: the settings in config.yaml, through the node's own schema. A node that runs reads them at its next start. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Context } from '../context.ts'
import { clean } from '../render.ts'
import { loadNode } from './node.ts'

interface Setting {
  readonly name: string
  readonly value: unknown
  readonly from: string
  readonly doc: string
}

export async function list(context: Context): Promise<number> {
  const { listSettings } = await loadNode()
  const settings = listSettings(fileOf(context))
  context.print(settings, () => settings.map(line).join('\n'))
  return 0
}

export async function get(context: Context, name: string): Promise<number> {
  const { getSetting } = await loadNode()
  const setting = getSetting(fileOf(context), name)
  context.print(setting, () => said(setting.value))
  return 0
}

export async function set(context: Context, name: string, value: string): Promise<number> {
  const { typeSetting } = await loadNode()
  const setting = typeSetting(fileOf(context), name, value)
  context.print(setting, () => context.tick(`${setting.name} = ${said(setting.value)}`))
  if (existsSync(join(context.home, 'errand.sock'))) context.say('a running node takes it up at its next start')
  return 0
}

function fileOf(context: Context): string {
  return join(context.home, 'config.yaml')
}

function line({ name, value, from, doc }: Setting): string {
  return `${name.padEnd(12)} ${said(value).padEnd(24)} ${from.padEnd(8)} ${doc}`
}

function said(value: unknown): string {
  return value === null ? '-' : clean(typeof value === 'string' ? value : JSON.stringify(value))
}
