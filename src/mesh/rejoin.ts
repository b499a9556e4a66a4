/**
 * Keeps this device connected: dials every member it has no line to, with backoff, for as long as it runs.
 * Ways to find a device, in this order: its signed address record, what libp2p remembers of it, mDNS, the DHT.
 */
import { peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { type Clock, every, pause, type Random } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { type Did, peerIdOf } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { Company } from './company.ts'
import type { Host } from './host.ts'
import { knocked } from './knock.ts'
import type { Links, Peer } from './links.ts'
import { noRoute, placeOf, withPeer } from './routes.ts'

const TICK_MS = 1_000
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 20_000
const DIAL_MS = 8_000
const FIND_MS = 8_000
/** Lines kept open without being asked for. Above it a device is dialled when it is needed. */
const MAX_KEPT_LINES = 32
const PARALLEL_DIALS = 4
/** So long after a line was lost its device is dialled without backoff: a cut ends, and somebody may wait for it. */
const RECENT_MS = 120_000
/** An address that answered and was not the device is left alone for a while. */
const WRONG_MS = 5_000

interface Attempt {
  nextAt: number
  waitMs: number
}

/** Somebody waits for a line; `came` when there is one, whoever dialled. */
interface Awaited {
  count: number
  came: (peer: Peer) => void
  readonly peer: Promise<Peer>
}

export interface RejoinOn {
  readonly self: Did
  readonly links: Links
  readonly directory: Directory
  readonly company: Pick<Company, 'mayMeet'>
  readonly clock: Clock
  readonly random: Random
  /** False switches address records off as a way to find devices. */
  readonly addressSync: boolean
  readonly bootstrap: readonly string[]
  readonly log: (event: string, facts: Record<string, unknown>) => void
}

export class Rejoin {
  readonly #attempts = new Map<string, Attempt>()
  readonly #dialling = new Map<string, Promise<Peer>>()
  readonly #awaited = new Map<Did, Awaited>()
  readonly #lostAt = new Map<Did, number>()
  #host: Host | undefined
  #stop = (): void => {}
  #round = Promise.resolve()

  constructor(private readonly on: RejoinOn) {}

  start(host: Host): void {
    this.#host = host
    host.addEventListener('peer:discovery', (event) => this.#discovered(event.detail.id.toString(), event.detail.multiaddrs))
    for (const address of this.on.bootstrap) void this.#bootstrap(host, multiaddr(address)).catch(() => undefined)
    this.#tick()
    this.#stop = every(this.on.clock, TICK_MS, () => this.#tick())
  }

  async stop(): Promise<void> {
    this.#stop()
    this.#host = undefined
    await Promise.race([this.#round, new Promise<void>((resolve) => void this.on.clock.after(200, resolve))])
  }

  /** A line that went down is dialled again soon, not at the end of an old backoff. */
  lost(did: Did): void {
    this.#attempts.delete(did)
    this.#lostAt.set(did, this.on.clock.monotonic())
  }

  /** There is a line, perhaps one that the other side dialled: nobody waits for ours any more. */
  up(peer: Peer): void {
    this.#attempts.delete(peer.did)
    this.#lostAt.delete(peer.did)
    this.#awaited.get(peer.did)?.came(peer)
  }

  /** Somebody here wants this device now. */
  isWanted(did: Did): boolean {
    return this.#awaited.has(did)
  }

  /** This device is on another network: what failed on the old one is tried again now. */
  hurry(): void {
    this.#attempts.clear()
    if (this.#host !== undefined) this.#tick()
  }

  /**
   * The line to a device, dialled when there is none.
   * @throws NO_ROUTE, naming what was tried. Aborting gives up waiting; the dial itself ends by its own deadline.
   */
  async reach(did: Did, { signal }: { signal: AbortSignal }): Promise<Peer> {
    if (this.on.directory.isRemoved(this.on.self)) {
      throw new ErrandError('REMOVED', 'this device was removed from the mesh by an owner', { hint: 'to come back: errand invite on an owner’s device' })
    }
    const there = this.on.links.of(did)
    if (there !== undefined) return there
    signal.throwIfAborted()
    const awaited = this.#await(did)
    return await Promise.race([
      this.#dial(did),
      awaited.peer,
      new Promise<never>((_, reject) =>
        signal.addEventListener('abort', () => reject(new ErrandError('CANCELLED', 'cancelled while dialling')), { once: true }),
      ),
    ]).finally(() => {
      awaited.count--
      if (awaited.count === 0) this.#awaited.delete(did)
    })
  }

  /** Resolves when another device than this one is met and both know what the other knows; when none can be reached; or in time. */
  async another(except: Did, withinMs: number): Promise<void> {
    const others = this.on.directory.peers(this.on.self).filter(({ did }) => did !== except && this.on.company.mayMeet(did))
    const met = others.slice(0, PARALLEL_DIALS).map(async ({ did }) => await (await this.#dial(did)).synced)
    await Promise.race([Promise.any(met).catch(() => undefined), pause(this.on.clock, withinMs)])
  }

  #await(did: Did): Awaited {
    const known = this.#awaited.get(did)
    if (known !== undefined) {
      known.count++
      return known
    }
    let came: Awaited['came'] = () => {}
    const peer = new Promise<Peer>((resolve) => (came = resolve))
    const awaited = { count: 1, came, peer }
    this.#awaited.set(did, awaited)
    return awaited
  }

  /** Remembered before it is dialled: a device that is not there yet is tried again like every other, also after a restart. */
  async #bootstrap(host: Host, address: Multiaddr): Promise<void> {
    const peerId = address.getComponents().findLast(({ name }) => name === 'p2p')?.value
    if (peerId !== undefined) await host.peerStore.merge(peerIdFromString(peerId), { multiaddrs: [address] })
    await host.dial(address, { signal: AbortSignal.timeout(DIAL_MS) })
  }

  #tick(): void {
    if (this.on.directory.isRemoved(this.on.self)) return
    const now = this.on.clock.monotonic()
    const due = this.on.directory
      .peers(this.on.self)
      .filter(
        ({ did }) =>
          this.on.company.mayMeet(did) && this.on.links.of(did) === undefined && !this.#dialling.has(did) && (this.#attempts.get(did)?.nextAt ?? 0) <= now,
      )
    const room = Math.min(MAX_KEPT_LINES - this.on.links.all().length, PARALLEL_DIALS - this.#dialling.size)
    for (const { did } of due.slice(0, Math.max(0, room))) {
      this.#round = this.#dial(did).then(
        () => undefined,
        () => undefined,
      )
    }
  }

  #dial(did: Did): Promise<Peer> {
    const running = this.#dialling.get(did)
    if (running !== undefined) return running
    const dialling = this.#tryEverything(did).finally(() => this.#dialling.delete(did))
    this.#dialling.set(did, dialling)
    return dialling
  }

  /** The ways in their order; and as soon as some address is heard to answer, that one. */
  async #tryEverything(did: Did): Promise<Peer> {
    const host = this.#host
    if (host === undefined) throw new ErrandError('STOPPING', 'this node is stopping')
    const tried: string[] = []
    const wrong = new Set<string>()
    for (;;) {
      const turn = new AbortController()
      const ways = this.#ways(host, did, { tried, signal: turn.signal })
      const answers = knocked(() => this.#worthKnocking(host, did, wrong), { clock: this.on.clock, signal: turn.signal })
      const heard = await Promise.race([ways, answers])
      turn.abort()
      const found = heard === undefined || 'did' in heard ? heard : await this.#answered(host, heard, ways)
      if (found !== undefined) return found
      if (heard === undefined) break
      this.#forgetWhile(wrong, heard.toString())
    }
    this.#backOff(did)
    throw noRoute(this.on.directory.nameOf(did) ?? did, tried)
  }

  /** @returns undefined when none of them leads anywhere, or it was given up for something better. */
  async #ways(host: Host, did: Did, { tried, signal }: { tried: string[]; signal: AbortSignal }): Promise<Peer | undefined> {
    for (const way of [() => this.#byRecord(did), () => this.#byDht(host, did)]) {
      try {
        const addresses = await way()
        if (signal.aborted) return undefined
        if (addresses.length === 0) continue
        tried.push(...addresses.map(String))
        return await this.#through(host, addresses, AbortSignal.any([signal, AbortSignal.timeout(DIAL_MS)]))
      } catch (thrown) {
        const error = asErrand(thrown)
        if (error.code === 'NOT_ADMITTED') tried.push(error.message)
      }
    }
    return undefined
  }

  async #through(host: Host, addresses: Multiaddr[], signal: AbortSignal): Promise<Peer> {
    const peer = await this.on.links.ready(await host.dial(addresses, { signal }))
    this.#attempts.delete(peer.did)
    return peer
  }

  /** libp2p joins dials to one peer, so the one that hangs on another address has to be gone first. */
  async #answered(host: Host, address: Multiaddr, ways: Promise<Peer | undefined>): Promise<Peer | undefined> {
    const already = await ways
    if (already !== undefined) return already
    await pause(this.on.clock, 0)
    return await this.#through(host, [address], AbortSignal.timeout(DIAL_MS)).catch(() => undefined)
  }

  /** Only where somebody waits for the line or just had it: knocking at every device that is switched off would be noise. */
  async #worthKnocking(host: Host, did: Did, wrong: ReadonlySet<string>): Promise<Multiaddr[]> {
    if (!this.#awaited.has(did) && !this.#isRecent(did)) return []
    const own = host.getMultiaddrs().map((address) => placeOf(address))
    return (await this.#byRecord(did)).filter((address) => !wrong.has(address.toString()) && !own.includes(placeOf(address)))
  }

  #forgetWhile(wrong: Set<string>, address: string): void {
    wrong.add(address)
    this.on.clock.after(WRONG_MS, () => wrong.delete(address))
  }

  #isRecent(did: Did): boolean {
    return this.on.clock.monotonic() - (this.#lostAt.get(did) ?? Number.NEGATIVE_INFINITY) < RECENT_MS
  }

  async #byRecord(did: Did): Promise<Multiaddr[]> {
    const host = this.#host
    const peerId = peerIdOf(did)
    const recorded = this.on.addressSync ? this.on.directory.addressesOf(did) : []
    const remembered =
      host === undefined
        ? []
        : await host.peerStore.get(peerIdFromString(peerId)).then(
            (peer) => peer.addresses.map((a) => a.multiaddr.toString()),
            () => [],
          )
    return [...new Set([...recorded, ...remembered])].map((address) => withPeer(address, peerId))
  }

  async #byDht(host: Host, did: Did): Promise<Multiaddr[]> {
    const peerId = peerIdOf(did)
    if (host.services.dht === undefined || this.on.links.all().length === 0) return []
    const found = await host.peerRouting.findPeer(peerIdFromString(peerId), { signal: AbortSignal.timeout(FIND_MS) })
    return found.multiaddrs.map((address) => withPeer(address.toString(), peerId))
  }

  #discovered(peerId: string, addresses: Multiaddr[]): void {
    const peer = this.on.directory.peers(this.on.self).find((one) => one.peerId === peerId)
    if (
      peer === undefined ||
      !this.on.company.mayMeet(peer.did) ||
      this.on.links.of(peer.did) !== undefined ||
      this.#dialling.has(peer.did) ||
      addresses.length === 0
    )
      return
    this.#attempts.delete(peer.did)
    this.#tick()
  }

  #backOff(did: Did): void {
    const waitMs = Math.min(this.#isRecent(did) ? FIRST_RETRY_MS : LAST_RETRY_MS, (this.#attempts.get(did)?.waitMs ?? FIRST_RETRY_MS / 2) * 2)
    const jitter = 0.75 + ((this.on.random(1)[0] ?? 0) / 255) * 0.5 // so that devices which lost each other together do not dial in step
    this.#attempts.set(did, { waitMs, nextAt: this.on.clock.monotonic() + waitMs * jitter })
  }
}
