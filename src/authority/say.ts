/** Rights and policy statements in words. What `parseRight` makes is said as it can be typed; anything else is said in full, never shortened to something that sounds smaller. */
import { saySize } from '../base/size.ts'
import { approvalsIn } from './approval.ts'
import { type ExecItem, type ExecRight, readExec } from './items.ts'
import { isUnbounded, limitsIn, sayLimits } from './limits.ts'
import { NET_COMMAND, sayNet } from './net-rights.ts'
import { commandInWords } from './permissions.ts'
import type { Policy, Statement } from './policy.ts'
import { rateIn, sayRate } from './rate.ts'
import type { AnyRecord } from './token.ts'
import { sayValue, sayWord } from './words.ts'

/** The right to all commands there are and will be. */
export const EVERYTHING = 'everything'

/**
 * @param meta of the delegation, where there is one: it may ask for approvals, or say how often.
 * @returns words for people; `parseRight` takes them back when it can make such a right, and refuses them otherwise.
 */
export function sayRight(command: string, policy: Policy, meta?: AnyRecord): string {
  const approvals = approvalsIn(meta)
  const rate = rateIn(meta)
  const often = rate === undefined ? '' : `; rate ${sayRate(rate)}`
  const limits = limitsIn(meta)
  const held = limits === undefined || isUnbounded(limits) ? '' : `; ${sayLimits(limits)}`
  return `${sayBounds(command, policy)}${held}${often}${approvals === 0 ? '' : approvals === 1 ? '; approval' : `; approval ${approvals}`}`
}

function sayBounds(command: string, policy: Policy): string {
  if (policy.length === 0) return command === '/' ? EVERYTHING : (commandInWords(command) ?? command)
  const exec = command === '/exec/run' ? readExec(policy) : undefined
  const net = command === NET_COMMAND ? sayNet(policy) : undefined
  if (net !== undefined) return net
  return exec === undefined ? `${command} where ${policy.map(sayStatement).join(' and ')}` : sayExec(exec)
}

function sayExec({ items, env, users, cwd, timeoutMs, maxOutputBytes, tty }: ExecRight): string {
  return [
    `exec: ${items === '*' ? '*' : items.map(sayItem).join(', ')}`,
    ...(env === '*' ? ['env *'] : env.length === 0 ? [] : [`env ${env.map(sayWord).join(', ')}`]),
    ...(users === '*' ? ['user *'] : users.length === 1 && users[0] === '' ? [] : [`user ${users.map(sayWord).join(', ')}`]),
    ...(cwd === undefined ? [] : [`cwd ${sayWord(cwd)}`]),
    ...(timeoutMs === undefined ? [] : [`timeout ${sayExactly(timeoutMs)}`]),
    ...(maxOutputBytes === undefined ? [] : [`output ${saySize(maxOutputBytes)}`]),
    ...(tty ? ['tty'] : []),
  ].join('; ')
}

/** One command; the dots say that any further arguments are allowed. */
export function sayItem(item: ExecItem): string {
  return `${item.map(sayWord).join(' ')} …`
}

function sayExactly(ms: number): string {
  for (const [unit, size] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ] as const)
    if (ms % size === 0) return `${ms / size}${unit}`
  return `${ms}ms`
}

export function sayStatement(statement: Statement): string {
  const [op, first, second] = statement
  switch (op) {
    case 'and':
    case 'or':
      return first.length === 0 ? 'nothing more' : `(${first.map(sayStatement).join(` ${op} `)})`
    case 'not':
      return `not ${sayStatement(first)}`
    case 'all':
    case 'any':
      return `${op === 'all' ? 'every one' : 'one'} of ${first} has ${sayStatement(second)}`
    default:
      return `${first} ${op} ${sayValue(second)}`
  }
}
