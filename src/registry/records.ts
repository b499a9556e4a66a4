/** A grow-only set of signed records under their hashes: what sync compares, pages and fills up. Pure. */
import { createHash } from 'node:crypto'

export interface RecordSet {
  /** SHA-256 over the sorted record ids: equal digests, equal sets. */
  digest(): Uint8Array
  /** Every record, as (id, bytes). */
  records(): Iterable<readonly [string, Uint8Array]>
}

export function recordId(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function digestOf(ids: Iterable<string>): Uint8Array {
  const hash = createHash('sha256')
  for (const id of [...ids].sort()) hash.update(id, 'hex')
  return new Uint8Array(hash.digest())
}

/** The id prefixes of a set, as a pull request carries them. */
export function have(records: Iterable<readonly [string, Uint8Array]>, prefixBytes: number): Uint8Array {
  return new Uint8Array(Buffer.concat([...records].map(([id]) => Buffer.from(id.slice(0, prefixBytes * 2), 'hex'))))
}

export interface Page {
  readonly records: Uint8Array[]
  readonly more: boolean
}

/** What the other side lacks, at most `maxRecords` and `maxBytes` of it. */
export function missing(
  records: Iterable<readonly [string, Uint8Array]>,
  held: Uint8Array,
  o: { prefixBytes: number; maxRecords: number; maxBytes: number },
): Page {
  const prefixes = new Set<string>()
  for (let at = 0; at + o.prefixBytes <= held.length; at += o.prefixBytes) prefixes.add(Buffer.from(held.subarray(at, at + o.prefixBytes)).toString('hex'))
  const page: Uint8Array[] = []
  let bytes = 0
  for (const [id, record] of records) {
    if (prefixes.has(id.slice(0, o.prefixBytes * 2))) continue
    if (page.length >= o.maxRecords || bytes + record.length > o.maxBytes) return { records: page, more: true }
    page.push(record)
    bytes += record.length
  }
  return { records: page, more: false }
}
