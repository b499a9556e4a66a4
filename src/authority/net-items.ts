/**
 * `forward:` and `listen:` rights as data, both ways: what a person writes, and the policy it stands for. As with `exec:`, reading a policy back
 * compiles it again and compares, so that words never say less than the policy does.
 */
import { encode, sameBytes } from '../../protocols/wire.ts'
import { type HostKind, hostAt, hostOf } from '../base/address.ts'
import { NET_MODES, type NetMode } from './net-args.ts'
import type { Policy, Statement } from './policy.ts'

/** From the first to the last. */
export interface Ports {
  readonly from: number
  readonly to: number
}

export type NetHost =
  /** Of `forward:` every name and address but those of the device itself and link-local ones; of `listen:` every address. */
  | { readonly t: 'any' }
  | { readonly t: 'name'; readonly name: string }
  /** Names below this one. */
  | { readonly t: 'below'; readonly name: string }
  | { readonly t: 'net'; readonly ip: readonly number[]; readonly bits: number }

export interface NetItem {
  readonly host: NetHost
  readonly ports: Ports | '*'
}

export interface NetRight {
  readonly mode: NetMode
  readonly items: readonly NetItem[]
}

export function compileNet({ mode, items }: NetRight): Policy {
  return [is('.mode', mode), oneOf(items.map((item) => itemStatement(item, mode)))]
}

/** @returns the right that compiles to exactly this policy, or undefined when there is none. */
export function readNet(policy: Policy): NetRight | undefined {
  const [mode, statement, ...more] = policy
  const named = NET_MODES.find((one) => mode?.[0] === '==' && mode[1] === '.mode' && mode[2] === one)
  const items = named === undefined || statement === undefined || more.length > 0 ? undefined : netItemsOf(statement, named)
  return named === undefined || items === undefined ? undefined : { mode: named, items }
}

/** The targets that a statement allows, when it is one that `forward:` or `listen:` compiles to. */
export function netItemsOf(statement: Statement, mode: NetMode): readonly NetItem[] | undefined {
  const alternatives = isAlternatives(statement) ? statement[1] : [statement]
  const items = alternatives.map(guess)
  const known = items.filter((item) => item !== undefined)
  if (known.length === 0 || known.length < items.length) return undefined
  return sameBytes(encode(oneOf(known.map((item) => itemStatement(item, mode)))), encode(statement)) ? known : undefined
}

/** Whether a target names link-local addresses, and not merely holds them among others. */
export function namesLinkLocal({ host }: NetItem): boolean {
  return host.t === 'net' && wholeKind(host) === 'link-local'
}

/** An item is one `and` that ends with the port; alternatives are several of them. */
function isAlternatives(statement: Statement): statement is readonly ['or', readonly Statement[]] {
  return statement[0] === 'or' && !(statement[1][0]?.[0] === '==' && statement[1][0][1] === '.kind')
}

function itemStatement({ host, ports }: NetItem, mode: NetMode): Statement {
  const all = [...hostStatements(host, mode), ...portStatements(ports)]
  return all.length === 1 && all[0] !== undefined ? all[0] : ['and', all]
}

const PLAIN: readonly HostKind[] = ['name', 'address']

function hostStatements(host: NetHost, mode: NetMode): Statement[] {
  switch (host.t) {
    case 'any':
      return mode === 'listen' ? [] : [oneOf(PLAIN.map((kind) => is('.kind', kind)))]
    case 'name':
      return [is('.host', host.name)]
    case 'below':
      return [is('.kind', 'name'), ['like', '.host', `*.${host.name}`]]
    case 'net':
      return netStatements(host, mode)
  }
}

/** A net that is not wholly of one special kind leaves those out: to reach a loopback one has to name it. */
function netStatements(net: { readonly ip: readonly number[]; readonly bits: number }, mode: NetMode): Statement[] {
  const { ip, bits } = net
  const whole = bits >> 3
  const rest = bits & 7
  const kind = wholeKind(net)
  const from = ip[whole] ?? 0
  return [
    is('.family', ip.length === 4 ? 4 : 6),
    ...(mode === 'connect' && kind === undefined ? [is('.kind', 'address')] : []),
    ...(whole === 0 ? [] : [is(`.ip[0:${whole}]`, ip.slice(0, whole))]),
    ...(rest === 0
      ? []
      : ([
          ['>=', `.ip[${whole}]`, from],
          ['<=', `.ip[${whole}]`, from + (1 << (8 - rest)) - 1],
        ] as const)),
  ]
}

/** The kind of every address of a net, where all are of one; undefined where they differ, or are plain. */
function wholeKind({ ip, bits }: { readonly ip: readonly number[]; readonly bits: number }): HostKind | undefined {
  const last = ip.map((byte, at) => byte | (0xff >> Math.min(8, Math.max(0, bits - 8 * at))))
  const [first, end] = [hostAt(ip).kind, hostAt(last).kind]
  return first === end && first !== 'address' ? first : undefined
}

function portStatements(ports: Ports | '*'): Statement[] {
  if (ports === '*') return []
  if (ports.from === ports.to) return [is('.port', ports.from)]
  return [
    ['>=', '.port', ports.from],
    ['<=', '.port', ports.to],
  ]
}

/** What an item's statement came from; `netItemsOf` compiles the guess and compares. */
function guess(statement: Statement): NetItem | undefined {
  const parts = statement[0] === 'and' ? statement[1] : [statement]
  const read: Draft = { ip: [], least: undefined, most: undefined, family: undefined, name: undefined, below: undefined, ports: '*' }
  for (const part of parts) readInto(read, part)
  const host = hostIn(read)
  return host && { host, ports: read.ports }
}

interface Draft {
  ip: readonly number[]
  least: number | undefined
  most: number | undefined
  family: number | undefined
  name: string | undefined
  below: string | undefined
  ports: Ports | '*'
}

function readInto(read: Draft, [op, where, value]: Statement): void {
  if (op === '==') readExact(read, where, value)
  if (op === 'like' && where === '.host') read.below = value.slice(2)
  if (op === '>=' && where === '.port') read.ports = { from: value, to: value }
  if (op === '<=' && where === '.port' && read.ports !== '*') read.ports = { from: read.ports.from, to: value }
  if (op === '>=' && where.startsWith('.ip[')) read.least = value
  if (op === '<=' && where.startsWith('.ip[')) read.most = value
}

function readExact(read: Draft, where: string, value: unknown): void {
  if (where === '.host' && typeof value === 'string') read.name = value
  if (where.startsWith('.ip[') && Array.isArray(value)) read.ip = value.filter((byte) => typeof byte === 'number')
  if (typeof value !== 'number') return
  if (where === '.family') read.family = value
  if (where === '.port') read.ports = { from: value, to: value }
}

function hostIn({ ip, least, most, family, name, below }: Draft): NetHost | undefined {
  if (name !== undefined) return { t: 'name', name }
  if (below !== undefined) return { t: 'below', name: below }
  if (family === undefined) return { t: 'any' }
  const bytes = [...ip, ...(least === undefined ? [] : [least])]
  const bits = 8 * ip.length + (least === undefined ? 0 : 8 - Math.round(Math.log2((most ?? least) - least + 1)))
  const size = family === 4 ? 4 : 16
  return bytes.length > size ? undefined : { t: 'net', ip: [...bytes, ...Array<number>(size - bytes.length).fill(0)], bits }
}

/** @returns undefined where it is no target. */
export function parseNetItem(text: string, mode: NetMode): NetItem | undefined {
  if (text === '*') return { host: { t: 'any' }, ports: '*' }
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]+)\]|([^:[\]]+)):([^:]+)$/.exec(text) ?? []
  const alone = mode === 'listen' && /^[\d-]+$/.test(text) ? text : undefined
  const ports = parsePorts(alone ?? port, mode)
  const host = alone === undefined ? parseHost(bracketed ?? plain ?? '', mode) : LOOPBACK
  return ports === undefined || host === undefined ? undefined : { host, ports }
}

const LOOPBACK: NetHost = { t: 'net', ip: [127, 0, 0, 1], bits: 32 }

function parsePorts(text: string, mode: NetMode): Ports | '*' | undefined {
  if (text === '*') return '*'
  const [, first, last] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? []
  if (first === undefined) return undefined
  const [from, to] = [Number(first), Number(last ?? first)]
  return from <= to && to <= 65_535 && (from > 0 || mode === 'listen') ? { from, to } : undefined
}

function parseHost(text: string, mode: NetMode): NetHost | undefined {
  if (text === '*') return { t: 'any' }
  const [address = '', length, ...more] = text.split('/')
  const host = hostOf(address.startsWith('*.') ? address.slice(2) : address)
  if (host === undefined || host.kind === 'never' || more.length > 0) return undefined
  if (host.family === 0) return length === undefined ? namedHost(host.host, address.startsWith('*.'), mode) : undefined
  if (address.startsWith('*.') || (mode === 'connect' && host.kind === 'any' && length === undefined)) return undefined
  const size = host.ip.length * 8
  const bits = length === undefined ? size : /^\d{1,3}$/.test(length) ? Number(length) : -1
  return bits < 0 || bits > size ? undefined : { t: 'net', ip: masked(host.ip, bits), bits }
}

function namedHost(name: string, isBelow: boolean, mode: NetMode): NetHost | undefined {
  if (mode === 'listen' && (isBelow || name !== 'localhost')) return undefined
  return isBelow ? { t: 'below', name } : { t: 'name', name }
}

function masked(ip: readonly number[], bits: number): number[] {
  return ip.map((byte, at) => byte & (0xff << Math.max(0, Math.min(8, 8 * (at + 1) - bits))) & 0xff)
}

/** As it can be typed again. */
export function sayNetItem({ host, ports }: NetItem): string {
  if (host.t === 'any' && ports === '*') return '*'
  return `${sayNetHost(host)}:${sayPorts(ports)}`
}

function sayNetHost(host: NetHost): string {
  switch (host.t) {
    case 'any':
      return '*'
    case 'name':
      return host.name
    case 'below':
      return `*.${host.name}`
    case 'net': {
      const { host: text, family } = sayable(host.ip)
      const whole = host.bits === host.ip.length * 8 ? text : `${text}/${host.bits}`
      return family === 6 ? `[${whole}]` : whole
    }
  }
}

function sayable(ip: readonly number[]): { readonly host: string; readonly family: number } {
  const { host } = hostAt(ip)
  return { host, family: ip.length === 4 ? 4 : 6 }
}

function sayPorts(ports: Ports | '*'): string {
  return ports === '*' ? '*' : ports.from === ports.to ? `${ports.from}` : `${ports.from}-${ports.to}`
}

/** Whether everything that `inner` allows `outer` allows as well. */
export function isWithin(inner: NetItem, outer: NetItem, mode: NetMode): boolean {
  return arePortsWithin(inner.ports, outer.ports) && isHostWithin(inner.host, outer.host, mode)
}

function arePortsWithin(inner: Ports | '*', outer: Ports | '*'): boolean {
  if (outer === '*') return true
  return inner !== '*' && inner.from >= outer.from && inner.to <= outer.to
}

function isHostWithin(inner: NetHost, outer: NetHost, mode: NetMode): boolean {
  if (outer.t === 'any') return mode === 'listen' || inner.t === 'any' || inner.t === 'below' || isPlain(inner)
  if (outer.t === 'name') return inner.t === 'name' && inner.name === outer.name
  if (outer.t === 'below') return (inner.t === 'name' || inner.t === 'below') && inner.name.endsWith(`.${outer.name}`)
  if (inner.t !== 'net' || inner.ip.length !== outer.ip.length || inner.bits < outer.bits) return false
  if (masked(inner.ip, outer.bits).some((byte, at) => byte !== outer.ip[at])) return false
  return mode === 'listen' || wholeKind(inner) === undefined || wholeKind(inner) === wholeKind(outer)
}

/** Of `forward:`; `listen:` knows no such difference. */
function isPlain(host: NetHost): boolean {
  return host.t === 'name' ? hostOf(host.name)?.kind === 'name' : host.t === 'net' && wholeKind(host) === undefined
}

function is(selector: string, value: unknown): Statement {
  return ['==', selector, value]
}

function oneOf(statements: readonly Statement[]): Statement {
  const [only, ...more] = statements
  return only !== undefined && more.length === 0 ? only : ['or', statements]
}
