/** One line of a batch: words, or a JSON object. What is wrong with a line is told of that line; the others go on. Pure. */
import { parseDuration } from '../../base/duration.ts'
import { wordsOf } from './words.ts'

/** As it was given, or the number of its line. */
export type LineId = string | number

export interface Job {
  readonly id: LineId
  readonly device: string
  readonly command: readonly string[]
  readonly stdin?: Uint8Array
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly user?: string
  readonly timeoutMs?: number
}

export type Read = { readonly job: Job } | { readonly id: LineId; readonly fault: string } | undefined

/** @param device where a line names none. @returns undefined for a line that says nothing. */
export function readLine(text: string, { n, device }: { readonly n: number; readonly device?: string | undefined }): Read {
  const line = text.trim()
  if (line === '' || line.startsWith('#')) return undefined
  return line.startsWith('{') ? fromJson(line, n, device) : fromWords(line, n, device)
}

function fromWords(line: string, id: number, device: string | undefined): Read {
  const words = wordsOf(line)
  if (words === undefined) return { id, fault: 'a quote is never closed' }
  if (device !== undefined) return { job: { id, device, command: words } }
  const [named = '', dashes, ...command] = words
  if (dashes !== '--' || command.length === 0) return { id, fault: 'DEVICE -- COMMAND… expected' }
  return { job: { id, device: named, command } }
}

type Check = (value: unknown) => boolean

const isText: Check = (value) => typeof value === 'string'
const FIELDS: Readonly<Record<string, readonly [Check, string]>> = {
  id: [(value) => isText(value) || typeof value === 'number', 'a text or a number'],
  device: [isText, 'a text'],
  command: [(value) => Array.isArray(value) && value.length > 0 && value.every(isText), 'a list of texts'],
  stdin: [isText, 'a text'],
  stdinBase64: [(value) => typeof value === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(value), 'base64'],
  cwd: [isText, 'a text'],
  env: [(value) => isRecord(value) && Object.values(value).every(isText), 'texts under names'],
  user: [isText, 'a text'],
  timeout: [(value) => typeof value === 'string' && isDuration(value), 'a duration like 30s'],
  timeoutMs: [(value) => Number.isSafeInteger(value) && Number(value) > 0, 'a number of milliseconds'],
}

function fromJson(line: string, n: number, device: string | undefined): Read {
  const said = parsed(line)
  if (!isRecord(said)) return { id: n, fault: 'no JSON object' }
  const given = said['id']
  const id = typeof given === 'string' || typeof given === 'number' ? given : n
  const fault = faultIn(said)
  if (fault !== undefined) return { id, fault }
  const { command, device: named = device, ...rest } = said as Fields
  if (command === undefined) return { id, fault: 'no command' }
  if (named === undefined) return { id, fault: 'no device' }
  return { job: { ...placeIn(rest), id, device: named, command } }
}

function faultIn(said: Record<string, unknown>): string | undefined {
  for (const [name, value] of Object.entries(said)) {
    const [check, what] = Object.hasOwn(FIELDS, name) ? (FIELDS[name] ?? []) : []
    if (check === undefined) return `there is no field ${JSON.stringify(name.slice(0, 64))}; known: ${Object.keys(FIELDS).join(' ')}`
    if (!check(value)) return `${name}: ${what} expected`
  }
  return undefined
}

function placeIn({ stdin, stdinBase64, timeout, ...place }: Omit<Fields, 'id' | 'device' | 'command'>): Omit<Job, 'id' | 'device' | 'command'> {
  const bytes = stdin === undefined ? (stdinBase64 === undefined ? undefined : Buffer.from(stdinBase64, 'base64')) : Buffer.from(stdin)
  return { ...place, ...(bytes === undefined ? {} : { stdin: bytes }), ...(timeout === undefined ? {} : { timeoutMs: parseDuration(timeout) }) }
}

type Fields = Omit<Partial<Job>, 'stdin'> & { readonly stdin?: string; readonly stdinBase64?: string; readonly timeout?: string }

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isDuration(text: string): boolean {
  try {
    return parseDuration(text) > 0
  } catch {
    return false
  }
}
