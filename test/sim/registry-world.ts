/**
 * A seeded mesh for the signed record sets: shipped Directory, MeshRecords and paging over an exchange that loses, splits, reorders
 * and lies, and devices that restart from their disks. One seed, one history.
 */
import { type SetName, SYNC } from '../../protocols/sync/messages.ts'
import { revoke } from '../../src/authority/revocations.ts'
import { have, missing, recordId } from '../../src/registry/records.ts'
import { keyOf, MemoryShelf, MeshWorld, mallory, owner, type Rooms } from '../unit/runtime/mesh-world.ts'
import { randomOf } from './audit-parts.ts'

/** Deliberate breakages, one for each promise the simulation has to guard. */
export interface Broken {
  /** What a device is sent it believes, whoever signed it. */
  readonly believesAll?: boolean
  /** Revocations are acknowledged and never written. */
  readonly forgets?: boolean
  /** A page is asked for once; what did not fit is not asked for again. */
  readonly onePage?: boolean
  /** Of two records the one that came last is kept, not the newer. */
  readonly lastWins?: boolean
  /** A removal of a device that is not known yet is dropped. */
  readonly dropsEarly?: boolean
}

export interface Verdict {
  /** Sets that differ after the heal. */
  readonly apart: number
  /** Devices that do not know where another one is now. */
  readonly stale: number
  /** Forged records that count somewhere. */
  readonly forged: number
  /** Acknowledged revocations that some device no longer has. */
  readonly lost: number
  readonly acknowledged: number
  /** Devices that think otherwise of who is removed than the orders say. */
  readonly revived: number
}

interface Node {
  readonly key: ReturnType<typeof keyOf>
  rooms: Rooms
}

const SHARED = ['orders', 'members', 'addresses', 'announcements', 'revocations'] as const satisfies readonly SetName[]
const STORM_STEPS = 120
const PASSERS = [40, 41, 42].map((n) => keyOf(n))
/** Small pages, so that a few dozen records need many of them. */
const PAGE = { prefixBytes: SYNC.idPrefixBytes, maxRecords: 3, maxBytes: 4_096 }

export class RegistryWorld {
  readonly #world = new MeshWorld()
  readonly #random: () => number
  readonly #nodes: Node[]
  readonly #acknowledged = new Map<string, Node>()
  readonly #forged = new Set<string>()
  /** The newest address of each device: what all must know in the end. */
  readonly #moves = new Map<string, { readonly seq: number; readonly id: string }>()
  #side: number[] = []
  /** Devices that come and go by the owner's word: of each the newest membership that the owner signed, and the newest removal. */
  readonly #passers = new Map(PASSERS.map((key) => [key.did as string, { in: 0, out: 0 }]))
  /** Of each removal, whom it is about. */
  readonly #removals = new Map<string, string>()

  constructor(
    seed: number,
    readonly broken: Broken,
  ) {
    this.#random = randomOf(seed)
    this.#nodes = Array.from({ length: 4 + (seed % 3) }, (_, i) => ({ key: keyOf(20 + i), rooms: this.#rooms(new MemoryShelf()) }))
  }

  async run(): Promise<Verdict> {
    const [founder] = this.#nodes
    if (founder === undefined) throw new TypeError('a mesh has devices')
    for (const { key } of this.#nodes) await founder.rooms.records.admit('members', this.#world.member(key, `device-${this.#upTo(99)}`, { at: 1 }))
    for (const node of this.#nodes) await node.rooms.records.admit('members', this.#world.member(node.key, 'own', { at: 1 }))
    for (let step = 0; step < STORM_STEPS; step++) await this.#stormStep()
    this.#side = []
    for (const a of this.#nodes) for (const b of this.#nodes) if (a !== b) await this.#pullAll(a, b, { loss: 0 })
    return this.#judge()
  }

  async #stormStep(): Promise<void> {
    this.#world.clock.advance(1 + this.#upTo(500))
    if (this.#chance(0.1)) this.#side = this.#nodes.map(() => this.#upTo(2))
    const node = this.#any()
    if (this.#chance(0.05)) await this.#restart(node)
    if (this.#chance(0.5)) await this.#happen(node)
    if (this.#chance(0.15)) await this.#lie(this.#any())
    const other = this.#any()
    if (node !== other && this.#connected(node, other)) await this.#pullAll(node, other, { loss: 0.3 })
  }

  /** Something true: a device moves, speaks, is renamed, or takes a right back. */
  async #happen({ key, rooms }: Node): Promise<void> {
    const seq = this.#world.clock.now() + this.#upTo(3) // clocks of devices differ
    const what = this.#upTo(6)
    if (what === 0) await this.#move({ key, rooms }, seq)
    else if (what === 1) await rooms.records.admit('announcements', this.#world.announcement(key, seq))
    else if (what === 2) await rooms.records.admit('members', this.#world.member(this.#any().key, `name-${this.#upTo(99)}`, { at: seq }))
    else if (what === 3) await this.#revoke({ key, rooms })
    else await this.#pass(rooms, seq, what === 4 ? 'in' : 'out')
  }

  /** An owner admits a device, or removes it, on whichever of the owner's devices that happens. */
  async #pass({ records }: Rooms, at: number, way: 'in' | 'out'): Promise<void> {
    const device = PASSERS[this.#upTo(PASSERS.length)] ?? mallory
    const order = this.#world.order('remove', device.did, { at })
    if (way === 'in') await records.admit('members', this.#world.member(device, `passer-${this.#upTo(9)}`, { at }))
    else {
      this.#removals.set(recordId(order), device.did)
      await records.admit('orders', order)
    }
    const seen = this.#passers.get(device.did)
    if (seen !== undefined) seen[way] = Math.max(seen[way], at)
  }

  #revived(): number {
    const wrong = ({ rooms }: Node): boolean => [...this.#passers].some(([did, seen]) => rooms.directory.isMember(did) !== seen.in > seen.out)
    return this.#nodes.filter(wrong).length
  }

  async #move({ key, rooms }: Node, seq: number): Promise<void> {
    const bytes = this.#world.address(key, seq, [`/ip4/10.0.0.${this.#upTo(250)}/tcp/4701`])
    const [id, known] = [recordId(bytes), this.#moves.get(key.did)]
    if (known === undefined || seq > known.seq || (seq === known.seq && id < known.id)) this.#moves.set(key.did, { seq, id })
    await rooms.records.admit('addresses', bytes)
  }

  async #revoke(node: Node): Promise<void> {
    const { bytes } = revoke(node.key, this.#world.grant(node.key, owner, node.key).cid, this.#world.random)
    await node.rooms.records.admit('revocations', bytes)
    this.#acknowledged.set(recordId(bytes), node)
  }

  /** Somebody sends what is not so: records of strangers, and members speaking for others. */
  async #lie({ key, rooms }: Node): Promise<void> {
    const at = this.#world.clock.now() * 2
    const lies: readonly (readonly [SetName, Uint8Array])[] = [
      ['members', this.#world.member(mallory, 'mallory', { by: mallory, at })],
      ['members', this.#world.member(key, 'puppet', { by: this.#any().key, at })],
      ['addresses', this.#world.address(key, at, ['/ip4/6.6.6.6/tcp/1'], mallory)],
      ['announcements', this.#world.announcement(key, at, mallory)],
    ]
    for (const [set, bytes] of lies) {
      this.#forged.add(recordId(bytes))
      await rooms.records.admit(set, bytes)
    }
  }

  async #restart(node: Node): Promise<void> {
    const rooms = this.#rooms(node.rooms.shelf)
    await rooms.records.load()
    node.rooms = rooms
  }

  /** Hello comes first: each side shows its membership. */
  async #pullAll(asker: Node, server: Node, o: { loss: number }): Promise<void> {
    await server.rooms.records.admit('members', this.#world.member(asker.key, 'own', { at: 1 }))
    for (const set of SHARED) await this.#pull(asker, server, { set, ...o })
  }

  /** The loop of `Sync.#pull`, message by message. */
  async #pull(asker: Node, server: Node, { set, loss }: { set: SetName; loss: number }): Promise<void> {
    const shown: (readonly [string, Uint8Array])[] = []
    for (let page = 0; page < 64; page++) {
      if (this.#chance(loss)) return
      const held = [...asker.rooms.records.visible(set, server.key.did), ...shown]
      const answer = missing(server.rooms.records.visible(set, asker.key.did), have(held, PAGE.prefixBytes), PAGE)
      if (this.#chance(loss)) return
      const shuffled = answer.records.map((bytes) => ({ bytes, at: this.#random() })).sort((a, b) => a.at - b.at)
      for (const { bytes } of shuffled) await asker.rooms.records.admit(set, bytes)
      if (this.broken.onePage === true || !answer.more || answer.records.length === 0) return
      for (const bytes of answer.records) shown.push([recordId(bytes), bytes])
    }
  }

  #judge(): Verdict {
    const digestOf = (node: Node, set: (typeof SHARED)[number]): string =>
      [...node.rooms.records.visible(set, node.key.did)]
        .map(([id]) => id)
        .sort()
        .join()
    const apart = SHARED.filter((set) => new Set(this.#nodes.map((node) => digestOf(node, set))).size > 1).length
    const held = this.#nodes.flatMap((node) => SHARED.flatMap((set) => [...node.rooms.records.visible(set, node.key.did)].map(([id]) => id)))
    const has = (node: Node, id: string): boolean => [...node.rooms.records.visible('revocations', node.key.did)].some(([one]) => one === id)
    const lost = [...this.#acknowledged.keys()].filter((id) => !this.#nodes.every((node) => has(node, id))).length
    const knows = (node: Node, id: string): boolean => [...node.rooms.records.visible('addresses', node.key.did)].some(([one]) => one === id)
    const stale = this.#nodes.filter((node) => ![...this.#moves.values()].every(({ id }) => knows(node, id))).length
    return { apart, stale, forged: held.filter((id) => this.#forged.has(id)).length, lost, acknowledged: this.#acknowledged.size, revived: this.#revived() }
  }

  #rooms(shelf: MemoryShelf): Rooms {
    const rooms = this.#world.device(shelf)
    const { believesAll, forgets, lastWins, dropsEarly } = this.broken
    if (forgets === true) shelf.put = () => Promise.resolve()
    if (believesAll === true) return { ...rooms, records: believing(rooms, this.#forged) }
    if (dropsEarly === true) return { ...rooms, records: impatient(rooms, this.#removals) }
    if (lastWins === true) return { ...rooms, records: forgetful(rooms) }
    return rooms
  }

  #connected(a: Node, b: Node): boolean {
    return this.#side[this.#nodes.indexOf(a)] === this.#side[this.#nodes.indexOf(b)]
  }

  #any(): Node {
    const node = this.#nodes[this.#upTo(this.#nodes.length)]
    if (node === undefined) throw new TypeError('a mesh has devices')
    return node
  }

  #chance(p: number): boolean {
    return this.#random() < p
  }

  #upTo(n: number): number {
    return Math.floor(this.#random() * n)
  }
}

type Records = Rooms['records']

/** What it cannot place yet it throws away, and says that it has it. */
function impatient({ records, directory }: Rooms, removals: ReadonlyMap<string, string>): Records {
  return overriding(records, {
    admit: async (set, bytes) => {
      const about = removals.get(recordId(bytes))
      if (about === undefined || directory.isKnown(about)) return await records.admit(set, bytes)
      return { verdict: 'known', stopped: [] }
    },
    visible: (set, reader) => records.visible(set, reader),
  })
}

/** Keeps a list beside the shipped records: what they refuse counts all the same. */
function believing({ records }: Rooms, forged: ReadonlySet<string>): Records {
  const extra = new Map<SetName, Map<string, Uint8Array>>()
  return overriding(records, {
    admit: async (set, bytes) => {
      if (forged.has(recordId(bytes))) extra.set(set, (extra.get(set) ?? new Map<string, Uint8Array>()).set(recordId(bytes), bytes))
      return await records.admit(set, bytes)
    },
    visible: (set, reader) => [...records.visible(set, reader), ...(extra.get(set) ?? [])],
  })
}

/** Addresses as they came, the last one first: no order among records of one device. */
function forgetful({ records, directory }: Rooms): Records {
  const last = new Map<string, Uint8Array>()
  return overriding(records, {
    admit: async (set, bytes) => {
      const admitted = await records.admit(set, bytes)
      if (set === 'addresses' && admitted.verdict !== 'refused') last.set(ownerOf(bytes, directory), bytes)
      return admitted
    },
    visible: (set, reader) => (set === 'addresses' ? [...last.values()].map((bytes) => [recordId(bytes), bytes] as const) : records.visible(set, reader)),
  })
}

function ownerOf(bytes: Uint8Array, directory: Rooms['directory']): string {
  const text = Buffer.from(bytes).toString('latin1')
  return directory.members().find(({ device }) => text.includes(device))?.device ?? ''
}

function overriding(records: Records, over: Pick<Records, 'admit' | 'visible'>): Records {
  return Object.assign(Object.create(records), { ...over, load: () => records.load() })
}
