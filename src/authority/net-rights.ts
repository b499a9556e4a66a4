/** `forward: localhost:80, 10.0.0.0/8:443; rate 10/m` and `listen: 8080`: parsed from what a person types, and said in the same words. */
import { ErrandError } from '../base/errors.ts'
import type { NetMode } from './net-args.ts'
import { compileNet, isWithin, type NetItem, type NetRight, parseNetItem, readNet, sayNetItem } from './net-items.ts'
import type { Policy } from './policy.ts'
import { parseRate, type Rate } from './rate.ts'
import { split, type Token, tokensOf } from './words.ts'

export const NET_COMMAND = '/net/forward'

/** What each mode is called in a right. */
const WORD = { connect: 'forward', listen: 'listen' } as const satisfies Record<NetMode, string>
const MODE = { forward: 'connect', listen: 'listen' } as const

/** 16: the longest of them together stay far below what a policy may hold. */
const MAX_ITEMS = 16
const HINTS = {
  connect: "write for example 'forward: localhost:80, 10.0.0.0/8:443, *.internal:5432' or 'forward: *'",
  listen: "write for example 'listen: 8080', 'listen: 0.0.0.0:8000-8999' or 'listen: *'",
} as const satisfies Record<NetMode, string>

/** @returns undefined where it is no right of this kind. @throws ErrandError BAD_RIGHT, with a hint. */
export function parseNetRight(said: string): { readonly cmd: string; readonly pol: Policy; readonly rate?: Rate } | undefined {
  const [, word, rest = ''] = /^(forward|listen)\s*:(.*)$/s.exec(said) ?? []
  if (word !== 'forward' && word !== 'listen') return undefined
  const mode = MODE[word]
  const tokens = tokensOf(rest)
  if (tokens === undefined) throw bad(`cannot read ${JSON.stringify(rest.trim().slice(0, 80))}`, HINTS[mode])
  const [targets, ...clauses] = split(tokens, ';')
  const items = split(targets ?? [], ',').map((part) => itemOf(part, mode))
  if (items.length > MAX_ITEMS) throw bad(`${items.length} targets in one right`, `at most ${MAX_ITEMS}; say the others in a second right`)
  const rate = rateIn(clauses)
  return { cmd: NET_COMMAND, pol: compileNet({ mode, items: once(items) }), ...(rate === undefined ? {} : { rate }) }
}

/** @returns the words of a policy that such a right compiles to. */
export function sayNet(policy: Policy): string | undefined {
  const right = readNet(policy)
  return right && `${WORD[right.mode]}: ${right.items.map(sayNetItem).join(', ')}`
}

/** The first target of `child` that `parent` does not hold. */
export function netBeyond(child: NetRight, parent: NetRight): string | undefined {
  const held = `it has {${parent.items.map(sayNetItem).join(', ')}}`
  if (child.mode !== parent.mode) return `to ${child.mode}, and it is to ${parent.mode}`
  const beyond = child.items.find((item) => !parent.items.some((outer) => isWithin(item, outer, child.mode)))
  return beyond && `${sayNetItem(beyond)}, and ${held}`
}

function itemOf(part: readonly Token[], mode: NetMode): NetItem {
  const [only, ...more] = part
  const text = more.length === 0 && only?.t === 'word' ? only.text : undefined
  const item = text === undefined ? undefined : parseNetItem(text, mode)
  if (item !== undefined) return item
  const shown = part.map((token) => (token.t === 'word' ? token.text : token.t)).join(' ')
  throw bad(`${JSON.stringify(shown.slice(0, 80))} is no HOST:PORT that can be ${mode === 'connect' ? 'connected to' : 'listened on'}`, HINTS[mode])
}

function once(items: readonly NetItem[]): readonly NetItem[] {
  return items.filter((item, i) => items.findIndex((other) => sayNetItem(other) === sayNetItem(item)) === i)
}

function rateIn(clauses: readonly (readonly Token[])[]): Rate | undefined {
  const [clause, ...more] = clauses
  if (clause === undefined) return undefined
  const [name, ...words] = clause.map((token) => (token.t === 'word' && !token.quoted ? token.text : ''))
  if (name === 'approval') throw bad('"approval" is for commands: a connection cannot wait for somebody', 'leave it out, and say for how long with --for')
  const rate = name === 'rate' && more.length === 0 ? parseRate(words.join(' ')) : undefined
  if (rate !== undefined) return rate
  throw bad(
    `not a bound: ${JSON.stringify(
      clause
        .map((token) => (token.t === 'word' ? token.text : token.t))
        .join(' ')
        .slice(0, 80),
    )}`,
    'after ";" comes rate, like rate 10/m',
  )
}

function bad(message: string, hint: string): ErrandError {
  return new ErrandError('BAD_RIGHT', message, { hint })
}
