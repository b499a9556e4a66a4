/** Says in words why a policy statement refuses: the value that was declared and what it would have to be. */

import { sayEnd } from '../base/address.ts'
import { type ExecItem, execItemsOf } from './items.ts'
import { NET_MODES } from './net-args.ts'
import { netItemsOf, sayNetItem } from './net-items.ts'
import { failing, type Statement } from './policy.ts'
import { sayItem, sayStatement } from './say.ts'
import { parseSelector, select, UNRESOLVED } from './selector.ts'
import type { AnyRecord } from './token.ts'
import { sayValue, sayWord } from './words.ts'

const MAX_SHOWN = 120

/** @param statement one that does not hold for these arguments. */
export function explain(statement: Statement, args: AnyRecord): string {
  const items = execItemsOf(statement)
  if (items !== undefined) return explainCommand(items, args)
  const targets = explainTarget(statement, args)
  if (targets !== undefined) return targets
  const [op, first, second] = statement
  if (op === 'and') {
    const culprit = failing(first, args)
    return culprit === undefined ? sayStatement(statement) : explain(culprit, args)
  }
  if (typeof first !== 'string') return `the grant demands: ${sayStatement(statement)}`
  const name = first.replace(/^\./, '')
  const value = valueAt(first, args)
  if (value === UNRESOLVED) return `${name} is not declared, and the grant bounds it`
  if (op === '==') return `${name} is ${show(value)}, not ${show(second)}`
  return `${name} is ${show(value)}, and the grant demands: ${sayStatement(statement)}`
}

/** Of what is declared for `/net/forward`. */
function explainTarget(statement: Statement, { mode: said, host, port }: AnyRecord): string | undefined {
  const mode = NET_MODES.find((one) => one === said)
  const items = mode === undefined ? undefined : netItemsOf(statement, mode)
  if (items === undefined || typeof host !== 'string' || typeof port !== 'number') return undefined
  return `${show(sayEnd(host, port))} is not in {${items.map(sayNetItem).join(', ')}}`
}

function explainCommand(items: readonly ExecItem[], args: AnyRecord): string {
  const { exe } = args
  const same = items.filter(([name]) => name === exe)
  if (same.length === 0) return `exe ${show(exe)} is not in {${[...new Set(items.map(([name]) => sayWord(name)))].join(', ')}}`
  const argv = Array.isArray(args['argv']) ? args['argv'].map(String) : []
  return `${show([exe, ...argv].join(' '))} is not in {${same.map((item) => sayItem(item)).join(', ')}}`
}

function valueAt(selector: string, args: AnyRecord): unknown {
  const parsed = parseSelector(selector)
  return parsed === undefined ? UNRESOLVED : select(parsed, args, () => true)
}

/** A value as JSON, cut: what a peer sends must not flood a message. */
export function show(value: unknown): string {
  const text = sayValue(value)
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`
}
