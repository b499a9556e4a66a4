/**
 * Hosts and addresses in one form only, and what an address leads to. For rights and for whoever connects: what has two spellings can be let
 * in by one and refused by the other. Looks nothing up.
 */
import { isIPv4, isIPv6 } from 'node:net'

/** `link-local` holds where clouds keep credentials; `any` is every address of the machine itself; `never` is nobody's to connect to. */
export type HostKind = 'name' | 'address' | 'loopback' | 'link-local' | 'any' | 'never'

/** A host as a right bounds it. */
export interface Host {
  /** Canonical. */
  readonly host: string
  readonly kind: HostKind
  /** 0: a name. */
  readonly family: 0 | 4 | 6
  /** Of an address: its 4 or 16 bytes. */
  readonly ip: readonly number[]
}

const MAX_NAME_CHARS = 253
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/
/** A last label that makes a resolver see a number in the whole, like 127.1 or 0x7f000001. */
const NUMBER_LIKE = /^(?:\d+|0x[0-9a-f]*)$/

/** @param text in any spelling that a person may type. @returns undefined where it is neither an address nor a name. */
export function hostOf(text: string): Host | undefined {
  const ip = bytesOf(text.replace(/^\[(.*)\]$/, '$1'))
  if (ip !== undefined) return hostAt(ip)
  const host = text.toLowerCase().replace(/\.$/, '')
  if (!isName(host)) return undefined
  return { host, kind: isLocalName(host) ? 'loopback' : 'name', family: 0, ip: [] }
}

/** Of the bytes of an address; one of IPv4 in the clothes of IPv6 is what it is. */
export function hostAt(bytes: readonly number[]): Host {
  const ip = unmapped(bytes)
  const isV4 = ip.length === 4
  return { host: isV4 ? ip.join('.') : sayV6(ip), kind: isV4 ? kindOfV4(ip) : kindOfV6(ip), family: isV4 ? 4 : 6, ip }
}

function isName(text: string): boolean {
  const labels = text.split('.')
  return text.length <= MAX_NAME_CHARS && labels.every((label) => LABEL.test(label)) && !NUMBER_LIKE.test(labels.at(-1) ?? '')
}

/** RFC 6761: never asked of a resolver. */
export function isLocalName(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost')
}

/** @returns the bytes of an address in text; undefined for anything else, zones included. */
export function bytesOf(text: string): number[] | undefined {
  if (isIPv4(text)) return text.split('.').map(Number)
  if (!isIPv6(text) || text.includes('%')) return undefined
  const [head = '', tail] = text.split('::')
  const front = groupsOf(head)
  const back = tail === undefined ? [] : groupsOf(tail)
  const gap = tail === undefined ? [] : Array<number>(16 - front.length - back.length).fill(0)
  return [...front, ...gap, ...back]
}

function groupsOf(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number)
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
}

const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]

function unmapped(bytes: readonly number[]): readonly number[] {
  return bytes.length === 16 && startsWith(bytes, MAPPED) ? bytes.slice(12) : bytes
}

function kindOfV4([first = 0, second]: readonly number[]): HostKind {
  if (first === 127) return 'loopback'
  if (first === 169 && second === 254) return 'link-local'
  if (first === 0) return 'any'
  return first >= 224 ? 'never' : 'address'
}

/** Amazon's metadata over IPv6: a local address, with the same secrets behind it. */
const METADATA_V6 = [0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54]

function kindOfV6(ip: readonly number[]): HostKind {
  const inner = embeddedV4(ip)
  if (ip.slice(0, 15).every((byte) => byte === 0)) return ip[15] === 1 ? 'loopback' : ip[15] === 0 ? 'any' : 'never'
  if (inner !== undefined) return kindOfV4(inner) === 'address' ? 'address' : 'never'
  if (ip[0] === 0xff) return 'never'
  const isLink = ip[0] === 0xfe && ((ip[1] ?? 0) & 0xc0) === 0x80
  return isLink || startsWith(ip, METADATA_V6) ? 'link-local' : 'address'
}

/** The address of IPv4 that a translator on the way would turn it into: NAT64, 6to4, and the oldest form. */
function embeddedV4(ip: readonly number[]): readonly number[] | undefined {
  if (startsWith(ip, [0, 0x64, 0xff, 0x9b])) return ip.slice(12)
  if (startsWith(ip, [0x20, 0x02])) return ip.slice(2, 6)
  return startsWith(ip, Array<number>(12).fill(0)) ? ip.slice(12) : undefined
}

function startsWith(bytes: readonly number[], head: readonly number[]): boolean {
  return head.every((byte, at) => bytes[at] === byte)
}

/** RFC 5952: lower case, no leading zeros, the longest run of zeros as `::`, the first of equals. */
function sayV6(ip: readonly number[]): string {
  const groups = [...Array(8).keys()].map((i) => ((ip[2 * i] ?? 0) << 8) | (ip[2 * i + 1] ?? 0))
  const run = longestZeros(groups)
  const words = groups.map((group) => group.toString(16))
  if (run.length < 2) return words.join(':')
  return `${words.slice(0, run.at).join(':')}::${words.slice(run.at + run.length).join(':')}`
}

function longestZeros(groups: readonly number[]): { readonly at: number; readonly length: number } {
  let best = { at: 0, length: 0 }
  for (let at = 0; at < groups.length; at++) {
    let length = 0
    while (groups[at + length] === 0) length++
    if (length > best.length) best = { at, length }
  }
  return best
}

/** As it stands before a port. */
export function sayHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

export function sayEnd(host: string, port: number | string): string {
  return `${sayHost(host)}:${port}`
}
