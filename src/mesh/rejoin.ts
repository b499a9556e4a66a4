/**
 * Keeps this device connected: dials every member it has no line to, with backoff, for as long as it runs.
 * Ways to find a device, in this order: its signed address record, what libp2p remembers of it, mDNS, the DHT.
 */
import { peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { type Clock, every, type Random } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { type Did, isDid, peerIdOf } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { Host } from './host.ts'
import type { Links, Peer } from './links.ts'

const TICK_MS = 1_000
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 20_000
const DIAL_MS = 8_000
const FIND_MS = 8_000
/** Lines kept open without being asked for. Above it a device is dialled when it is needed. */
const MAX_KEPT_LINES = 32
const PARALLEL_DIALS = 4

interface Attempt {
  nextAt: number
  waitMs: number
}

export interface RejoinOn {
  readonly self: Did
  readonly links: Links
  readonly directory: Directory
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
  }

  /**
   * The line to a device, dialled when there is none.
   * @throws NO_ROUTE, naming what was tried. Aborting gives up waiting; the dial itself ends by its own deadline.
   */
  async reach(did: Did, { signal }: { signal: AbortSignal }): Promise<Peer> {
    const there = this.on.links.of(did)
    if (there !== undefined) return there
    signal.throwIfAborted()
    return await Promise.race([
      this.#dial(did),
      new Promise<never>((_, reject) =>
        signal.addEventListener('abort', () => reject(new ErrandError('CANCELLED', 'cancelled while dialling')), { once: true }),
      ),
    ])
  }

  /** Remembered before it is dialled: a device that is not there yet is tried again like every other, also after a restart. */
  async #bootstrap(host: Host, address: Multiaddr): Promise<void> {
    const peerId = address.getComponents().findLast(({ name }) => name === 'p2p')?.value
    if (peerId !== undefined) await host.peerStore.merge(peerIdFromString(peerId), { multiaddrs: [address] })
    await host.dial(address, { signal: AbortSignal.timeout(DIAL_MS) })
  }

  #tick(): void {
    const now = this.on.clock.monotonic()
    const due = this.on.directory
      .peers(this.on.self)
      .filter(({ did }) => this.on.links.of(did) === undefined && !this.#dialling.has(did) && (this.#attempts.get(did)?.nextAt ?? 0) <= now)
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

  async #tryEverything(did: Did): Promise<Peer> {
    const host = this.#host
    if (host === undefined) throw new ErrandError('STOPPING', 'this node is stopping')
    const tried: string[] = []
    for (const way of [() => this.#byRecord(did), () => this.#byDht(host, did)]) {
      try {
        const addresses = await way()
        if (addresses.length === 0) continue
        tried.push(...addresses.map(String))
        const connection = await host.dial(addresses, { signal: AbortSignal.timeout(DIAL_MS) })
        const peer = await this.on.links.ready(connection)
        this.#attempts.delete(did)
        return peer
      } catch (thrown) {
        const error = asErrand(thrown)
        if (error.code === 'NOT_ADMITTED') tried.push(error.message)
      }
    }
    this.#backOff(did)
    throw noRoute(this.on.directory.nameOf(did) ?? did, tried)
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
    if (peer === undefined || this.on.links.of(peer.did) !== undefined || this.#dialling.has(peer.did) || addresses.length === 0) return
    this.#attempts.delete(peer.did)
    this.#tick()
  }

  #backOff(did: string): void {
    const waitMs = Math.min(LAST_RETRY_MS, (this.#attempts.get(did)?.waitMs ?? FIRST_RETRY_MS / 2) * 2)
    const jitter = 0.75 + ((this.on.random(1)[0] ?? 0) / 255) * 0.5 // so that devices which lost each other together do not dial in step
    this.#attempts.set(did, { waitMs, nextAt: this.on.clock.monotonic() + waitMs * jitter })
  }
}

function withPeer(address: string, peerId: string): Multiaddr {
  return multiaddr(address.includes('/p2p/') ? address : `${address}/p2p/${peerId}`)
}

function noRoute(name: string, tried: readonly string[]): ErrandError {
  const detail = tried.length === 0 ? 'no address of it is known' : `tried ${[...new Set(tried)].slice(0, 6).join(', ')}`
  return new ErrandError('NO_ROUTE', `cannot reach ${isDid(name) ? name : `"${name}"`}: ${detail}`, {
    hint: 'is it up and on a network that this device reaches? see: errand devices',
    retryable: true,
    fields: { tried: [...new Set(tried)] },
  })
}
