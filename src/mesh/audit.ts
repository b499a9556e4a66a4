/** `/errand/audit/1` on libp2p: shows heads to everybody, serves entries to those who may read them, pulls what is missing here. Spec: protocols/audit/README.md. */
import type { Stream } from '@libp2p/interface'
import { AUDIT, AuditAnswer, AuditRequest } from '../../protocols/audit/messages.ts'
import type { Replica, Want } from '../audit/replica.ts'
import { type Clock, every } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import { type Company, isGuestLine } from './company.ts'
import type { Host } from './host.ts'
import type { Links, Peer } from './links.ts'
import { MessageLink } from './streams.ts'

const DEADLINE_MS = 15_000
/** Missed gossip is made good at this pace. */
const ASK_EVERY_MS = 10_000
const MAX_PAGES_AT_ONCE = 4_096

export interface AuditExchangeOn {
  readonly self: Did
  readonly links: Links
  readonly company: Company
  readonly replica: Replica
  readonly clock: Clock
  /** Whether the people of a device hold `/audit/read`: without it a device gets heads, not entries. */
  readonly mayRead: (did: Did) => boolean
  /** Told of a question that could not be answered. */
  readonly refused: (did: Did) => void
  readonly log: (event: string, facts: Record<string, unknown>) => void
}

export class AuditExchange {
  #pulling: Promise<void> | undefined
  #again = false
  #stop = (): void => {}
  #stopped = false

  constructor(private readonly on: AuditExchangeOn) {}

  async attach(host: Host): Promise<void> {
    await host.handle([...AUDIT.ids], (stream, connection) => this.#serve(stream, this.on.links.peerOn(connection)), {
      maxInboundStreams: 16,
      maxOutboundStreams: 16,
    })
    this.#stop = every(this.on.clock, ASK_EVERY_MS, () => this.meetAll())
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#stop()
    await this.#pulling
  }

  /** Resolves when every connected peer was asked and what is missing was pulled. */
  async meetAll(): Promise<void> {
    await Promise.all(this.on.links.all().map((peer) => this.meet(peer)))
    while (this.#pulling !== undefined) await this.#pulling
  }

  /** Compares heads with a peer, then pulls what is missing. Never rejects. */
  async meet(peer: Peer): Promise<void> {
    if (isGuestLine(this.on.company, peer.did)) return // logs are for members
    try {
      const answer = await this.#ask(peer, { t: 'heads' })
      if (answer.t !== 'heads') return
      for (const head of answer.heads) await this.on.replica.offerHead(head, peer.did)
      this.on.replica.releaseOwn()
      this.#pull()
    } catch (thrown) {
      this.on.log('heads not compared', { did: peer.did, why: asErrand(thrown).message })
    }
  }

  /** A head that gossip brought. False when it is not one. */
  async heard(head: Uint8Array): Promise<boolean> {
    const offer = await this.on.replica.offerHead(head)
    if (offer === 'behind') this.#pull()
    return offer !== 'refused'
  }

  /** One pull at a time; what is heard meanwhile makes it go round once more. */
  #pull(): void {
    if (this.#pulling !== undefined) {
      this.#again = true
      return
    }
    this.#pulling = this.#pullAll()
      .catch((thrown: unknown) => this.on.log('pull failed', { why: asErrand(thrown).message }))
      .finally(() => {
        this.#pulling = undefined
        if (this.#again && !this.#stopped) {
          this.#again = false
          this.#pull()
        }
      })
  }

  async #pullAll(): Promise<void> {
    const { self, mayRead, replica } = this.on
    for (const want of replica.wants()) {
      if (want.log !== self && !mayRead(self)) continue
      await this.#pullLog(want)
    }
  }

  /** From the device that wrote it where possible, else from whoever has it. */
  async #pullLog({ log, from, to }: Want): Promise<void> {
    const peers = this.on.links
      .all()
      .filter(({ did }) => !isGuestLine(this.on.company, did))
      .sort((a, b) => Number(b.did === log) - Number(a.did === log))
    let next = from
    for (const peer of peers) {
      for (let pages = 0; next < to && pages < MAX_PAGES_AT_ONCE && !this.#stopped; pages++) {
        const answer = await this.#ask(peer, { t: 'pull', log, from: next, max: AUDIT.maxPageEntries }).catch(() => undefined)
        if (answer?.t !== 'page') break
        const taken = await this.on.replica.accept(log, answer)
        if (taken.t === 'refused') {
          this.on.log('page refused', { log, from: next, by: peer.did, why: taken.why })
          break
        }
        next = taken.n
      }
      if (next >= to) return
    }
  }

  async #ask(peer: Peer, request: AuditRequest): Promise<AuditAnswer> {
    const signal = AbortSignal.timeout(DEADLINE_MS)
    const link = new MessageLink(await peer.connection.newStream([...AUDIT.ids], { signal }), AUDIT.maxFrameBytes, signal)
    await link.send(request)
    const answer = await link.receive(AuditAnswer)
    await link.close()
    return answer
  }

  async #serve(stream: Stream, peer: Peer | undefined): Promise<void> {
    const link = new MessageLink(stream, AUDIT.maxFrameBytes, AbortSignal.timeout(DEADLINE_MS))
    try {
      if (peer === undefined) throw new ErrandError('HELLO_FIRST', 'the log is served after hello only')
      const request = await link.receive(AuditRequest)
      // A device may always have its own entries back; those of others go to readers only.
      const allowed = request.t === 'heads' || request.log === peer.did || this.on.mayRead(peer.did)
      await link.send(allowed ? await this.on.replica.answer(request) : { t: 'none', log: request.log, from: request.from })
      await link.close()
    } catch (thrown) {
      if (peer !== undefined) this.on.refused(peer.did)
      link.abort(asErrand(thrown))
    }
  }
}
