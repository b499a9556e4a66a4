import { AUDIT } from '../../protocols/audit/messages.ts'
import type { Answer, Ask } from '../../protocols/call/messages.ts'
import { EXEC } from '../../protocols/exec/messages.ts'
import { HELLO } from '../../protocols/hello/messages.ts'
import { type SetName, SYNC } from '../../protocols/sync/messages.ts'
import { DOMAIN } from '../../protocols/wire.ts'
import { every, pause } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { seal } from '../identity/envelope.ts'
import { type Did, didOfPeerId } from '../identity/identity.ts'
import type { Verdict } from '../registry/directory.ts'
import { AuditExchange } from './audit.ts'
import { Brake } from './brake.ts'
import { callPeer, serveCalls } from './call.ts'
import { isGuestLine } from './company.ts'
import { ExecStreams, type OpenedExec, openedOn, serveExec } from './exec.ts'
import { openForward, serveForwards } from './forward.ts'
import { Gossip } from './gossip.ts'
import { tellHeads } from './heads.ts'
import { type Host, notePing, pingOn, startHost } from './host.ts'
import { serveJoin } from './join.ts'
import { Links, type Peer } from './links.ts'
import { type Move, watchMoves } from './moves.ts'
import { announceCodes } from './pair.ts'
import { Pulse } from './pulse.ts'
import { Rejoin } from './rejoin.ts'
import { Returning } from './returning.ts'
import { addressRecord } from './routes.ts'
import { type PushResult, Sync } from './sync.ts'
import { localAddressOf, socketOf } from './tcp.ts'
import type { MeshOn, MeshOptions } from './wiring.ts'

const PING_EVERY_MS = 15_000
/** How soon a connection answers whose device has come again on another one; and one whose network has changed. */
const SECOND_MS = 500
const MOVED_MS = 1_000
const REFRESH_MS = 1_000
const STOP_MS = 1_500
/** So long a caller waits while another member is dialled that may know more of it. */
const ANOTHER_MS = 2_000

export class MeshNode {
  readonly #links: Links
  readonly #brake: Brake
  readonly #sync: Sync
  readonly #gossip: Gossip
  readonly #rejoin: Rejoin
  readonly #exchange: AuditExchange
  readonly #streams: ExecStreams
  readonly #pulse: Pulse<Peer>
  readonly #returning: Returning
  #host: Host | undefined
  #stops: (() => void)[] = []
  readonly #lostAt = new Map<Did, number>()
  #seq = 0
  /** It had lines to others, and has none. */
  #isAlone = false

  constructor(
    private readonly o: MeshOptions,
    private readonly on: MeshOn,
  ) {
    const { directory, records, clock, random, log, company } = on
    this.#brake = new Brake({ clock, isKnown: (did) => directory.isKnown(did), slowed: on.refused })
    this.#links = new Links({
      ...{ self: o.identity.did, meshId: o.meshId, directory, company, clock, random, log },
      refused: on.refused,
      removals: { of: (did) => records.removalOf(did), learn: (order) => records.admit('orders', order) },
      admitMember: (bytes) => this.#admitMember(bytes),
      ownHello: (to) => this.#ownHello(to),
      reached: (stream) => this.#brake.reached(stream),
      onUp: (peer) => this.#up(peer),
      onDown: (did) => this.#down(did),
    })
    this.#pulse = new Pulse({
      ...{ clock, log },
      heard: ({ connection }) => socketOf(connection)?.bytesRead,
      isFull: ({ connection }) => (socketOf(connection)?.writableLength ?? 0) > 0,
      ask: ({ connection }) => pingOn(connection, o.meshId),
    })
    this.#returning = new Returning({
      ...{ self: o.identity.did, clock },
      members: () => directory.members().map(({ device }) => device),
      freshen: (except) => this.freshen(except),
    })
    this.#streams = new ExecStreams({ clock, watch: (peer) => this.#pulse.watch(peer) })
    this.#sync = new Sync({
      ...{ links: this.#links, records, company, clock, random, log },
      refused: (did, cost) => this.#brake.refused(did, cost),
      addresses: o.discovery.addressSync,
      compared: (did) => this.#compared(did),
    })
    this.#exchange = new AuditExchange({
      self: o.identity.did,
      links: this.#links,
      company,
      replica: on.replica,
      clock,
      refused: (did) => this.#brake.refused(did),
      mayRead: on.mayRead,
      log,
    })
    this.#gossip = new Gossip({ meshId: o.meshId, records, clock, describe: () => this.#announcement(), onHead: (head) => this.#exchange.heard(head) })
    this.#rejoin = new Rejoin({
      ...{ self: o.identity.did, links: this.#links, directory, company, clock, random, log },
      addressSync: o.discovery.addressSync,
      bootstrap: o.bootstrap,
    })
  }

  /** @throws PORT_TAKEN, CANNOT_LISTEN */
  async start(): Promise<void> {
    const { identity, meshId, listen, version, datastore, discovery } = this.o
    const { pairing, admit } = this.on.joins
    const { mdns, dht } = discovery
    const denyDial = (peerId: string): boolean => this.#isLeftAlone(didOfPeerId(peerId))
    const denyInbound = (peerId: string): boolean => this.#brake.turnsAway(didOfPeerId(peerId))
    const options = { identity, meshId, listen, version, datastore, pairing, mdns, dht, isGuest: this.o.isGuest, denyDial, denyInbound }
    this.#host = await startHost(options, async (host) => {
      this.#brake.attach(host)
      await this.#links.attach(host)
      await this.#sync.attach(host)
      await this.#exchange.attach(host)
      await serveExec(host, { links: this.#links, brake: this.#brake, door: this.on.door })
      await serveForwards(host, { links: this.#links, brake: this.#brake, door: this.on.forwards })
      await serveCalls(host, { links: this.#links, brake: this.#brake, door: this.on.calls, clock: this.on.clock })
      if (mdns && !this.o.isGuest) announceCodes(host, pairing)
      await serveJoin(host, { admit, random: this.on.random, clock: this.on.clock })
    })
    await this.#publishAddress()
    this.#gossip.start(this.#host)
    this.#rejoin.start(this.#host)
    const moves = watchMoves({ clock: this.on.clock, addresses: this.on.machineAddresses, moved: (move) => this.#moved(move) })
    this.#stops = [
      every(this.on.clock, PING_EVERY_MS, async () => void (await Promise.all(this.#links.all().map((peer) => notePing(this.#host, peer))))),
      tellHeads(this.on.auditLog, this.on.clock, (head) => this.#gossip.head(head)),
      moves,
    ]
  }

  /** Bounded: what does not stop in time is left to the end of the process. */
  async stop(): Promise<void> {
    for (const stop of this.#stops.splice(0)) stop()
    for (const part of [this.#gossip, this.#sync, this.#brake, this.#streams, this.#pulse]) part.stop()
    const rest = (async () => {
      await this.#rejoin.stop()
      await this.#host?.stop()
      await this.#exchange.stop()
    })()
    await Promise.race([rest.catch(() => undefined), new Promise<void>((resolve) => void this.on.clock.after(STOP_MS, resolve))])
  }

  /** Where this device listens, with its PeerId. */
  addresses(): string[] {
    return this.#host?.getMultiaddrs().map(String) ?? []
  }

  /** The line to a device, if there is one. */
  lineTo(did: Did): { path: 'direct' | 'relayed'; rttMs: number } | undefined {
    const peer = this.#links.of(did)
    return peer && { path: peer.connection.limits === undefined ? 'direct' : 'relayed', rttMs: Math.round(peer.rttMs * 10) / 10 }
  }

  /** Resolves when there is a line to a device and both know what the other knows. @throws NO_ROUTE */
  async meet(did: Did, { signal }: { signal: AbortSignal }): Promise<void> {
    const peer = await this.#rejoin.reach(did, { signal })
    await peer.synced
  }

  lostAt(did: Did): number | undefined {
    return this.#lostAt.get(did)
  }

  async open(did: Did, { signal }: { signal: AbortSignal }): Promise<OpenedExec> {
    const first = await this.#rejoin.reach(did, { signal })
    try {
      return openedOn(first, await this.#streams.open(first, { signal }))
    } catch (thrown) {
      if (signal.aborted) throw thrown
      // The line was dead and nobody had noticed. Nothing was asked on it yet, so asking on a fresh one is safe.
      first.connection.abort(new Error('no stream could be opened'))
      const fresh = await this.#rejoin.reach(did, { signal })
      return openedOn(fresh, await this.#streams.open(fresh, { signal }))
    }
  }

  /** A stream for one forward, or one connection of one. */
  async openForward(did: Did, { signal }: { signal: AbortSignal }): Promise<OpenedExec> {
    return await openForward(await this.#rejoin.reach(did, { signal }), { signal, watch: (peer) => this.#pulse.watch(peer) })
  }

  /** One question to a device. @throws its refusal; NO_ROUTE, LINK_CLOSED */
  async call(did: Did, ask: (far: { challenge: Uint8Array; synced: Promise<void> }) => Promise<Ask>, { signal }: { signal: AbortSignal }): Promise<Answer> {
    const peer = await this.#rejoin.reach(did, { signal })
    return await callPeer(peer, await ask({ challenge: peer.theirChallenge, synced: peer.synced }), { signal })
  }

  /** Hands records to devices that are connected; the others get them when they are met. */
  async push(set: SetName, records: Uint8Array[], to?: readonly Did[]): Promise<PushResult[]> {
    const peers = this.#links.all().filter((peer) => to === undefined || to.includes(peer.did))
    return await this.#sync.push(set, records, peers)
  }

  /** Ends the lines of devices that are out, or have nothing here any more. */
  expel(): void {
    this.#links.expel()
  }

  /** Compares revocations with a member that is not this one, dialled where none is connected; bounded. */
  async freshen(except: Did): Promise<void> {
    const isOther = ({ did }: Peer): boolean => did !== except && !this.on.company.isGuest(did)
    if (!this.#links.all().some(isOther)) await this.#rejoin.another(except, ANOTHER_MS)
    await this.#sync.freshen(except)
  }

  gossipRevocation(bytes: Uint8Array): void {
    this.#gossip.revocation(bytes)
  }

  /** Compares heads with every connected device and pulls what is missing; gives up waiting after a second. */
  async refreshLogs(): Promise<void> {
    await Promise.race([this.#exchange.meetAll(), pause(this.on.clock, REFRESH_MS)])
  }

  #compared(did: Did): void {
    this.#returning.compared(did)
    this.on.compared(did)
  }

  #down(did: Did): void {
    this.#lostAt.set(did, this.on.clock.now())
    this.#isAlone = this.#links.all().length === 0
    this.#rejoin.lost(did)
  }

  /** Connections on an address that this machine gave up for another one are dead, though nobody will ever say so; of the others nobody knows. */
  #moved({ gone, come }: Move): void {
    if (come.size === 0) return // a cable that is out may be back before anything is lost
    for (const peer of this.#links.every()) {
      if (gone.has(localAddressOf(peer.connection) ?? '')) peer.connection.abort(new Error('this device has another address now'))
      else this.#pulse.probe(peer, { withinMs: MOVED_MS })
    }
    void this.#publishAddress().catch((thrown: unknown) => this.on.log('address not published', { why: String(thrown) }))
    this.#rejoin.hurry()
  }

  /** A guest that has nothing here is dialled for somebody who asks for it, and never by what libp2p does on its own. */
  #isLeftAlone(did: Did): boolean {
    if (this.#brake.isOwing(did)) return true
    return this.on.company.isGuest(did) && !this.on.company.mayMeet(did) && !this.#rejoin.isWanted(did)
  }

  #up(peer: Peer): void {
    if (this.#isAlone) this.#returning.back()
    this.#isAlone = false
    if (!this.on.company.isGuest(peer.did)) this.on.heardTime(peer.did, peer.hello.time)
    this.#rejoin.up(peer)
    // A device that dials again has lost what it had: what is dead here as well must not hold up what it comes back for.
    for (const other of this.#links.every()) if (other.did === peer.did && other !== peer) this.#pulse.probe(other, { withinMs: SECOND_MS })
    peer.synced = this.#sync.catchUp(peer)
    peer.heard = async () => void (await Promise.all([peer.synced, this.#returning.ask(peer.did)]))
    void peer.synced.then(() => this.#exchange.meet(peer))
    if (peer.connection.direction === 'inbound') void notePing(this.#host, peer)
    if (isGuestLine(this.on.company, peer.did)) return
    // Both sides refuse everything before hello, so identify, which tells gossip and DHT of a peer, runs now.
    void this.#host?.services.identify
      ?.identify(peer.connection)
      .then(() => this.#gossip.announce())
      .catch((thrown: unknown) => this.on.log('identify failed', { did: peer.did, why: String(thrown) }))
  }

  #ownHello(to: Did): ReturnType<ConstructorParameters<typeof Links>[0]['ownHello']> {
    const membership = this.on.directory.lastMembershipBytes(this.o.identity.did)
    if (membership === undefined) throw new ErrandError('NOT_A_MEMBER', 'this device has no membership of this mesh')
    const logs = isGuestLine(this.on.company, to) ? [] : AUDIT.ids
    return { version: this.o.version, membership, protocols: [...HELLO.ids, ...EXEC.ids, ...SYNC.ids, ...logs], digests: this.on.records.digests(to) }
  }

  /** On a full disk the record counts all the same: a device that cannot write must not be cut off. */
  async #admitMember(membership: Uint8Array): Promise<Verdict> {
    try {
      return (await this.on.records.admit('members', membership)).verdict
    } catch (thrown) {
      this.on.log('membership not kept', { why: String(thrown) })
      return 'known'
    }
  }

  async #publishAddress(): Promise<void> {
    await this.on.records.admit('addresses', addressRecord(this.o, this.addresses(), this.on.clock.now()))
  }

  #announcement(): Uint8Array {
    const { identity, meshId } = this.o
    this.#seq = Math.max(this.on.clock.now(), this.#seq + 1)
    const bytes = seal(identity, DOMAIN.announce, meshId, { v: 1, device: identity.did, seq: this.#seq, ...this.on.describe() })
    void this.on.records.admit('announcements', bytes)
    return bytes
  }
}
