/** Disks that lose what was not synced, for tests: kill -9 does not test a sync, a power cut does. */
import type { Op } from '../../../src/base/op.ts'
import type { Disk, KeyRange } from '../../../src/store/disk.ts'

/** In memory. `visible` is what reads see, `durable` what a power cut leaves. */
export class MemoryDisk implements Disk {
  #visible = new Map<string, Uint8Array>()
  #durable = new Map<string, Uint8Array>()
  #unsynced: Op[] = []
  #sorted: readonly string[] | undefined
  #life = 0
  #broken: Error | undefined
  syncs = 0

  /** @param syncTakes what a sync waits for; at once by default. */
  constructor(private readonly syncTakes: () => Promise<void> = () => Promise.resolve()) {}

  async write(ops: readonly Op[], { sync }: { readonly sync: boolean }): Promise<void> {
    const life = this.#life
    if (this.#broken !== undefined) throw this.#broken
    for (const op of ops) apply(this.#visible, op)
    this.#unsynced.push(...ops)
    this.#sorted = undefined
    if (!sync) return
    const flushed = this.#unsynced.splice(0)
    await this.syncTakes()
    if (life !== this.#life) return await new Promise(() => undefined) // the power went: nobody is left to be told
    if (this.#broken !== undefined) throw this.#broken
    for (const op of flushed) apply(this.#durable, op)
    this.syncs += 1
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#visible.get(key))
  }

  getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    return Promise.resolve(keys.map((key) => this.#visible.get(key)))
  }

  read({ gte, lt, reverse = false, limit = Number.POSITIVE_INFINITY }: KeyRange): Promise<readonly (readonly [string, Uint8Array])[]> {
    this.#sorted ??= [...this.#visible.keys()].sort()
    const keys = this.#sorted.filter((key) => key >= gte && key < lt)
    if (reverse) keys.reverse()
    return Promise.resolve(keys.slice(0, limit).map((key) => [key, this.#visible.get(key) ?? new Uint8Array()] as const))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  powerCut(): void {
    this.#life += 1
    this.#unsynced = []
    this.#sorted = undefined
    this.#visible = new Map(this.#durable)
  }

  breakDown(error: Error | undefined): void {
    this.#broken = error
  }

  /** What a bad disk or an intruder does: changes bytes behind everybody's back. */
  tamper(key: string, value: Uint8Array | undefined): void {
    this.#sorted = undefined
    for (const map of [this.#visible, this.#durable]) {
      if (value === undefined) map.delete(key)
      else map.set(key, value)
    }
  }

  keys(prefix: string): readonly string[] {
    return [...this.#visible.keys()].filter((key) => key.startsWith(prefix)).sort()
  }

  copy(): MemoryDisk {
    const copy = new MemoryDisk(this.syncTakes)
    for (const [key, value] of this.#durable) copy.tamper(key, value)
    return copy
  }
}

/** Over a real disk: unsynced writes reach it only with the next synced one, and a power cut forgets them. */
export class ForgetfulDisk implements Disk {
  #unsynced: Op[] = []
  /** When set, a synced write stops half way: before it reached the disk. */
  cutBeforeSync = false

  constructor(private readonly real: Disk) {}

  async write(ops: readonly Op[], { sync }: { readonly sync: boolean }): Promise<void> {
    this.#unsynced.push(...ops)
    if (!sync) return
    if (this.cutBeforeSync) return await new Promise(() => undefined)
    await this.real.write(this.#unsynced.splice(0), { sync: true })
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.real.get(key)
  }

  getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.real.getMany(keys)
  }

  read(range: KeyRange): Promise<readonly (readonly [string, Uint8Array])[]> {
    return this.real.read(range)
  }

  close(): Promise<void> {
    this.#unsynced = []
    return this.real.close()
  }
}

function apply(map: Map<string, Uint8Array>, op: Op): void {
  if (op.t === 'put')
    map.set(op.key, Uint8Array.from(op.value)) // a copy: a Buffer's slice would share its memory
  else map.delete(op.key)
}
