/**
 * A second reader of the published cases: `node scripts/vectors/independent.mjs [vectors.json]`. Shares no line with src/: plain, slow, only
 * DAG-CBOR, base58 and Ed25519 from outside, and only the rules that every UCAN 1.0 implementation has (cases with `by: spec`). It shows that the
 * format can be run, and is what test/unit/authority/differential.test.ts holds the kernel against. Exit 0: all as the cases say.
 */
import { createHash, createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import * as dagCbor from '@ipld/dag-cbor'
import { base58btc } from 'multiformats/bases/base58'
import { CID } from 'multiformats/cid'
import { create } from 'multiformats/hashes/digest'

const VARSIG = '3401ed01ed011371'
const DLG = 'ucan/dlg@1.0.0'
const INV = 'ucan/inv@1.0.0'
const FIELDS = {
  [DLG]: [['iss', 'aud', 'sub', 'cmd', 'pol', 'nonce', 'exp'], ['nbf', 'meta']],
  [INV]: [['iss', 'sub', 'cmd', 'args', 'prf', 'nonce', 'exp'], ['aud', 'iat', 'meta', 'cause']],
}

class Bad extends Error {}
const demand = (holds, why) => {
  if (!holds) throw new Bad(why)
}
const isMap = (x) => typeof x === 'object' && x !== null && Object.getPrototypeOf(x) === Object.prototype
const same = (a, b) => Buffer.compare(dagCbor.encode(a), dagCbor.encode(b)) === 0

function keyOf(did) {
  demand(typeof did === 'string' && did.startsWith('did:key:z'), 'not a did:key')
  let raw
  try {
    raw = base58btc.decode(did.slice('did:key:'.length))
  } catch {
    throw new Bad('not base58')
  }
  demand(raw.length === 34 && raw[0] === 0xed && raw[1] === 0x01, 'not Ed25519')
  return createPublicKey({ key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw.subarray(2)]), format: 'der', type: 'spki' })
}

const isWhole = (n) => Number.isSafeInteger(n) && n >= 0

/** Decodes and checks one token; throws Bad. */
export function open(tag, bytes) {
  let token
  try {
    token = dagCbor.decode(bytes)
  } catch {
    throw new Bad('not CBOR')
  }
  demand(same(token, token) && Buffer.compare(dagCbor.encode(token), bytes) === 0, 'not canonical')
  demand(Array.isArray(token) && token.length === 2 && token[0] instanceof Uint8Array && isMap(token[1]), 'not an envelope')
  const [signature, body] = token
  demand(Object.keys(body).length === 2 && body.h instanceof Uint8Array && Buffer.from(body.h).toString('hex') === VARSIG, 'header')
  const p = body[tag]
  demand(isMap(p), 'kind')
  const [all, some] = FIELDS[tag]
  demand(all.every((name) => Object.hasOwn(p, name)) && Object.keys(p).every((name) => all.includes(name) || some.includes(name)), 'fields')
  const key = keyOf(p.iss)
  if (p.aud !== undefined) keyOf(p.aud)
  if (p.sub !== null || tag === INV) keyOf(p.sub)
  demand(typeof p.cmd === 'string' && /^(\/|(\/[a-z0-9-]+)+)$/.test(p.cmd), 'command')
  demand(p.nonce instanceof Uint8Array, 'nonce')
  demand(p.exp === null || isWhole(p.exp), 'expiry')
  demand(p.nbf === undefined || isWhole(p.nbf), 'not before')
  if (tag === DLG) checkPolicy(p.pol)
  else demand(isMap(p.args) && Array.isArray(p.prf) && p.prf.every((one) => CID.asCID(one) !== null), 'arguments or proofs')
  demand(signature.length === 64 && verify(null, dagCbor.encode(body), key, signature), 'signature')
  return { ...p, cid: CID.createV1(0x71, create(0x12, createHash('sha256').update(bytes).digest())).toString() }
}

function checkPolicy(policy) {
  demand(Array.isArray(policy), 'policy')
  for (const statement of policy) {
    demand(Array.isArray(statement), 'statement')
    const [op, a, b] = statement
    const arity = { and: 2, or: 2, not: 2, '==': 3, '!=': 3, '<': 3, '<=': 3, '>': 3, '>=': 3, like: 3, all: 3, any: 3 }
    demand(Object.hasOwn(arity, op) && statement.length === arity[op], 'operator')
    if (op === 'and' || op === 'or') checkPolicy(a)
    else if (op === 'not') checkPolicy([a])
    else demand(steps(a) !== undefined, 'selector')
    if (op === 'all' || op === 'any') checkPolicy([b])
    if (op === 'like') demand(typeof b === 'string', 'pattern')
    if ('<=>='.includes(op)) demand(op === '==' || typeof b === 'number', 'number')
  }
}

function steps(selector) {
  if (typeof selector !== 'string' || !selector.startsWith('.')) return undefined
  const found = [...selector.replace(/^\.(?=\[)/, '').matchAll(/\.([A-Za-z_]\w*)(\?*)|\[("(?:[^"\\]|\\.)*")\](\?*)|\[(-?\d+)\](\?*)|\[(-?\d+)?:(-?\d+)?\](\?*)|\[\](\?*)/gy)]
  const read = found.reduce((sum, [whole]) => sum + whole.length, 0)
  return selector === '.' ? [] : read === selector.replace(/^\.(?=\[)/, '').length ? found : undefined
}

const NOTHING = Symbol('nothing')
function pick(selector, value) {
  let at = value
  for (const [whole, name, , quoted, , index, , from, to] of steps(selector)) {
    const next = step(at, { whole, name: name ?? (quoted === undefined ? undefined : JSON.parse(quoted)), index, from, to })
    if (next === NOTHING && !whole.endsWith('?')) return NOTHING
    at = next === NOTHING ? null : next
  }
  return at
}

function step(at, { whole, name, index, from, to }) {
  const list = Array.isArray(at) || at instanceof Uint8Array
  if (name !== undefined) return isMap(at) && Object.hasOwn(at, name) ? at[name] : NOTHING
  if (index !== undefined) return list && at.at(Number(index)) !== undefined ? at.at(Number(index)) : NOTHING
  if (whole.includes(':')) return list ? at.slice(Number(from ?? 0), to === undefined ? undefined : Number(to)) : NOTHING
  return isMap(at) ? Object.values(at) : list ? at : NOTHING
}

/** true, false, or null: unresolved. */
function holds(statement, value) {
  const [op, a, b] = statement
  const kleene = (parts, settles, empty) => (parts.includes(settles) ? settles : parts.includes(null) ? null : empty)
  if (op === 'and') return kleene(a.map((one) => holds(one, value)), false, true)
  if (op === 'or') return kleene(a.map((one) => holds(one, value)), true, a.length === 0)
  if (op === 'not') return negated(holds(a, value))
  const found = pick(a, value)
  if (found === NOTHING) return null
  if (op === '==') return same(found, b)
  if (op === '!=') return !same(found, b)
  if (op === 'like') return typeof found === 'string' ? slowLike(found, b) : null
  if (op === 'all' || op === 'any') {
    const items = isMap(found) ? Object.values(found) : Array.isArray(found) ? found : undefined
    if (items === undefined) return null
    const judged = items.map((one) => holds(b, one))
    return op === 'all' ? kleene(judged, false, true) : kleene(judged, true, items.length === 0 ? null : false)
  }
  if (typeof found !== 'number') return null
  return { '<': found < b, '<=': found <= b, '>': found > b, '>=': found >= b }[op]
}
const negated = (x) => (x === null ? null : !x)

/** By tables: which beginnings of the text each beginning of the pattern can match. */
function slowLike(text, pattern) {
  let reach = new Set([0])
  for (const mark of pattern.match(/\\\*|[\s\S]/g) ?? []) {
    const next = new Set()
    if (mark === '*') for (let i = Math.min(...reach, text.length + 1); i <= text.length; i++) next.add(i)
    else for (const i of reach) if (text[i] === (mark === '\\*' ? '*' : mark)) next.add(i + 1)
    reach = next
  }
  return reach.has(text.length)
}

export function policyVerdict(policy, args) {
  return String(holds(['and', policy], args) ?? 'unresolved')
}

export const covers = (parent, child) => parent === '/' || parent === child || child.startsWith(`${parent}/`)

/**
 * The rules of UCAN 1.0 for one invocation; throws Bad with the first that is broken.
 * @param {{ bytes: Uint8Array, proofs: readonly Uint8Array[], revocations?: readonly Uint8Array[], self: string, peer: string, now: number, used?: Set<string> }} asked
 */
export function judge({ bytes, proofs, revocations = [], self, peer, now, used = new Set() }) {
  const inv = open(INV, bytes)
  demand(inv.sub === self && (inv.aud ?? self) === self && inv.iss === peer, 'addressed')
  demand(inv.exp === null || now < inv.exp + 30, 'expired')
  const id = `${inv.iss} ${Buffer.from(inv.nonce).toString('hex')}`
  demand(!used.has(id), 'replayed')
  used.add(id)
  const sent = new Map(proofs.map((one) => open(DLG, one)).map((link) => [link.cid, link]))
  const chain = inv.prf.map((cid) => sent.get(cid.toString()))
  demand(chain.every((link) => link !== undefined) && sent.size === new Set(inv.prf.map(String)).size, 'proofs')
  demand(inv.iss === self || chain.length > 0, 'no chain')
  chain.forEach((link, i) => {
    demand(link.iss === (i === 0 ? self : chain[i - 1].aud), 'principals')
    demand(i === 0 ? link.sub === self : link.sub === null || link.sub === self, 'subject')
    demand((link.exp === null || now < link.exp) && (link.nbf ?? 0) <= now + 30, 'time')
    demand(covers(link.cmd, chain[i + 1]?.cmd ?? inv.cmd), 'command')
    demand(policyVerdict(link.pol, inv.args) === 'true', 'policy')
  })
  demand(chain.length === 0 || chain[chain.length - 1].aud === inv.iss, 'audience')
  for (const one of revocations.map((bytes) => open(INV, bytes))) {
    const at = chain.findIndex((link) => link.cid === one.args.ucan.toString())
    demand(at === -1 || !chain.slice(0, at + 1).some((link) => link.iss === one.iss), 'revoked')
  }
}

const answer = (check) => {
  try {
    check()
    return true
  } catch (thrown) {
    if (thrown instanceof Bad) return false
    throw thrown
  }
}
const bytesOf = (text) => new Uint8Array(Buffer.from(text, 'base64'))

/** @returns one line a case that is answered otherwise. */
export function failures({ cases }) {
  const { self, peer, now } = cases.context
  const wrong = []
  const told = (name, got, expected) => got === expected || wrong.push(`${name}: ${got} where ${expected} was expected`)
  for (const one of cases.delegations.filter(({ by }) => by === 'spec')) told(one.name, answer(() => open(DLG, bytesOf(one.bytes))), one.expect === 'valid')
  for (const one of cases.invocations.filter(({ by }) => by === 'spec')) {
    const o = { self, peer: one.peer ?? peer, now: one.now ?? now, used: new Set(), revocations: (one.revocations ?? []).map(bytesOf) }
    const asked = ({ bytes, proofs }) => judge({ ...o, bytes: bytesOf(bytes), proofs: proofs.map(bytesOf) })
    for (const earlier of one.before ?? []) answer(() => asked(earlier))
    told(one.name, answer(() => asked(one)), one.expect === 'admitted')
  }
  for (const one of cases.policies) told(one.name, policyVerdict(one.policy, one.args), one.expect)
  for (const { parent, child, expect } of cases.covers) told(`${parent} over ${child}`, covers(parent, child), expect)
  return wrong
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const file = process.argv[2] ?? new URL('../../protocols/authority/vectors.json', import.meta.url)
  const wrong = failures(JSON.parse(readFileSync(file, 'utf8')))
  process.stdout.write(wrong.length === 0 ? 'all cases as they say\n' : `${wrong.join('\n')}\n`)
  process.exitCode = wrong.length === 0 ? 0 : 1
}
