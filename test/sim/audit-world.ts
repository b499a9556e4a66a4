/**
 * A seeded mesh for the audit log: shipped AuditLog, Replica and store code over a network that loses, delays, lies and splits,
 * and disks that forget what was not synced. One seed, one history.
 */
import { type AuditAnswer as Answer, AuditAnswer, AuditRequest, type AuditRequest as Request } from '../../protocols/audit/messages.ts'
import { decodeAs, encode } from '../../protocols/wire.ts'
import { AuditLog } from '../../src/audit/log.ts'
import { leafHash } from '../../src/audit/merkle.ts'
import type { LogStore } from '../../src/audit/ports.ts'
import { Replica } from '../../src/audit/replica.ts'
import { verifyLogs } from '../../src/audit/verify.ts'
import { asDid, type Did, Identity } from '../../src/identity/identity.ts'
import type { Disk } from '../../src/store/disk.ts'
import { STORE_FORMAT, Store } from '../../src/store/level.ts'
import { MemoryDisk } from '../unit/store/disks.ts'
import { early, hasty, newestOf, randomOf, Timeline } from './audit-parts.ts'

const MESH = new Uint8Array(32).fill(5)
const STORM_MS = 8_000
const HEAL_MS = 6_000

/** Deliberate breakages, one for each promise the simulation has to guard. */
export interface Broken {
  /** The disk says "synced" at once: entries are acknowledged too early. */
  readonly acksBeforeSync?: boolean
  /** Heads go out when they are signed, not when they are durable. */
  readonly publishesUnsynced?: boolean
  /** Pages are stored as they come. */
  readonly storesUnchecked?: boolean
  /** Missing entries are never asked for again after the first time. */
  readonly asksOnce?: boolean
}

export interface Verdict {
  readonly lost: number
  readonly forks: number
  readonly unverified: number
  readonly apart: number
  readonly acknowledged: number
}

interface Running {
  readonly log: AuditLog
  readonly replica: Replica
  readonly store: Store
}

export class World {
  readonly #time = new Timeline()
  readonly #random: () => number
  readonly #nodes: Node[]
  #stormy = true
  #side = new Map<Did, number>()
  acknowledged: { readonly device: Did; readonly n: number; readonly hash: string }[] = []

  constructor(
    seed: number,
    readonly broken: Broken,
    devices = 3 + (seed % 2),
  ) {
    this.#random = randomOf(seed)
    this.#nodes = Array.from({ length: devices }, (_, i) => new Node(this, IDENTITIES[i] ?? new Identity(new Uint8Array(32).fill(i + 1))))
  }

  async run(): Promise<Verdict> {
    for (const node of this.#nodes) await node.start()
    for (const node of this.#nodes) this.#live(node)
    this.#weather()
    await this.#time.runUntil(STORM_MS)
    this.#stormy = false
    await this.#time.runUntil(STORM_MS + HEAL_MS)
    return await this.#judge()
  }

  chance(p: number): boolean {
    return this.#random() < p
  }

  upTo(n: number): number {
    return Math.floor(this.#random() * n)
  }

  get time(): Timeline {
    return this.#time
  }

  get stormy(): boolean {
    return this.#stormy
  }

  /** What arrives of a message: nothing, or its bytes. */
  async carry(from: Node, to: Node): Promise<boolean> {
    await this.#time.pause(5 + this.upTo(80))
    if (!this.#stormy) return true
    return this.#side.get(from.did) === this.#side.get(to.did) && !this.chance(0.1)
  }

  peersOf(node: Node): readonly Node[] {
    return this.#nodes.filter((other) => other !== node)
  }

  #live(node: Node): void {
    this.#time.at(200 + this.upTo(2_500), () => {
      if (this.#stormy) void node.work()
      this.#live(node)
    })
    const gossip = (): void => {
      this.#time.at(500 + this.upTo(900), () => {
        const peers = this.peersOf(node)
        const peer = peers[this.upTo(peers.length)]
        if (peer !== undefined) void node.syncWith(peer)
        gossip()
      })
    }
    gossip()
  }

  /** Partitions and power cuts, as long as it is stormy. */
  #weather(): void {
    this.#time.at(800 + this.upTo(2_000), () => {
      if (!this.#stormy) return
      if (this.chance(0.5)) for (const node of this.#nodes) this.#side.set(node.did, this.chance(0.6) ? 0 : 1)
      else this.#nodes[this.upTo(this.#nodes.length)]?.powerCut()
      this.#weather()
    })
  }

  async #judge(): Promise<Verdict> {
    const verdict = { lost: 0, forks: 0, unverified: 0, apart: 0, acknowledged: this.acknowledged.length }
    const truth = new Map(this.#nodes.map((node) => [node.did, node.running?.log.head()]))
    for (const node of this.#nodes) {
      const { running } = node
      if (running === undefined) throw new Error('a device is still down')
      const report = await verifyLogs({ store: running.store.logs, mesh: MESH }, { own: node.did, witnesses: running.replica.witnesses })
      verdict.forks += report.logs.reduce((sum, log) => sum + log.forks, 0)
      verdict.unverified += report.problems.filter((problem) => problem.kind !== 'fork' && problem.kind !== 'cut').length
      for (const [did, head] of truth) {
        if ((head?.n ?? 0) !== (await newestOf(running.store.logs, did)) || running.log.refusal() !== undefined) verdict.apart += 1
      }
      verdict.lost += await this.#lostOf(node.did, running.store.logs)
    }
    return verdict
  }

  /** Acknowledged entries that their own device does not have any more. */
  async #lostOf(device: Did, store: LogStore): Promise<number> {
    const entries = new Map((await store.read(device, 0, 10_000)).map((entry) => [entry.n, Buffer.from(leafHash(entry.bytes)).toString('hex')]))
    return this.acknowledged.filter((one) => one.device === device && entries.get(one.n) !== one.hash).length
  }
}

const IDENTITIES = Array.from({ length: 8 }, (_, i) => new Identity(new Uint8Array(32).fill(i + 1)))

class Node {
  running: Running | undefined
  readonly #disk: MemoryDisk
  readonly #asked = new Set<Did>()

  constructor(
    private readonly world: World,
    readonly identity: Identity,
  ) {
    // Mostly quick, now and then a stall: the time in which a power cut hurts.
    this.#disk = new MemoryDisk(() => this.world.time.pause(3 + this.world.upTo(this.world.chance(0.15) ? 900 : 60)))
    this.#disk.tamper('!format', encode({ format: STORE_FORMAT })) // made before the story begins, when there was no weather
  }

  get did(): Did {
    return this.identity.did
  }

  async start(): Promise<void> {
    const disk: Disk = this.world.broken.acksBeforeSync === true ? hasty(this.world.time, this.#disk) : this.#disk
    const store = await Store.on(disk, 'memory')
    const logs = this.world.broken.publishesUnsynced === true ? early(store.logs, (bytes) => this.#publish(bytes)) : store.logs
    const log = await AuditLog.open({
      store: logs,
      identity: this.identity,
      mesh: MESH,
      clock: { now: () => this.world.time.now, monotonic: () => this.world.time.now, after: () => () => undefined },
    })
    const replica = await Replica.open({ store: store.logs, shelf: store.shelf('audit'), mesh: MESH, own: log })
    this.running = { log, replica, store }
    log.onHead((head) => this.#publish(head.bytes))
  }

  powerCut(): void {
    if (this.running === undefined) return
    this.running = undefined
    this.#disk.powerCut()
    this.world.time.at(100 + this.world.upTo(1_500), () => void this.start())
  }

  async work(): Promise<void> {
    const { running } = this
    if (running === undefined || running.log.refusal() !== undefined) return
    const some = Array.from({ length: 1 + this.world.upTo(3) }, () =>
      running.log.append({ actor: this.did, action: 'exec.start', result: 'allowed', task: `t${this.world.upTo(1_000)}` }),
    )
    for (const one of some) {
      void one.then(
        (record) => this.world.acknowledged.push({ device: this.did, n: record.n, hash: record.hash }),
        () => undefined,
      )
    }
  }

  /** What the mesh does with a peer: compare heads, pull what is missing. */
  async syncWith(peer: Node): Promise<void> {
    const { running } = this
    if (running === undefined) return
    const heads = await this.#ask(running, peer, { t: 'heads' })
    if (heads?.t === 'heads') for (const bytes of heads.heads) await running.replica.offerHead(bytes, peer.did)
    for (const want of running.replica.wants()) {
      if (this.world.broken.asksOnce === true && this.#asked.has(want.log)) continue
      this.#asked.add(want.log)
      const from = this.world.broken.storesUnchecked === true ? await newestOf(running.store.logs, want.log) : want.from
      if (from >= want.to) continue
      const page = await this.#ask(running, peer, { t: 'pull', log: want.log, from, max: 512 })
      if (page?.t === 'page') await this.#take(running, page)
    }
  }

  async #take(running: Running, page: Extract<Answer, { readonly t: 'page' }>): Promise<void> {
    const log = asDid(page.log)
    if (this.world.broken.storesUnchecked !== true) return void (await running.replica.accept(log, page))
    const head = { n: page.from + page.entries.length, bytes: page.head, frontier: new Uint8Array() }
    await running.store.logs.append(log, { from: page.from, entries: page.entries, head, dropHead: undefined })
  }

  async hear(bytes: Uint8Array, from: Node): Promise<void> {
    await this.running?.replica.offerHead(bytes, from.did)
  }

  #publish(bytes: Uint8Array): void {
    for (const peer of this.world.peersOf(this)) void this.world.carry(this, peer).then((arrived) => (arrived ? peer.hear(bytes, this) : undefined))
  }

  async #ask(asking: Running, peer: Node, request: Request): Promise<Answer | undefined> {
    if (!(await this.world.carry(this, peer)) || peer.running === undefined) return undefined
    const sent = await peer.running.replica.answer(decodeAs(AuditRequest, encode(request), 1 << 16))
    if (!(await this.world.carry(peer, this)) || this.running !== asking) return undefined
    const answer: Answer = decodeAs(AuditAnswer, encode(sent), 1 << 21)
    return this.world.stormy && this.world.chance(0.05) ? this.#lie(answer) : answer
  }

  /** A peer that lies about one byte of one entry. */
  #lie(answer: Answer): Answer {
    if (answer.t !== 'page') return answer
    const which = this.world.upTo(answer.entries.length)
    const at = this.world.upTo(100)
    return { ...answer, entries: answer.entries.map((bytes, i) => (i === which ? Uint8Array.from(bytes, (byte, j) => (j === at ? byte ^ 2 : byte)) : bytes)) }
  }
}
