/**
 * Checks the UCAN kernel against the official UCAN 1.0 vectors: `npm run conformance -- DIR`.
 * Reads delegation.json and invocation.json wherever they lie under DIR, and our own cases (`npm run conformance -- protocols/authority`): a
 * vectors.json with cases of the format ucan-cases/1. Exit 0: all as the vectors say; 1: some differ; 2: nothing to check.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { isMap } from '../protocols/authority/messages.ts'
import { decodeDelegation } from '../src/authority/token.ts'
import { type RefusalCode, verifyBySpec } from '../src/authority/verify.ts'
import { asErrand } from '../src/base/errors.ts'
import { answersOf, readCases } from './vectors/cases.ts'

/** The error classes of the vectors, by our codes. */
const SPEC_NAME: Partial<Record<RefusalCode, string>> = {
  NO_GRANT: 'InvalidClaim',
  POWERLINE_ROOT: 'InvalidClaim',
  CHAIN_ROOT: 'InvalidClaim',
  NOT_COVERED: 'InvalidClaim',
  MISSING_PROOF: 'UnavailableProof',
  EXPIRED: 'Expired',
  GRANT_EXPIRED: 'Expired',
  GRANT_TOO_EARLY: 'TooEarly',
  CHAIN_GAP: 'InvalidAudience',
  CHAIN_AUDIENCE: 'InvalidAudience',
  CHAIN_SUBJECT: 'InvalidSubject',
  BAD_SIGNATURE: 'InvalidSignature',
  POLICY: 'MatchError',
}

type Vector = Readonly<Record<string, unknown>>

function main(directory: string | undefined): number {
  if (directory === undefined) return nothing('name the directory that holds the vectors: npm run conformance -- DIR')
  let files: string[]
  try {
    files = filesUnder(directory)
  } catch (thrown) {
    return nothing(`cannot read ${directory}: ${asErrand(thrown).message}`)
  }
  const results = files.flatMap((file) => check(file))
  if (results.length === 0) return nothing(`no UCAN 1.0 vectors in delegation.json, invocation.json or vectors.json under ${directory}`)
  for (const { name, problem } of results)
    process.stdout.write(`${problem === undefined ? 'ok  ' : 'FAIL'} ${name}${problem === undefined ? '' : `: ${problem}`}\n`)
  const failed = results.filter(({ problem }) => problem !== undefined).length
  process.stdout.write(`${results.length - failed} of ${results.length} vectors as the specification says\n`)
  return failed === 0 ? 0 : 1
}

function nothing(message: string): number {
  process.stderr.write(`error: ${message}\n`)
  return 2
}

function filesUnder(directory: string): string[] {
  const entries = readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return filesUnder(path)
    return ['delegation.json', 'invocation.json', 'vectors.json'].includes(entry.name) ? [path] : []
  })
}

interface Result {
  readonly name: string
  readonly problem: string | undefined
}

function check(file: string): Result[] {
  const kind = basename(file, '.json')
  const document: unknown = JSON.parse(readFileSync(file, 'utf8'))
  if (kind === 'vectors') return casesIn(document)
  if (!isMap(document) || document['version'] !== '1.0.0') return []
  return (['valid', 'invalid'] as const).flatMap((group) =>
    listOf(document[group])
      .filter(isMap)
      .map((vector, at) => {
        const name = `${kind} ${group}: ${String(vector['name'] ?? at)}`
        return { name, problem: problemOf(() => (kind === 'delegation' ? delegationProblem(vector) : invocationProblem(vector, group))) }
      }),
  )
}

/** Ours; other protocols' vectors.json hold none. */
function casesIn(document: unknown): Result[] {
  if (!isMap(document) || document['cases'] === undefined) return []
  return answersOf(readCases(document)).map(({ name, problem }) => ({ name, problem }))
}

/** A vector that cannot even be read is a mismatch, not a crash. */
function problemOf(judge: () => string | undefined): string | undefined {
  try {
    return judge()
  } catch (thrown) {
    return asErrand(thrown).message
  }
}

function delegationProblem(vector: Vector): string | undefined {
  const envelope = vector['envelope']
  const wanted = isMap(envelope) && isMap(envelope['payload']) ? envelope['payload'] : {}
  const token = decodeDelegation(base64(vector['token']))
  if (token.cid !== vector['cid']) return `the CID is ${token.cid}`
  const read: Vector = { ...token, nonce: Buffer.from(token.nonce).toString('base64') }
  const differs = Object.keys(wanted).find((key) => JSON.stringify(read[key]) !== JSON.stringify(wanted[key]))
  return differs === undefined ? undefined : `${differs} is ${JSON.stringify(read[differs])}`
}

function invocationProblem(vector: Vector, group: 'valid' | 'invalid'): string | undefined {
  const time = vector['time']
  if (typeof time !== 'number') return 'the vector names no time'
  const verified = verifyBySpec(dagJsonBytes(vector['invocation']), listOf(vector['proofs']).map(dagJsonBytes), { now: time })
  const expected = isMap(vector['error']) ? vector['error']['name'] : undefined
  if (verified.ok) return group === 'valid' ? undefined : `accepted where ${String(expected)} was expected`
  const said = `${SPEC_NAME[verified.code] ?? 'another error'} (${verified.code}: ${verified.detail})`
  return group === 'invalid' && SPEC_NAME[verified.code] === expected ? undefined : `${said} where ${String(expected ?? 'acceptance')} was expected`
}

/** Bytes as DAG-JSON writes them: {"/": {"bytes": base64 without padding}}. */
function dagJsonBytes(value: unknown): Uint8Array {
  const inner = isMap(value) ? value['/'] : undefined
  return base64(isMap(inner) ? inner['bytes'] : undefined)
}

function base64(value: unknown): Uint8Array {
  if (typeof value !== 'string') throw new TypeError('the vector holds no bytes where a token should be')
  return new Uint8Array(Buffer.from(value, 'base64'))
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

process.exitCode = main(process.argv[2])
