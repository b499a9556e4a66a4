/**
 * The hostile member of bench:authority, a process of its own: joins with an invite, is let in by hello, and then sends exec requests that no
 * device may run, at the rate it is told, each on a stream of its own. Without a node around it: host, codecs and framing only.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { signDelegation } from '../../src/authority/token.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { type Did, Identity, peerIdOf } from '../../src/identity/identity.ts'
import { askToJoin } from '../../src/mesh/join.ts'
import { readCode } from '../../src/runtime/invite-code.ts'
import { makeAsk } from '../../src/runtime/joining.ts'
import { Attacker, ask, type Crafted, command, openFrame, type Session } from '../../test/e2e/support-attack.ts'

export interface Target {
  readonly did: Did
  readonly address: string
}
export type FloodAsked =
  | { readonly t: 'join'; readonly code: string; readonly target: Target }
  | { readonly t: 'load'; readonly count: number }
  | { readonly t: 'attack'; readonly seconds: number; readonly perSecond: number }
  /** As much of a core as an attack took, and not a byte on the wire: what this machine's two cores owe to the attacker being on it too. */
  | { readonly t: 'burn'; readonly seconds: number; readonly share: number }
export interface Attacked {
  readonly sent: number
  /** By what came back: the kernel's reason, the code of another refusal, or `cut`. */
  readonly answers: Readonly<Record<string, number>>
  readonly lost: number
  /** Processor time of this process by time. */
  readonly share: number
}
export type FloodTold = { readonly t: 'done'; readonly did: Did | null; readonly attacked: Attacked | null } | { readonly t: 'failed'; readonly why: string }

const VERSION = '0.1.0'
/** Below what a device lets one peer have open at once. */
const IN_FLIGHT = 200
const TICK_MS = 5
/** It waits for no answer: a stream that takes longer is reset, and the next one opened in its place. */
const GIVE_UP_MS = 1_000
/** More links together than a device keeps verified, so that every one of them costs it a signature. */
const DEEP_CHAINS = 300
const LINKS = 8
const LIFE_SECONDS = 250

class Flood {
  #session: Session
  #frames: Uint8Array[] = []
  readonly #deep: Crafted['chain'][]

  private constructor(
    readonly peer: Attacker,
    private readonly target: Target,
    private readonly enter: () => Promise<Session>,
    session: Session,
  ) {
    this.#session = session
    this.#deep = Array.from({ length: DEEP_CHAINS }, () => madeUp(this.peer.identity, target.did))
  }

  static async begin(text: string, target: Target): Promise<Flood> {
    const code = readCode(text)
    const identity = new Identity(systemRandom(32))
    const { meshId, inviter, offer } = code
    const welcome = await askToJoin({
      ...{ identity, meshId, inviterPeerId: peerIdOf(inviter), addresses: offer.addrs, version: VERSION },
      makeAsk: (challenge) => makeAsk(code, { device: identity, clock: systemClock, random: systemRandom, version: VERSION, name: 'mallory', challenge }),
    })
    const peer = await Attacker.start(meshId, identity)
    const enter = (): Promise<Session> => peer.session(target.address, welcome.membership)
    return new Flood(peer, target, enter, await enter())
  }

  /** Signs ahead what an attack will send: the time it takes is not the device's. */
  async load(count: number): Promise<void> {
    if (this.#session.connection.status !== 'open') await this.#enterAgain()
    const frames: Uint8Array[] = []
    const kinds = this.#kinds()
    while (frames.length < count) for (const make of kinds) frames.push(make(frames.length / kinds.length))
    this.#frames = frames
  }

  /** What a member without a right can send. In turn, so that an attack of any length has all of it. */
  #kinds(): readonly ((at: number) => Uint8Array)[] {
    const { identity } = this.peer
    const now = Math.floor(systemClock.now() / 1_000)
    const fields = { iat: now, exp: now + LIFE_SECONDS }
    const crafted: Crafted = { by: identity, to: this.target.did, challenge: this.#session.challenge, args: command('true'), fields }
    const replayed = openFrame(crafted)
    return [
      () => bent(openFrame(crafted)),
      () => openFrame({ ...crafted, fields: { ...fields, aud: identity.did } }),
      () => openFrame({ ...crafted, fields: { iat: now - 400, exp: now - 200 } }),
      (at) => openFrame({ ...crafted, chain: this.#deep[Math.floor(at) % DEEP_CHAINS] ?? [] }),
      () => replayed,
    ]
  }

  async attack(seconds: number, perSecond: number): Promise<Attacked> {
    const answers: Record<string, number> = {}
    const under = new Set<Promise<void>>()
    let [sent, lost] = [0, 0]
    const [began, cpu] = [performance.now(), process.cpuUsage()]
    const elapsed = (): number => (performance.now() - began) / 1_000
    while (elapsed() < seconds) {
      if (this.#session.connection.status !== 'open') {
        lost++
        await this.#enterAgain()
      }
      for (const due = elapsed() * perSecond; sent < due && under.size < IN_FLIGHT; sent++) {
        const frame = this.#frames[sent % this.#frames.length] ?? new Uint8Array()
        const one = this.#send(frame).then((answer) => {
          answers[answer] = (answers[answer] ?? 0) + 1
        })
        under.add(one)
        void one.finally(() => under.delete(one))
      }
      await sleep(TICK_MS)
    }
    const { user, system } = process.cpuUsage(cpu)
    const share = (user + system) / 1e6 / elapsed()
    await Promise.all(under)
    return { sent, answers, lost, share }
  }

  async #send(frame: Uint8Array): Promise<string> {
    try {
      const answer = await ask(this.#session.connection, frame, GIVE_UP_MS)
      return answer.t === 'refused' ? String(answer.reason ?? answer.code) : answer.t === 'cut' ? 'cut' : 'RAN'
    } catch {
      return 'cut'
    }
  }

  async #enterAgain(): Promise<void> {
    try {
      this.#session = await this.enter()
    } catch {
      await sleep(TICK_MS)
    }
  }
}

/** Eight links, each well signed by a key of the attacker's: nothing is wrong with them but where they begin. */
function madeUp(to: Identity, device: Did): Crafted['chain'] {
  const keys = Array.from({ length: LINKS }, () => new Identity(systemRandom(32)))
  const exp = Math.floor(systemClock.now() / 1_000) + 3_600
  return keys.map((key, at) => {
    const aud = keys[at + 1]?.did ?? to.did
    return signDelegation(key, { aud, sub: device, cmd: '/exec/run', pol: [['like', '.exe', 't*']], exp, nonce: systemRandom(12) })
  })
}

/** One bit of the invocation's signature: the frame is a map whose `invocation` begins with the list and the 64 bytes. */
function bent(frame: Uint8Array): Uint8Array {
  const copy = Buffer.from(frame)
  const at = copy.indexOf(Buffer.of(0x82, 0x58, 0x40)) + 20
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

async function burn(seconds: number, share: number): Promise<void> {
  const began = performance.now()
  while (performance.now() - began < seconds * 1_000) {
    const slice = performance.now()
    while (performance.now() - slice < TICK_MS * share);
    if (share < 1) await sleep(TICK_MS * (1 - share))
  }
}

let flood: Flood | undefined
async function answer(asked: FloodAsked): Promise<FloodTold> {
  const done: FloodTold = { t: 'done', did: null, attacked: null }
  if (asked.t === 'burn') await burn(asked.seconds, asked.share)
  if (asked.t === 'join') {
    flood = await Flood.begin(asked.code, asked.target)
    return { ...done, did: flood.peer.identity.did }
  }
  if (asked.t === 'load') await flood?.load(asked.count)
  if (asked.t === 'attack' && flood !== undefined) return { ...done, attacked: await flood.attack(asked.seconds, asked.perSecond) }
  return done
}

process.on('message', (asked: FloodAsked) => {
  answer(asked).then(
    (told) => process.send?.(told),
    (thrown) => process.send?.({ t: 'failed', why: String(thrown instanceof Error ? thrown.stack : thrown) } satisfies FloodTold),
  )
})
process.once('disconnect', () => process.exit(0))
