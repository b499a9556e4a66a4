/**
 * The commands of an `exec:` right as data, both ways: what a person writes, and the policy it stands for.
 * Reading a policy back compiles it again and compares, so that words never say less than the policy does.
 */
import * as v from 'valibot'
import { encode, sameBytes } from '../../protocols/wire.ts'
import type { Policy, Statement } from './policy.ts'

/** An executable, and what its arguments must begin with. Further arguments are allowed. */
export type ExecItem = readonly [exe: string, ...argv: string[]]

export interface ExecRight {
  /** '*': any command. */
  readonly items: readonly ExecItem[] | '*'
  /** Names of environment variables that may be set. */
  readonly env: readonly string[] | '*'
  /** Users it may run as; '' is the node's own. */
  readonly users: readonly string[] | '*'
  /** This directory or below. Absent: anywhere. */
  readonly cwd?: string
  /** Milliseconds; a timeout must then be declared, and be no longer. */
  readonly timeoutMs?: number
  /** Bytes of output; a bound must then be declared, and be no larger. */
  readonly maxOutputBytes?: number
  readonly tty: boolean
}

export function compileExec({ items, env, users, cwd, timeoutMs, maxOutputBytes, tty }: ExecRight): Policy {
  return [
    ...(items === '*' ? [] : [oneOf(items.map(itemStatement))]),
    ...(env === '*' ? [] : [env.length === 0 ? is('.env', []) : (['all', '.env', oneOf(env.map((name) => is('.', name)))] as const)]),
    ...(users === '*' ? [] : [oneOf(users.map((user) => is('.user', user)))]),
    ...(cwd === undefined ? [] : [within(cwd)]),
    ...(timeoutMs === undefined ? [] : [atMost('.timeoutMs', timeoutMs)]),
    ...(maxOutputBytes === undefined ? [] : [atMost('.maxOutputBytes', maxOutputBytes)]),
    ...(tty ? [] : [is('.tty', false)]),
  ]
}

/** @returns the right that compiles to exactly this policy, or undefined when there is none. */
export function readExec(policy: Policy): ExecRight | undefined {
  const read: Draft = { items: '*', env: '*', users: '*', tty: true }
  for (const statement of policy) readInto(read, statement)
  return sameBytes(encode(compileExec(read)), encode(policy)) ? read : undefined
}

/** The commands that a statement allows, when it is one that `exec:` compiles to. */
export function execItemsOf(statement: Statement): readonly ExecItem[] | undefined {
  const alternatives = statement[0] === 'or' ? statement[1] : [statement]
  const items: ExecItem[] = []
  for (const alternative of alternatives) {
    const item = itemOf(alternative)
    if (item === undefined) return undefined
    items.push(item)
  }
  return items.length === 0 ? undefined : items
}

function itemStatement([exe, ...argv]: ExecItem): Statement {
  return argv.length === 0 ? is('.exe', exe) : ['and', [is('.exe', exe), is(`.argv[0:${argv.length}]`, argv)]]
}

function itemOf(statement: Statement): ExecItem | undefined {
  const parts = statement[0] === 'and' ? statement[1] : [statement]
  const [exe, argv, ...more] = parts
  const name = exe === undefined ? undefined : textIn(exe, '.exe')
  if (name === undefined || more.length > 0) return undefined
  if (argv === undefined) return statement[0] === 'and' ? undefined : [name]
  const prefix = argv[0] === '==' && v.is(Words, argv[2]) ? argv[2] : undefined
  return prefix === undefined || prefix.length === 0 || argv[1] !== `.argv[0:${prefix.length}]` ? undefined : [name, ...prefix]
}

const Words = v.array(v.string())

type Draft = { -readonly [K in keyof ExecRight]: ExecRight[K] }

/** Guesses what a statement came from; `readExec` compiles the guess and compares, so a wrong guess is only a right that is not read back. */
function readInto(read: Draft, statement: Statement): void {
  const items = execItemsOf(statement)
  const users = textsIn(statement, '.user')
  if (items !== undefined) read.items = items
  else if (users !== undefined) read.users = users
  else readBound(read, statement)
}

function readBound(read: Draft, statement: Statement): void {
  switch (statement[0]) {
    case '==':
      if (statement[1] === '.env') read.env = []
      if (statement[1] === '.tty') read.tty = false
      return
    case 'all':
      read.env = textsIn(statement[2], '.') ?? []
      return
    case 'like':
      read.cwd = '/'
      return
    case 'or': {
      const [exactly] = statement[1]
      read.cwd = (exactly === undefined ? undefined : textIn(exactly, '.cwd')) ?? '/'
      return
    }
    case 'and': {
      const [, most] = statement[1]
      if (most?.[0] === '<=' && most[1] === '.timeoutMs') read.timeoutMs = most[2]
      if (most?.[0] === '<=' && most[1] === '.maxOutputBytes') read.maxOutputBytes = most[2]
    }
  }
}

function within(directory: string): Statement {
  const below: Statement = ['like', '.cwd', `${directory === '/' ? '' : directory.replaceAll('*', '\\*')}/*`]
  return directory === '/' ? below : ['or', [is('.cwd', directory), below]]
}

/** Declared, since 0 is none, and no more than that. */
function atMost(selector: string, most: number): Statement {
  return [
    'and',
    [
      ['>', selector, 0],
      ['<=', selector, most],
    ],
  ]
}

function is(selector: string, value: unknown): Statement {
  return ['==', selector, value]
}

function oneOf(statements: readonly Statement[]): Statement {
  const [only, ...more] = statements
  return only !== undefined && more.length === 0 ? only : ['or', statements]
}

function textIn(statement: Statement, selector: string): string | undefined {
  const [op, where, value] = statement
  return op === '==' && where === selector && typeof value === 'string' ? value : undefined
}

function textsIn(statement: Statement, selector: string): string[] | undefined {
  const texts: string[] = []
  for (const alternative of statement[0] === 'or' ? statement[1] : [statement]) {
    const text = textIn(alternative, selector)
    if (text === undefined) return undefined
    texts.push(text)
  }
  return texts.length === 0 ? undefined : texts
}
