/** `errand policy`: reads the files of policies as a node would, says what is wrong with them, tries their examples, shows what holds. Asks no node. */
import { existsSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { sayDuration } from '../base/duration.ts'
import { ErrandError } from '../base/errors.ts'
import { lookAround } from '../exec/look.ts'
import { sayItem } from '../policy/commands.ts'
import { type Tried, tryExamples } from '../policy/examples.ts'
import type { Layer } from '../policy/judge.ts'
import { POLICY_FILE } from '../policy/keeper.ts'
import { MESH_NAME } from '../policy/mesh.ts'
import { type Fault, type PolicyRead, readPolicy } from '../policy/read.ts'
import type { Policy, PolicyKind } from '../policy/schema.ts'
import { readSource } from '../policy/source.ts'
import { Workspaces } from '../policy/workspace.ts'
import { loadConfig } from './config.ts'
import { LAST_FILE, MESH_FILE } from './policy.ts'

export interface PolicyCheckView {
  readonly ok: boolean
  readonly file: string
  readonly kind: PolicyKind
  /** null: it cannot be read, or there is none. */
  readonly hash: string | null
  readonly faults: readonly Fault[]
}

export interface PolicyTestView extends PolicyCheckView {
  readonly examples: readonly Tried[]
}

export interface RuleView {
  /** Dotted, like `exec.maxTimeout`. */
  readonly rule: string
  readonly value: string
  /** `policy.yaml line 3`, `runtime.yaml`. */
  readonly from: string
}

export interface PolicyShowView {
  /** Why the file is not what holds; null when it is. */
  readonly problem: string | null
  /** Nothing is done for other devices. */
  readonly closed: boolean
  readonly layers: readonly { readonly name: string; readonly file: string; readonly hash: string }[]
  readonly rules: readonly RuleView[]
}

const WORKSPACE = join('.errand', 'security.yaml')
const owner = { uid: process.getuid?.() ?? 0 }

/** @param file the home's own, when it is left out. @throws NO_POLICY when there is none. */
export function checkPolicy(home: string, file?: string): PolicyCheckView {
  const { path, kind, read } = readAt(home, file)
  return { ok: read.ok, file: path, kind, hash: read.ok ? read.hash : null, faults: read.ok ? [] : read.faults }
}

/** Asks it what its own examples say. The programs and directories in them are looked up on this machine. @throws NO_POLICY */
export function testPolicy(home: string, file?: string): PolicyTestView {
  const { path, kind, read } = readAt(home, file)
  if (!read.ok) return { ok: false, file: path, kind, hash: null, faults: read.faults, examples: [] }
  const root = kind === 'workspace' ? dirname(dirname(path)) : null
  const examples = tryExamples({ name: basename(path), policy: read.policy, hash: read.hash, lineOf: read.lineOf, root }, lookAround({ path: pathOf(home) }))
  return { ok: examples.every(({ ok }) => ok), file: path, kind, hash: read.hash, faults: [], examples }
}

/** What holds for a command in `cwd`, and where each rule comes from. */
export function showPolicy(home: string, cwd?: string): PolicyShowView {
  const own = ownLayer(home)
  const mesh = meshLayer(home)
  const real = cwd === undefined ? null : lookAround().directory(resolve(cwd))
  if (cwd !== undefined && real === null) throw new ErrandError('BAD_CWD', `there is no directory ${cwd}`, { hint: 'name one of this device' })
  const found = real === null ? ({ ok: true, layers: [] } as const) : new Workspaces(owner).above(real)
  const spoilt = found.ok ? undefined : `${found.path}: ${found.why}; nothing runs below it`
  const layers = [...own.layers, ...mesh, ...(found.ok ? found.layers : [])]
  return {
    problem: own.problem ?? spoilt ?? null,
    closed: own.closed,
    layers: layers.map(({ name, root, hash }) => ({
      name,
      file: root === null ? join(home, name === POLICY_FILE ? POLICY_FILE : join('run', MESH_FILE)) : join(root, WORKSPACE),
      hash,
    })),
    rules: [...layers.flatMap(rulesOf), ...defaultsOf(home, layers)],
  }
}

function readAt(home: string, file: string | undefined): { readonly path: string; readonly kind: PolicyKind; readonly read: PolicyRead } {
  const path = file === undefined ? join(home, POLICY_FILE) : resolve(file)
  const kind = path.endsWith(`/${WORKSPACE}`) ? 'workspace' : 'device'
  const source = readSource(path, owner)
  if (source.t === 'none') {
    const hint = `write one: docs/policy.md has an example; without ${POLICY_FILE} nothing is narrowed`
    throw new ErrandError('NO_POLICY', `there is no ${path}`, { hint })
  }
  if (source.t === 'text') return { path, kind, read: readPolicy(source.text, kind) }
  return { path, kind, read: { ok: false, faults: [{ line: 1, column: 1, field: '', message: `${source.why}: ${source.hint}` }] } }
}

/** As the node that runs here, or would start here, has it. */
function ownLayer(home: string): { readonly layers: readonly Layer[]; readonly problem: string | undefined; readonly closed: boolean } {
  const path = join(home, POLICY_FILE)
  if (!existsSync(path) && readSource(path, owner).t === 'none') return { layers: [], problem: undefined, closed: false }
  const { read } = readAt(home, undefined)
  if (read.ok) return { layers: [layerOf(read)], problem: undefined, closed: false }
  const [fault] = read.faults
  const lastPath = join(home, 'run', LAST_FILE)
  const last = existsSync(lastPath) ? readAt(home, lastPath).read : undefined
  const why = `${POLICY_FILE}:${fault?.line}:${fault?.column} ${fault?.message}`
  if (last?.ok === true) return { layers: [layerOf(last)], problem: `${why}; the last good one holds`, closed: false }
  return { layers: [], problem: `${why}; nothing is done for other devices until it is mended`, closed: true }
}

/** As the node was told last. */
function meshLayer(home: string): readonly Layer[] {
  const path = join(home, 'run', MESH_FILE)
  const { read } = existsSync(path) ? readAt(home, path) : { read: undefined }
  return read?.ok === true ? [{ ...layerOf(read), name: MESH_NAME }] : []
}

function layerOf({ policy, hash, lineOf }: PolicyRead & { ok: true }): Layer {
  return { name: POLICY_FILE, policy, hash, lineOf, root: null }
}

function rulesOf({ name, policy, lineOf }: Layer): RuleView[] {
  const { examples: _, version: __, ...rules } = policy
  return leavesOf(rules, []).map(({ path, value }) => ({ rule: path.join('.'), value: sayValue(path, value), from: `${name} line ${lineOf(path)}` }))
}

function leavesOf(value: unknown, path: readonly string[]): { readonly path: readonly string[]; readonly value: unknown }[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value === undefined ? [] : [{ path, value }]
  return Object.entries(value).flatMap(([name, below]) => leavesOf(below, [...path, name]))
}

const DURATIONS: ReadonlySet<string> = new Set(['maxTimeout', 'queueTimeout'])

function sayValue(path: readonly string[], value: unknown): string {
  if (typeof value === 'number' && DURATIONS.has(path.at(-1) ?? '')) return sayDuration(value)
  if (!Array.isArray(value)) return String(value)
  const words = value.map((one: unknown) => (Array.isArray(one) ? sayItem(one as [string]) : String(one)))
  return words.length === 0 ? 'none' : words.join(', ')
}

/** What the configuration says of rates where no policy does. */
function defaultsOf(home: string, layers: readonly Layer[]): RuleView[] {
  const { requestsPerMinute, maxConcurrentTasks, queueSize, queueTimeoutMs } = loadConfig(home).deployment
  const rows: readonly (readonly [keyof NonNullable<Policy['rateLimit']>, string, string])[] = [
    ['requestsPerMinute', String(requestsPerMinute), 'requestsPerMinute'],
    ['concurrentLimit', String(maxConcurrentTasks), 'maxConcurrentTasks'],
    ['queueSize', String(queueSize), 'queueSize'],
    ['queueTimeout', sayDuration(queueTimeoutMs), 'queueTimeout'],
  ]
  const isSaid = (name: (typeof rows)[number][0]): boolean => layers.some(({ policy }) => policy.rateLimit?.[name] !== undefined)
  return rows.filter(([name]) => !isSaid(name)).map(([name, value, key]) => ({ rule: `rateLimit.${name}`, value, from: `deployment.${key} of the settings` }))
}

function pathOf(home: string): readonly string[] {
  return existsSync(home) ? loadConfig(home).exec.path : []
}
