/** The audit logs of all devices in LevelDB: entries under `a/e/`, signed heads under `a/h/`. Nothing here is believed by its readers. */
import * as v from 'valibot'
import { BadBytes, Bytes, decodeAs, encode } from '../../protocols/wire.ts'
import type { HeadRange, LogBatch, LogStore, StoredEntry, StoredHead } from '../audit/ports.ts'
import type { Op } from '../base/op.ts'
import type { Did } from '../identity/identity.ts'
import type { Disk } from './disk.ts'
import type { Journal } from './journal.ts'

const NUMBER_DIGITS = 14 // 2^53 in hex
const MAX_STORED_HEAD_BYTES = 4_096
/** Head and frontier as one value: v, signed bytes, the frontier's peaks. */
const HeadValue = v.strictTuple([v.literal(1), Bytes(1_024), Bytes(53 * 32)])

export class LevelLogStore implements LogStore {
  constructor(private readonly on: { readonly disk: Disk; readonly journal: Journal }) {}

  append(log: Did, { from, entries, head, dropHead, along = [] }: LogBatch): Promise<void> {
    const ops: Op[] = entries.map((value, i) => ({ t: 'put', key: entryKey(log, from + i), value }))
    if (dropHead !== undefined) ops.push({ t: 'del', key: headKey(log, dropHead) })
    ops.push({ t: 'put', key: headKey(log, head.n), value: encode([1, head.bytes, head.frontier]) })
    ops.push(...along)
    return this.on.journal.commit(ops)
  }

  async read(log: Did, from: number, to: number): Promise<readonly StoredEntry[]> {
    if (to <= from) return []
    const found = await this.on.disk.read({ gte: entryKey(log, from), lt: entryKey(log, to) })
    return found.map(([key, bytes]) => ({ n: numberOf(key), bytes }))
  }

  async heads(log: Did, { above = -1, atMost = Number.MAX_SAFE_INTEGER, limit, newestFirst = false }: HeadRange): Promise<readonly StoredHead[]> {
    if (atMost <= above) return []
    const found = await this.on.disk.read({ gte: headKey(log, above + 1), lt: `${headKey(log, atMost)}\0`, reverse: newestFirst, limit })
    return found.map(([key, value]) => ({ n: numberOf(key), ...headOf(value) }))
  }

  /** By the heads alone, one seek for each log. */
  async logs(): Promise<readonly Did[]> {
    const found: Did[] = []
    let gte = 'a/h/'
    for (;;) {
      const [next] = await this.on.disk.read({ gte, lt: 'a/h0', limit: 1 })
      if (next === undefined) return found
      const log = next[0].slice('a/h/'.length, -(NUMBER_DIGITS + 1))
      found.push(log as Did)
      gte = `a/h/${log}0`
    }
  }
}

/** Damage to a head's value must not hide the entries: it becomes a head that nobody will believe. */
function headOf(value: Uint8Array): Omit<StoredHead, 'n'> {
  try {
    const [, bytes, frontier] = decodeAs(HeadValue, value, MAX_STORED_HEAD_BYTES)
    return { bytes, frontier }
  } catch (error) {
    if (error instanceof BadBytes) return { bytes: new Uint8Array(), frontier: new Uint8Array() }
    throw error
  }
}

const entryKey = (log: Did, n: number): string => `a/e/${log}/${digits(n)}`
const headKey = (log: Did, n: number): string => `a/h/${log}/${digits(n)}`
const digits = (n: number): string => n.toString(16).padStart(NUMBER_DIGITS, '0')
const numberOf = (key: string): number => Number.parseInt(key.slice(-NUMBER_DIGITS), 16)
