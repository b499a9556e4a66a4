/** Small sorted tables for rooms that need a few durable values, all on one journal. */
import type { Op } from '../base/op.ts'
import type { Disk, KeyRange } from './disk.ts'
import type { Journal } from './journal.ts'

export interface Shelf {
  /** Resolves after the sync. */
  put(key: string, value: Uint8Array): Promise<void>
  del(key: string): Promise<void>
  get(key: string): Promise<Uint8Array | undefined>
  /** The values of these keys in their order, in one go. */
  getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>
  /** In the order of the keys. Reads in pages: what is put meanwhile may or may not be seen. */
  entries(prefix: string): AsyncIterable<readonly [key: string, value: Uint8Array]>
  /** One bounded read: `gte <= key < lt`, at most `limit`, from the far end with `reverse`. */
  page(range: KeyRange & { readonly limit: number }): Promise<readonly (readonly [key: string, value: Uint8Array])[]>
  /** The same write as an operation, to be committed with others in one synced batch. */
  putOp(key: string, value: Uint8Array): Op
  delOp(key: string): Op
  /** Operations of this shelf and of others in one synced batch. */
  commit(ops: readonly Op[]): Promise<void>
}

const PAGE = 256

export function shelfOf(on: { readonly disk: Disk; readonly journal: Journal }, name: string): Shelf {
  if (!/^[a-z][a-z0-9-]*$/.test(name)) throw new TypeError(`not a shelf name: ${name}`)
  const home = `s/${name}/`
  const putOp = (key: string, value: Uint8Array): Op => ({ t: 'put', key: home + key, value })
  const delOp = (key: string): Op => ({ t: 'del', key: home + key })
  return {
    putOp,
    delOp,
    put: (key, value) => on.journal.commit([putOp(key, value)]),
    del: (key) => on.journal.commit([delOp(key)]),
    get: (key) => on.disk.get(home + key),
    getMany: (keys) => on.disk.getMany(keys.map((key) => home + key)),
    commit: (ops) => on.journal.commit(ops),
    async page(range) {
      const found = await on.disk.read({ ...range, gte: home + range.gte, lt: home + range.lt })
      return found.map(([key, value]) => [key.slice(home.length), value] as const)
    },
    async *entries(prefix) {
      const lt = afterPrefix(home + prefix)
      let gte = home + prefix
      for (;;) {
        const page = await on.disk.read({ gte, lt, limit: PAGE })
        for (const [key, value] of page) yield [key.slice(home.length), value] as const
        const last = page.at(-1)
        if (last === undefined || page.length < PAGE) return
        gte = `${last[0]}\0`
      }
    },
  }
}

/** U+10FFFF is the last thing UTF-8 can say and no key of ours holds it. */
function afterPrefix(prefix: string): string {
  return `${prefix}\u{10ffff}`
}
