/**
 * Reads the text of a policy, strictly: one document of plain YAML 1.2, nothing unknown, and every fault with its line. What would make
 * reading it costly is refused before it is parsed.
 */
import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml'
import { nearestOf } from '../base/nearest.ts'
import { costlyIn } from './costly.ts'
import { Conditions, contradictionIn, DevicePolicy, Example, ExecPolicy, POLICY, type Policy, type PolicyKind, RateLimit, WorkspacePolicy } from './schema.ts'

/** What is wrong with a policy, and where: lines and columns count from 1. */
export interface Fault {
  readonly line: number
  readonly column: number
  /** Dotted; '' is the whole of it. */
  readonly field: string
  readonly message: string
}

export interface PolicyText {
  readonly policy: Policy
  /** Where a field begins; its parent's place where it has none. */
  readonly lineOf: (path: readonly string[]) => number
  /** Of the bytes, in hex: what the log calls this policy by. */
  readonly hash: string
}

export type PolicyRead = ({ readonly ok: true } & PolicyText) | { readonly ok: false; readonly faults: readonly Fault[] }

interface Place {
  readonly line: number
  readonly column: number
}

const START: Place = { line: 1, column: 1 }
/** An object has these without anybody giving them. */
const NEVER_KEYS: readonly string[] = ['__proto__', 'prototype', 'constructor']
const HASH_CHARS = 16
const MAX_FAULTS = 64
const MAX_MESSAGE_CHARS = 240

export function readPolicy(text: string, kind: PolicyKind): PolicyRead {
  if (Buffer.byteLength(text) > POLICY.maxBytes) return refused(START, `it is longer than ${POLICY.maxBytes / 1_024} KiB`)
  const costly = costlyIn(text)
  if (costly !== undefined) return refused(costly, costly.message)
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, version: '1.2', schema: 'core', strict: true, uniqueKeys: false, prettyErrors: false })
  const broken = [...document.errors, ...document.warnings].map(({ message, pos }) => ({ ...placeAt(lines, pos[0]), field: '', message: oneLine(message) }))
  if (broken.length > 0) return { ok: false, faults: broken.slice(0, MAX_FAULTS) }
  const tree = new Tree(lines)
  const plain = document.contents === null ? {} : tree.plain(document.contents, [])
  if (tree.faults.length > 0) return { ok: false, faults: tree.faults.slice(0, MAX_FAULTS) }
  return judged(plain ?? {}, kind, { tree, text })
}

function judged(plain: unknown, kind: PolicyKind, { tree, text }: { tree: Tree; text: string }): PolicyRead {
  const seen = v.safeParse(kind === 'workspace' ? WorkspacePolicy : DevicePolicy, plain)
  if (!seen.success)
    return {
      ok: false,
      faults: seen.issues
        .slice(0, MAX_FAULTS)
        .map((issue) => faultOf(issue, kind, tree))
        .sort(byPlace),
    }
  const policy: Policy = seen.output
  const contrary = contradictionIn(policy, kind)
  if (contrary !== undefined) return { ok: false, faults: [{ ...tree.place(contrary.path), field: contrary.path.join('.'), message: contrary.message }] }
  const hash = createHash('sha256').update(text).digest('hex').slice(0, HASH_CHARS)
  return { ok: true, policy, hash, lineOf: (path) => tree.place(path).line }
}

/** From YAML nodes to plain values, remembering where each stood. */
class Tree {
  readonly faults: Fault[] = []
  readonly #places = new Map<string, Place>([['', START]])

  constructor(private readonly lines: LineCounter) {}

  place(path: readonly string[]): Place {
    return this.#places.get(path.join('\n')) ?? (path.length === 0 ? START : this.place(path.slice(0, -1)))
  }

  plain(node: unknown, path: readonly string[]): unknown {
    if (isAlias(node)) return this.#refuse(node, path, 'anchors and aliases are not used in a policy: write it out')
    if (isScalar(node) || isMap(node) || isSeq(node)) {
      if (node.anchor !== undefined) return this.#refuse(node, path, 'anchors and aliases are not used in a policy: write it out')
      if (node.tag !== undefined) return this.#refuse(node, path, 'tags are not used in a policy')
    }
    if (isMap(node)) return this.#map(node, path)
    if (isSeq(node)) return node.items.map((item, at) => this.#item(item, [...path, String(at)]))
    return isScalar(node) ? node.value : null
  }

  /** Doubled names are found here: the parser compares each with each, and a file of thousands would cost seconds. */
  #map({ items }: YAMLMap, path: readonly string[]): unknown {
    const entries = new Map<string, unknown>()
    for (const { key, value } of items) {
      const [name, plain] = this.#entry(key, value, path)
      if (entries.has(name) && name !== '') this.#refuse(key, [...path, name], 'is said twice')
      entries.set(name, plain)
    }
    return Object.fromEntries(entries)
  }

  #entry(key: unknown, value: unknown, above: readonly string[]): [string, unknown] {
    if (!isScalar(key) || (typeof key.value !== 'string' && typeof key.value !== 'number')) {
      return ['', this.#refuse(key, above, 'the name of a field is a word')]
    }
    const name = String(key.value)
    const path = [...above, name]
    this.#keep(path, key)
    if (key.anchor !== undefined || key.tag !== undefined) this.#refuse(key, path, 'anchors and tags are not used in a policy')
    if (NEVER_KEYS.includes(name)) return ['', this.#refuse(key, path, `"${name}" is no field`)]
    return [name, this.plain(value, path)]
  }

  #item(node: unknown, path: readonly string[]): unknown {
    this.#keep(path, node)
    return this.plain(node, path)
  }

  #keep(path: readonly string[], node: unknown): void {
    this.#places.set(path.join('\n'), this.#placeOf(node) ?? this.place(path.slice(0, -1)))
  }

  #refuse(node: unknown, path: readonly string[], message: string): undefined {
    this.faults.push({ ...(this.#placeOf(node) ?? this.place(path)), field: path.join('.'), message })
    return undefined
  }

  #placeOf(node: unknown): Place | undefined {
    const from = isNode(node) ? node.range?.[0] : undefined
    return from === undefined ? undefined : placeAt(this.lines, from)
  }
}

function isNode(node: unknown): node is Node {
  return isAlias(node) || isScalar(node) || isMap(node) || isSeq(node)
}

function placeAt(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(1, line), column: Math.max(1, col) }
}

function refused({ line, column }: Place, message: string): PolicyRead {
  return { ok: false, faults: [{ line, column, field: '', message }] }
}

function faultOf(issue: v.BaseIssue<unknown>, kind: PolicyKind, tree: Tree): Fault {
  const path = (issue.path ?? []).map(({ key }) => String(key))
  return { ...tree.place(path), field: path.join('.'), message: saidOf(issue, path, kind) }
}

function saidOf(issue: v.BaseIssue<unknown>, path: readonly string[], kind: PolicyKind): string {
  if (issue.type === 'strict_object') {
    if (issue.expected === 'never') return unknownField(path, kind)
    return issue.expected === 'Object' ? `must be a map of fields, like ${[...keysAt(path, kind)][0] ?? 'a'}: …` : `lacks ${issue.expected}`
  }
  return oneLine(issue.message)
}

function unknownField(path: readonly string[], kind: PolicyKind): string {
  const word = path.at(-1) ?? ''
  const shown = JSON.stringify(word.slice(0, 64))
  if (kind === 'workspace' && path.join('.') === 'rateLimit')
    return 'rateLimit stands in policy.yaml: requests are counted before anybody knows the directory they are for'
  const known = keysAt(path.slice(0, -1), kind)
  const home = SECTIONS.find(([, keys]) => keys.includes(word) && !known.includes(word))
  if (home !== undefined) return `${shown} stands under "${home[0]}:"`
  const near = nearestOf(word, known)
  return `unknown field ${shown}${near === undefined ? `; there are ${known.join(', ')}` : `, did you mean "${near}"?`}`
}

const SECTIONS: readonly (readonly [name: string, keys: readonly string[]])[] = [
  ['exec', Object.keys(ExecPolicy.entries)],
  ['rateLimit', Object.keys(RateLimit.entries)],
]

function keysAt(path: readonly string[], kind: PolicyKind): readonly string[] {
  const [first] = path
  if (first === undefined) return Object.keys(kind === 'workspace' ? WorkspacePolicy.entries : DevicePolicy.entries)
  if (first === 'agentPolicies' || first === 'skillPolicies') return Object.keys(Conditions.entries)
  if (first === 'examples') return Object.keys(Example.entries)
  return SECTIONS.find(([name]) => name === first)?.[1] ?? []
}

function oneLine(message: string): string {
  const [line = ''] = message.split('\n')
  return line.length > MAX_MESSAGE_CHARS ? `${line.slice(0, MAX_MESSAGE_CHARS)}…` : line
}

function byPlace(a: Fault, b: Fault): number {
  return a.line - b.line || a.column - b.column
}
