/**
 * Brings the sets of signed records of two members up to date, at hello, on every change, and now and then in between.
 * Gossip may lose messages; this is what settles them. Spec: protocols/sync/README.md.
 */
import type { Stream } from '@libp2p/interface'
import type { Digests } from '../../protocols/hello/messages.ts'
import { GUEST_SETS, GUEST_WORDS, SETS, type SetName, SYNC, SyncAnswer, SyncAsk } from '../../protocols/sync/messages.ts'
import { sameBytes } from '../../protocols/wire.ts'
import { type Clock, every, pause, type Random } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import { have, missing, recordId } from '../registry/records.ts'
import { type Company, isGuestLine, notForGuests } from './company.ts'
import type { Host } from './host.ts'
import type { Links, Peer } from './links.ts'
import { MessageLink } from './streams.ts'

/** The sets of this device, as sync needs them. */
export interface SyncedRecords {
  digests(reader?: Did): Digests
  /** What `reader` may see of a set. */
  visible(set: SetName, reader: Did): Iterable<readonly [string, Uint8Array]>
  /** Those of these records that a device may see. */
  tellable(set: SetName, records: readonly Uint8Array[], to: Did): Uint8Array[]
  /** Whether a device may bring such a record at all: a guest brings its own words. */
  mayBring(set: SetName, bytes: Uint8Array, from: Did): boolean
  /** Orders that show to a device that it was removed. */
  removalOf(did: Did): Uint8Array[]
  /** Verifies and keeps one record; `stopped` names the tasks that a revocation ended. `secondHand`: somebody had kept it, so it may be old. */
  admit(set: SetName, bytes: Uint8Array, o?: { readonly secondHand?: boolean }): Promise<{ verdict: 'new' | 'known' | 'refused'; stopped: string[] }>
}

export interface PushResult {
  readonly did: Did
  readonly acknowledged: boolean
  readonly stopped: string[]
  /** From the question to the answer. */
  readonly ms: number
}

const ANTI_ENTROPY_MS = 15_000
/** A new record is handed on to this many others; anti-entropy reaches the rest. */
const FORWARD_TO = 8
/** Records that are not taken cost so much less than a request: a signature at most, and members pass on what they believed. */
const RECORDS_A_REFUSAL = 8
const MAX_PAGES = 64
const FRESHEN_WITH = 3
const FRESHEN_MS = 2_000
const NOTHING = new Uint8Array()
/** Sets that every member holds whole, and that are therefore handed on. */
const SHARED: readonly SetName[] = ['orders', 'members', 'addresses', 'revocations']

export class Sync {
  #stop = (): void => {}

  constructor(
    private readonly on: {
      links: Links
      records: SyncedRecords
      company: Company
      clock: Clock
      random: Random
      addresses: boolean
      /** Told that a question of this peer was refused, or what it brought; as much as it cost. */
      refused: (did: Did, cost: number) => void
      /** Told when the whole set of revocations was compared with a member. */
      compared: (did: Did) => void
      log: (event: string, facts: Record<string, unknown>) => void
    },
  ) {}

  async attach(host: Host): Promise<void> {
    await host.handle([...SYNC.ids], (stream, connection) => this.#serve(stream, this.on.links.peerOn(connection)), {
      maxInboundStreams: 64,
      maxOutboundStreams: 64,
    })
    this.#stop = every(this.on.clock, ANTI_ENTROPY_MS, async () => {
      const peers = this.on.links.all()
      const peer = peers[(this.on.random(1)[0] ?? 0) % Math.max(1, peers.length)]
      if (peer !== undefined) await this.#pullAll(peer, [...SETS])
    })
  }

  stop(): void {
    this.#stop()
  }

  /** What a fresh connection lacks, by the digests of hello. Never rejects: a peer that cannot sync is still a peer. */
  async catchUp(peer: Peer): Promise<void> {
    const ours = this.on.records.digests(peer.did)
    const theirs = peer.hello.digests
    const differing = (['orders', 'members', 'addresses', 'revocations'] as const).filter((set) => !sameBytes(ours[set] ?? NOTHING, theirs[set] ?? NOTHING))
    if (!differing.includes('revocations')) this.#compared(peer)
    await this.#pullAll(peer, [...differing, 'delegations', 'announcements'])
  }

  /** Compares revocations with some connected members, this one aside; gives up waiting after two seconds. */
  async freshen(except: Did): Promise<void> {
    const others = this.on.links.all().filter(({ did }) => did !== except && !this.on.company.isGuest(did))
    const compared = others.slice(0, FRESHEN_WITH).map((peer) => this.#pullAll(peer, ['revocations']))
    if (compared.length > 0) await Promise.race([Promise.race(compared), pause(this.on.clock, FRESHEN_MS)])
  }

  /** Hands records to the given devices (all connected ones by default); resolves when each has acknowledged or failed. */
  async push(set: SetName, all: Uint8Array[], to: readonly Peer[] = this.on.links.all()): Promise<PushResult[]> {
    const begun = this.on.clock.monotonic()
    const ms = (): number => Math.round(this.on.clock.monotonic() - begun)
    const told = to.map((peer) => ({ peer, records: this.on.records.tellable(set, all, peer.did) })).filter(({ records }) => records.length > 0)
    return await Promise.all(
      told.map(async ({ peer, records }): Promise<PushResult> => {
        try {
          const answer = await this.#ask(peer, { t: 'push', set, records })
          return { did: peer.did, acknowledged: answer.t === 'ack', stopped: answer.t === 'ack' ? answer.stopped : [], ms: ms() }
        } catch (thrown) {
          this.on.log('push failed', { set, did: peer.did, why: asErrand(thrown).message })
          return { did: peer.did, acknowledged: false, stopped: [], ms: ms() }
        }
      }),
    )
  }

  /** A guest knows nothing that it would have to be believed about. */
  #compared({ did }: Peer): void {
    if (!this.on.company.isGuest(did)) this.on.compared(did)
  }

  /** Of a guest only its own words are wanted; a guest asks for what there is for it. */
  #isAskable(set: SetName, did: Did): boolean {
    if (this.on.company.isGuest(did)) return GUEST_WORDS.includes(set)
    return !this.on.company.isGuestHere() || GUEST_SETS.includes(set)
  }

  async #pullAll(peer: Peer, sets: SetName[]): Promise<void> {
    for (const set of sets) {
      if (!this.#isAskable(set, peer.did)) continue
      if (set === 'addresses' && !this.on.addresses) continue
      try {
        await this.#pull(peer, set)
        if (set === 'revocations') this.#compared(peer)
      } catch (thrown) {
        this.on.log('pull failed', { set, did: peer.did, why: asErrand(thrown).message })
      }
    }
  }

  /** Names what it was shown as well as what it holds: a page of records that are older than ours or refused here must not come again in the place of the next one. */
  async #pull(peer: Peer, set: SetName): Promise<void> {
    const shown: (readonly [string, Uint8Array])[] = []
    for (let page = 0; page < MAX_PAGES; page++) {
      const held = [...this.on.records.visible(set, peer.did), ...shown]
      const answer = await this.#ask(peer, { t: 'pull', set, have: have(held, SYNC.idPrefixBytes) })
      if (answer.t !== 'records') throw new ErrandError('SYNC_REFUSED', answer.t === 'refused' ? answer.fault.message : 'an answer to another question')
      await this.#admitAll(set, answer.records, peer)
      if (!answer.more || answer.records.length === 0) return
      for (const bytes of answer.records) shown.push([recordId(bytes), bytes])
    }
  }

  async #admitAll(set: SetName, records: Uint8Array[], from: Peer): Promise<void> {
    const fresh: Uint8Array[] = []
    for (const bytes of records.filter((one) => this.on.records.mayBring(set, one, from.did))) {
      if ((await this.on.records.admit(set, bytes, { secondHand: true })).verdict === 'new') fresh.push(bytes)
    }
    this.#forward(set, fresh, from)
  }

  #forward(set: SetName, fresh: Uint8Array[], from: Peer): void {
    if (fresh.length === 0 || !SHARED.includes(set)) return
    const others = this.on.links.all().filter((peer) => peer.did !== from.did)
    void this.push(set, fresh, others.slice(0, FORWARD_TO))
  }

  async #ask(peer: Peer, question: SyncAsk): Promise<SyncAnswer> {
    const signal = AbortSignal.timeout(SYNC.deadlineMs)
    const link = new MessageLink(await peer.connection.newStream([...SYNC.ids], { signal }), SYNC.maxMessageBytes, signal)
    await link.send(question)
    const answer = await link.receive(SyncAnswer)
    await link.close()
    return answer
  }

  async #serve(stream: Stream, peer: Peer | undefined): Promise<void> {
    const link = new MessageLink(stream, SYNC.maxMessageBytes, AbortSignal.timeout(SYNC.deadlineMs))
    try {
      if (peer === undefined) throw new ErrandError('HELLO_FIRST', 'sync is served after hello only')
      const ask = await link.receive(SyncAsk)
      if (isGuestLine(this.on.company, peer.did) && !GUEST_SETS.includes(ask.set)) throw notForGuests(ask.set)
      await link.send(ask.t === 'pull' ? this.#page(ask, peer) : await this.#take(ask, peer))
      await link.close()
    } catch (thrown) {
      const error = asErrand(thrown)
      if (peer !== undefined) this.on.refused(peer.did, 1)
      await link.send({ t: 'refused', fault: { code: error.code, message: error.message } }).catch(() => undefined)
      await link.close().catch(() => undefined)
    }
  }

  #page(ask: { set: SetName; have: Uint8Array }, peer: Peer): SyncAnswer {
    const bounds = { prefixBytes: SYNC.idPrefixBytes, maxRecords: SYNC.maxRecords, maxBytes: SYNC.maxMessageBytes / 2 }
    return { t: 'records', ...missing(this.on.records.visible(ask.set, peer.did), ask.have, bounds) }
  }

  async #take(ask: { set: SetName; records: Uint8Array[] }, peer: Peer): Promise<SyncAnswer> {
    if (ask.set === 'addresses' && !this.on.addresses) return { t: 'ack', accepted: 0, stopped: [] }
    const stopped: string[] = []
    const fresh: Uint8Array[] = []
    let refused = 0
    for (const bytes of ask.records.filter((one) => this.on.records.mayBring(ask.set, one, peer.did))) {
      const seen = await this.on.records.admit(ask.set, bytes)
      stopped.push(...seen.stopped)
      if (seen.verdict === 'refused') refused++
      if (seen.verdict === 'new') fresh.push(bytes)
    }
    if (refused > 0) this.on.refused(peer.did, refused / RECORDS_A_REFUSAL)
    this.#forward(ask.set, fresh, peer)
    return { t: 'ack', accepted: fresh.length, stopped: stopped.slice(0, 1_024) }
  }
}
