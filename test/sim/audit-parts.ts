/** Parts of the simulated mesh: seeded randomness, simulated time, and the broken disk and store that the simulation must catch. */
import type { LogStore } from '../../src/audit/ports.ts'
import type { Did } from '../../src/identity/identity.ts'
import type { Disk } from '../../src/store/disk.ts'
import type { MemoryDisk } from '../unit/store/disks.ts'

/** mulberry32: small, seeded, good enough to pick events. */
export function randomOf(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), a | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

interface Happening {
  readonly at: number
  readonly order: number
  readonly act: () => void
}

export class Timeline {
  now = 0
  #events: Happening[] = []
  #order = 0

  at(ms: number, act: () => void): void {
    this.#events.push({ at: this.now + ms, order: this.#order++, act })
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.at(ms, resolve))
  }

  async runUntil(end: number): Promise<void> {
    for (;;) {
      const [first, ...rest] = this.#events
      const next = rest.reduce((a, b) => (a !== undefined && (b.at < a.at || (b.at === a.at && b.order < a.order)) ? b : a), first)
      if (next === undefined || next.at > end) return
      this.#events.splice(this.#events.indexOf(next), 1)
      this.now = next.at
      next.act()
      await new Promise((resolve) => setImmediate(resolve)) // every promise that can settle now has settled
    }
  }
}

export async function newestOf(store: LogStore, log: Did): Promise<number> {
  const [newest] = await store.heads(log, { limit: 1, newestFirst: true })
  return newest?.n ?? 0
}

/** A disk cache that lies: writes are "synced" at once and reach the platter later. */
export function hasty(time: Timeline, disk: MemoryDisk): Disk {
  return {
    write: async (ops) => {
      await disk.write(ops, { sync: false })
      time.at(300, () => void disk.write([], { sync: true }))
    },
    get: (key) => disk.get(key),
    getMany: (keys) => disk.getMany(keys),
    read: (range) => disk.read(range),
    close: () => disk.close(),
  }
}

export function early(store: LogStore, publish: (head: Uint8Array) => void): LogStore {
  return {
    append: (log, batch) => {
      publish(batch.head.bytes)
      return store.append(log, batch)
    },
    read: (log, from, to) => store.read(log, from, to),
    heads: (log, range) => store.heads(log, range),
    logs: () => store.logs(),
  }
}
