/** A device under siege: Alice's, by Mallory, a member without any right, and by Carol, who may run `echo` and `sleep` there and nothing else. */
import { existsSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { TAG } from '../../protocols/exec/messages.ts'
import type { Did } from '../../src/identity/identity.ts'
import { type Node, type World, world } from '../support/world.ts'
import { type Answer, Attacker, type Crafted, chainTo, command, ExecStream, enrol, openFrame, type Papers, type Session } from './support-attack.ts'
import { addressOf, healthy } from './support-exec.ts'

/** A member that is there for one attack; what it did is held against nobody else. */
export interface Hostile {
  readonly papers: Papers
  readonly session: Session
  /** Another connection. */
  readonly enter: () => Promise<Session>
}

export class Siege implements AsyncDisposable {
  readonly #more: Attacker[] = []
  /** A file that no attack may bring into being. */
  readonly marker: string

  private constructor(
    readonly w: World,
    readonly alice: Node,
    /** May do everything on Alice's device. */
    readonly bob: Node,
    private readonly members: Readonly<Record<'carol' | 'mallory', { readonly papers: Papers; readonly peer: Attacker; readonly address: string }>>,
  ) {
    this.marker = w.at('pwned')
  }

  static async begin(): Promise<Siege> {
    const w = world()
    const alice = await w.founder('alice')
    const bob = await w.joiner(alice, 'bob', { invite: ['--role', 'admin'] })
    const address = await addressOf(alice.home)
    const member = async (name: string, ...words: string[]) => {
      const papers = await enrol(w, alice, name, '--ask', 'exec: true', ...words)
      return { papers, address, peer: await Attacker.start(papers.meshId, papers.identity) }
    }
    return new Siege(w, alice, bob, { carol: await member('carol', '--give', 'exec: echo, sleep'), mallory: await member('mallory') })
  }

  get carol(): Papers {
    return this.members.carol.papers
  }

  get mallory(): Papers {
    return this.members.mallory.papers
  }

  /** A new connection of that member, hello and all. */
  async as(who: 'carol' | 'mallory'): Promise<Session> {
    const { peer, papers, address } = this.members[who]
    return await peer.session(address, papers.membership)
  }

  /** A new member without any right. */
  async hostile(name: string): Promise<Hostile> {
    const papers = await enrol(this.w, this.alice, name, '--ask', 'exec: true')
    const peer = await Attacker.start(papers.meshId, papers.identity)
    this.#more.push(peer)
    const enter = async (): Promise<Session> => await peer.session(this.members.mallory.address, papers.membership)
    return { papers, enter, session: await enter() }
  }

  /** A valid request of Carol's, as a start for every kind of lie. */
  byCarol({ challenge }: Session, lie: Partial<Crafted> = {}): Crafted {
    return { by: this.carol.identity, to: didOf(this.alice), challenge, args: command('echo', 'hello'), chain: chainTo(this.carol, this.alice.did), ...lie }
  }

  /** A request that nothing carries. */
  by({ identity }: Papers, { challenge }: Session): Crafted {
    return { by: identity, to: didOf(this.alice), challenge, args: command('touch', this.marker) }
  }

  /** A command of Carol's that runs until it is ended, with stdin declared. */
  async sleeper(session: Session, seconds: string): Promise<{ stream: ExecStream; answer: Promise<Answer> }> {
    const stream = await ExecStream.open(session.connection)
    await stream.link.write(TAG.open, openFrame(this.byCarol(session, { args: { ...command('sleep', seconds), stdin: true } })))
    let answer: Promise<Answer> = Promise.resolve({ t: 'cut' })
    await new Promise<void>((resolve) => {
      answer = stream.answer(() => resolve()).finally(resolve)
    })
    return { stream, answer }
  }

  /** Nothing was done, nothing is left running, and the node says that it is well. */
  async held(): Promise<void> {
    expect(existsSync(this.marker)).toBe(false)
    const { tasks } = await healthy(this.alice.home)
    expect(tasks.active).toBe(0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of [...this.#more, ...Object.values(this.members).map((member) => member.peer)]) await peer.host.stop()
    await this.w[Symbol.asyncDispose]()
  }
}

/** The siege of a file of tests: begun before them, looked at after each, ended with them. */
export function besieged(begun: (siege: Siege) => void): void {
  let siege: Siege | undefined
  beforeAll(async () => {
    siege = await Siege.begin()
    begun(siege)
  })
  afterEach(() => siege?.held())
  afterAll(() => siege?.[Symbol.asyncDispose]())
}

export function didOf(node: Node): Did {
  return node.did as Did
}

export function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return Buffer.from([...bytes, left])
    bytes.push((left % 128) | 0x80)
  }
}

/** A frame by hand. */
export function framed(tag: number, payload: Uint8Array): Buffer {
  return Buffer.concat([varint(payload.length + 1), Buffer.of(tag), payload])
}

/** Resolves when more may be sent, or the stream is over. */
export async function sendAll({ stream }: ExecStream, bytes: Uint8Array): Promise<void> {
  if (stream.status !== 'open' || stream.send(bytes)) return
  await new Promise<void>((resolve) => {
    stream.addEventListener('drain', () => resolve(), { once: true })
    stream.addEventListener('close', () => resolve(), { once: true })
  })
}
