/** Gossip: announcements, revocations and log heads to everybody at once. Lossy by design; sync and pulls settle what it lost. Spec: protocols/announce/README.md. */
import { type Message, TopicValidatorResult as Verdict } from '@libp2p/gossipsub'
import { ANNOUNCE, topics } from '../../protocols/announce/messages.ts'
import { type Clock, every } from '../base/clock.ts'
import type { Host } from './host.ts'
import { meshTag } from './host.ts'
import type { SyncedRecords } from './sync.ts'

export interface GossipOn {
  readonly meshId: Uint8Array
  readonly records: SyncedRecords
  readonly clock: Clock
  /** This device's signed announcement, made anew each time. */
  readonly describe: () => Uint8Array
  /** A signed log head, from anybody. False refuses it, and gossip does not pass it on. */
  readonly onHead: (head: Uint8Array) => Promise<boolean>
}

export class Gossip {
  readonly #topics
  #host: Host | undefined
  #stop = (): void => {}

  constructor(private readonly on: GossipOn) {
    this.#topics = topics(meshTag(on.meshId))
  }

  /** Call once the host runs. */
  start(host: Host): void {
    const { pubsub } = host.services
    if (pubsub === undefined) return // a guest hears no news and spreads none
    this.#host = host
    const validate = (topic: string, judge: (bytes: Uint8Array) => Promise<Verdict>): void => {
      pubsub.topicValidators.set(topic, async (_from, message: Message) => {
        if (message.data.length > ANNOUNCE.maxBytes) return Verdict.Reject // before any work: size is the cheapest lie to catch
        return await judge(message.data)
      })
      pubsub.subscribe(topic)
    }
    validate(this.#topics.announce, (bytes) => this.#admit('announcements', bytes))
    validate(this.#topics.revocation, (bytes) => this.#admit('revocations', bytes))
    validate(this.#topics.head, async (bytes) => ((await this.on.onHead(bytes)) ? Verdict.Accept : Verdict.Reject))
    this.announce()
    this.#stop = every(this.on.clock, ANNOUNCE.everyMs, () => this.announce())
  }

  stop(): void {
    this.#stop()
  }

  announce(): void {
    this.#publish(this.#topics.announce, this.on.describe())
  }

  revocation(bytes: Uint8Array): void {
    this.#publish(this.#topics.revocation, bytes)
  }

  head(bytes: Uint8Array): void {
    this.#publish(this.#topics.head, bytes)
  }

  async #admit(set: 'announcements' | 'revocations', bytes: Uint8Array): Promise<Verdict> {
    const { verdict } = await this.on.records.admit(set, bytes)
    return verdict === 'new' ? Verdict.Accept : verdict === 'known' ? Verdict.Ignore : Verdict.Reject
  }

  /** Without anybody to hear it, a publish fails quietly: sync brings the news when somebody comes. */
  #publish(topic: string, bytes: Uint8Array): void {
    void this.#host?.services.pubsub?.publish(topic, bytes).catch(() => undefined)
  }
}
