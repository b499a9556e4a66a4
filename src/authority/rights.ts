/**
 * `--can` texts: parsed into a command and a policy on its declared arguments.
 * `exec: git, npm test; env CI; cwd /srv/app; timeout 10m; output 10MiB; memory 2GiB; no-network; sandbox files; rate 10/m; tty; approval 2` · `exec: *` · `forward: localhost:80` · `listen: 8080` · `audit: read` · `task:submit` · `everything` · a command path without bounds.
 * Unless the text says otherwise, `exec:` sets no environment, allocates no terminal and runs as the node's user.
 */
import * as v from 'valibot'
import { APPROVAL } from '../../protocols/approval/messages.ts'
import type { Limits } from '../../protocols/task/limits.ts'
import { parseDuration } from '../base/duration.ts'
import { ErrandError } from '../base/errors.ts'
import { parseSize } from '../base/size.ts'
import { rightMeta } from './approval.ts'
import { ExecRunArgs, isCommandPath, isDelegable } from './commands.ts'
import { compileExec, type ExecItem, type ExecRight } from './items.ts'
import { limitIn } from './limit-words.ts'
import { parseNetRight } from './net-rights.ts'
import { commandInWords, commandOfPermission } from './permissions.ts'
import type { Policy } from './policy.ts'
import { parseRate, type Rate } from './rate.ts'
import { EVERYTHING, sayRight } from './say.ts'
import { split, type Token, tokensOf } from './words.ts'

export { sayRight } from './say.ts'

export interface Right {
  readonly cmd: string
  readonly pol: Policy
  /** So many different people have to say yes before each use. Stands beside the policy, in the meta of the delegation (`rightMeta`). */
  readonly approvals?: number
  /** How often it may be used; stands there too. */
  readonly rate?: Rate
  /** What a command is held to while it runs; stands there too. */
  readonly limits?: Limits
}

/** All of a right, with the people who have to be asked and how often it may be used. */
export function wordsOfRight(right: Right): string {
  return sayRight(right.cmd, right.pol, rightMeta(right))
}

const MAX_CHARS = 4_096
const MAX_ITEMS = 32
/** What `task:submit` is: any command, as the node's user. */
const TASK: ExecRight = { items: '*', env: '*', users: [''], tty: true }
const HINT = "write for example 'exec: git, npm test', 'exec: *', 'forward: localhost:80', 'audit: read' or 'device: info'"

/** @throws ErrandError BAD_RIGHT, with a hint; BAD_DURATION for a timeout that is none. */
export function parseRight(text: string): Right {
  const said = text.trim()
  if (said.length > MAX_CHARS) throw bad(`a right of ${said.length} characters`, 'say it in several rights')
  const plain = plainRight(said.replace(/\s*:\s*/, ':'))
  if (plain !== undefined) return plain
  if (said.startsWith('/')) return { cmd: rawCommand(said), pol: [] }
  const net = parseNetRight(said)
  if (net !== undefined) return net
  const exec = /^exec\s*:(.*)$/s.exec(said)
  if (exec === null) throw bad(`not a right: ${JSON.stringify(said.slice(0, 80))}`, HINT)
  const { approvals, rate, limits, ...right } = parseExec(exec[1] ?? '')
  const beside = { ...(approvals === undefined ? {} : { approvals }), ...(rate === undefined ? {} : { rate }), ...(limits === undefined ? {} : { limits }) }
  return { cmd: '/exec/run', pol: compileExec(right), ...beside }
}

/**
 * One command as it stands in a right: an executable and what its arguments begin with, or `*` for any.
 * @throws ErrandError BAD_RIGHT, with a hint.
 */
export function parseItem(text: string): ExecItem | '*' {
  const tokens = text.length > MAX_CHARS ? undefined : tokensOf(text)
  if (tokens === undefined) throw bad(`cannot read ${JSON.stringify(text.trim().slice(0, 80))}`, 'put an argument with spaces or commas between double quotes')
  return isStar(tokens) ? '*' : itemOf(tokens)
}

/** `everything`, a permission by its classic name, or the two words of a command. */
function plainRight(said: string): Right | undefined {
  const path = `/${said.replace(':', '/')}`
  const cmd = said === EVERYTHING ? '/' : (commandOfPermission(said) ?? (said.includes(':') && commandInWords(path) !== undefined ? path : undefined))
  return cmd === undefined ? undefined : { cmd, pol: cmd === '/exec/run' ? compileExec(TASK) : [] }
}

function rawCommand(command: string): string {
  if (!isCommandPath(command))
    throw bad(`not a command: ${JSON.stringify(command.slice(0, 80))}`, 'a command path is lower-case words behind slashes, like /exec/run')
  if (!isDelegable(command)) throw bad(`${command} cannot be given to anybody`, HINT)
  return command
}

type ExecSaid = ExecRight & Pick<Right, 'approvals' | 'rate' | 'limits'>

function parseExec(text: string): ExecSaid {
  const tokens = tokensOf(text)
  if (tokens === undefined) throw bad(`cannot read ${JSON.stringify(text.trim().slice(0, 80))}`, 'put an argument with spaces or commas between double quotes')
  const [commands, ...clauses] = split(tokens, ';')
  const seen = new Set<string>()
  let right: ExecSaid = { items: itemsOf(commands ?? []), env: [], users: [''], tty: false }
  for (const clause of clauses) {
    const [head, ...rest] = clause
    const name = head?.t === 'word' && !head.quoted ? head.text : ''
    if (seen.has(name)) throw bad(`"${name}" is said twice`, 'say each bound once')
    seen.add(name)
    const limit = limitIn(name, () => textsOf(rest).join(' '))
    right = limit === undefined ? { ...right, ...parseClause(name, rest) } : { ...right, limits: { ...right.limits, ...limit } }
  }
  return right
}

function itemsOf(tokens: readonly Token[]): readonly ExecItem[] | '*' {
  const parts = split(tokens, ',')
  const all = parts.some((part) => isStar(part))
  if (all && parts.length > 1) throw bad('"*" is any command already', "write 'exec: *' alone, or name the commands")
  if (all) return '*'
  if (parts.length > MAX_ITEMS) throw bad(`${parts.length} commands in one right`, `at most ${MAX_ITEMS}; say the others in a second right`)
  const items = parts.map(itemOf)
  return items.filter((item, i) => items.findIndex((other) => JSON.stringify(other) === JSON.stringify(item)) === i)
}

function itemOf(part: readonly Token[]): ExecItem {
  const dotted = part.findIndex((token) => token.t === 'word' && !token.quoted && (token.text === '…' || token.text === '...'))
  if (dotted >= 0 && dotted !== part.length - 1) throw bad('"…" stands at the end of a command', 'it means: any further arguments')
  const [exe, ...argv] = textsOf(dotted < 0 ? part : part.slice(0, dotted))
  if (exe === undefined) throw bad('a command is missing', HINT)
  const checked = v.safeParse(ExecRunArgs.entries.exe, exe)
  if (!checked.success) throw bad(`${JSON.stringify(exe.slice(0, 80))} cannot be the name of a command: ${checked.issues[0].message}`, HINT)
  return [exe, ...argv]
}

function parseClause(name: string, rest: readonly Token[]): Partial<ExecSaid> {
  switch (name) {
    case 'tty':
      if (rest.length > 0) throw bad('"tty" stands alone', "write '; tty'")
      return { tty: true }
    case 'env':
      return { env: isStar(rest) ? '*' : listOf(name, rest, envName) }
    case 'user':
      return { users: isStar(rest) ? '*' : listOf(name, rest, fitting(ExecRunArgs.entries.user)) }
    case 'cwd':
      return { cwd: listOf(name, rest, directory)[0] ?? '/' }
    case 'timeout':
      return { timeoutMs: parseDuration(textsOf(rest).join(' ')) }
    case 'approval':
      return { approvals: peopleIn(textsOf(rest)) }
    case 'rate':
      return { rate: rateOf(textsOf(rest).join(' ')) }
    case 'output':
      return { maxOutputBytes: outputIn(textsOf(rest).join(' ')) }
    default:
      throw bad(
        `not a bound: ${JSON.stringify(name)}`,
        'after ";" comes env, user, cwd, timeout, output, memory, cpu, processes, no-network, sandbox, rate, tty or approval',
      )
  }
}

function peopleIn(words: readonly string[]): number {
  const [text = '1', ...more] = words
  const count = /^\d{1,2}$/.test(text) ? Number(text) : 0
  if (more.length === 0 && count >= 1 && count <= APPROVAL.maxApprovals) return count
  throw bad(`"approval" does not take ${JSON.stringify(words.join(' ').slice(0, 80))}`, `write '; approval', or '; approval 2' for two different people`)
}

function rateOf(text: string): Rate {
  const rate = parseRate(text)
  if (rate !== undefined) return rate
  throw bad(
    `"rate" does not take ${JSON.stringify(text.slice(0, 80))}`,
    "write '; rate 10/m': ten uses, and ten more every minute; s, h and d are the other times",
  )
}

function outputIn(text: string): number {
  const bytes = parseSize(text)
  if (bytes > 0) return bytes
  throw bad('"output" of nothing', 'name a size that a command may print, like 10MiB')
}

function listOf(name: string, tokens: readonly Token[], check: (text: string) => boolean): string[] {
  const texts = split(tokens, ',').map(textsOf)
  const words = texts.flat()
  if (texts.some((text) => text.length !== 1) || !words.every(check) || (name === 'cwd' && words.length > 1)) {
    throw bad(
      `"${name}" does not take ${JSON.stringify(words.join(' ').slice(0, 80))}`,
      name === 'cwd' ? 'name one absolute directory' : `write '${name} A, B', or '${name} *' for any`,
    )
  }
  return [...new Set(words)]
}

function envName(text: string): boolean {
  return v.is(ExecRunArgs.entries.env, [text])
}

function directory(text: string): boolean {
  return text.startsWith('/') && v.is(ExecRunArgs.entries.cwd, text)
}

function fitting(schema: v.GenericSchema): (text: string) => boolean {
  return (text) => v.is(schema, text)
}

function isStar(tokens: readonly Token[]): boolean {
  const [only, ...more] = tokens
  return more.length === 0 && only?.t === 'word' && !only.quoted && only.text === '*'
}

function textsOf(tokens: readonly Token[]): string[] {
  return tokens.map((token) => {
    if (token.t !== 'word') throw bad(`"${token.t}" is out of place`, HINT)
    if (!token.quoted && token.text === '*')
      throw bad('"*" stands for a whole command, not for a part of one', 'further arguments are always allowed; quote it to mean a star')
    return token.text
  })
}

function bad(message: string, hint: string): ErrandError {
  return new ErrandError('BAD_RIGHT', message, { hint })
}
