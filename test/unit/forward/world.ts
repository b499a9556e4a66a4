/** One device with the shipped forward door, a network that a test describes behind it, and a recording log. */
import { AcceptedForward, EndedForward, FORWARD, RefusedForward, FORWARD_TAG as TAG } from '../../../protocols/forward/messages.ts'
import { decodeAs, encode } from '../../../protocols/wire.ts'
import type { Fact } from '../../../src/audit/facts.ts'
import { netArgs } from '../../../src/authority/net-args.ts'
import { Revocations } from '../../../src/authority/revocations.ts'
import { parseRight } from '../../../src/authority/rights.ts'
import { type AnyRecord, type Delegation, type DelegationFields, signDelegation, signInvocation } from '../../../src/authority/token.ts'
import { bytesOf } from '../../../src/base/address.ts'
import { ErrandError } from '../../../src/base/errors.ts'
import { type ByteLink, type Frame, FrameLink } from '../../../src/base/frames.ts'
import { memoryLinks } from '../../../src/base/memory-link.ts'
import type { Pipe } from '../../../src/base/pipe.ts'
import { type Did, Identity } from '../../../src/identity/identity.ts'
import type { Check } from '../../../src/runtime/checks.ts'
import { ForwardDoor } from '../../../src/runtime/forward-door.ts'
import type { ForwardCaller, Network } from '../../../src/runtime/forward-ports.ts'
import { GrantRates } from '../../../src/runtime/grant-rates.ts'
import { RateGate } from '../../../src/runtime/rates.ts'
import { Rests } from '../../../src/runtime/rests.ts'
import { countingRandom, HandClock } from '../base/hand-clock.ts'

export const keyOf = (n: number): Identity => new Identity(new Uint8Array(32).fill(n))
export const [device, owner, laptop, mallory] = [keyOf(1), keyOf(2), keyOf(3), keyOf(4)] as const
export const CHALLENGE = new Uint8Array(16).fill(0xc4)

/** One TCP connection, with the test at its other end. */
export class Far {
  readonly pipe: Pipe
  readonly end: ByteLink
  isCut = false
  #closed: () => void = () => undefined

  constructor(address: string, port: number) {
    const [ours, theirs] = memoryLinks()
    const closed = new Promise<void>((resolve) => {
      this.#closed = resolve
    })
    const abort = (error: Error): void => {
      this.isCut = true
      ours.abort(error)
      this.#closed()
    }
    this.pipe = { ...ours, source: ours.source, write: (bytes) => ours.write(bytes), address, port, closed, abort }
    this.end = theirs
  }
}

class ScriptedNetwork implements Network {
  /** What names lead to, in turn; the last one stays. */
  readonly names = new Map<string, string[][]>()
  readonly connected: string[] = []
  readonly made: Far[] = []
  own: string[] = ['127.0.0.1', '::1', '192.168.1.5']
  taken: ((pipe: Pipe) => void) | undefined

  lookup(name: string): Promise<readonly (readonly number[])[]> {
    const answers = this.names.get(name)
    const next = (answers?.length ?? 0) > 1 ? answers?.shift() : answers?.[0]
    if (next === undefined) return Promise.reject(new ErrandError('NO_SUCH_HOST', `it finds no address for ${name}`))
    return Promise.resolve(next.map((text) => bytesOf(text) ?? []))
  }

  connect(ip: string, port: number): Promise<Pipe> {
    this.connected.push(`${ip} ${port}`)
    const far = new Far(ip, port)
    this.made.push(far)
    return Promise.resolve(far.pipe)
  }

  listen(_ip: string, port: number, taken: (pipe: Pipe) => void) {
    this.taken = taken
    return Promise.resolve({ address: '127.0.0.1', port: port === 0 ? 40_000 : port, close: () => this.#stop() })
  }

  #stop(): void {
    this.taken = undefined
  }

  ownAddresses(): readonly (readonly number[])[] {
    return this.own.map((text) => bytesOf(text) ?? [])
  }
}

interface Asks {
  readonly by?: Identity
  readonly peer?: Identity
  readonly chain?: readonly Delegation[]
  readonly args?: AnyRecord
  readonly single?: boolean
  readonly command?: string
  readonly listen?: boolean
  readonly challenge?: Uint8Array
  readonly open?: Uint8Array
}

export type Answer =
  | { readonly t: 'accepted'; readonly forward: Uint8Array; readonly port: number }
  | { readonly t: 'refused'; readonly code: string; readonly message: string }

export class World {
  readonly clock = new HandClock(1_800_000_000_000)
  readonly random = countingRandom()
  readonly network = new ScriptedNetwork()
  readonly revocations = new Revocations()
  readonly rests = new Rests({ revocations: this.revocations, clock: this.clock })
  readonly facts: Fact[] = []
  readonly offered: FrameLink[] = []
  /** Each once, however often it is told. */
  readonly refusals = new Set<ErrandError>()
  readonly door: ForwardDoor

  constructor(o: { readonly checks?: readonly Check[]; readonly perMinute?: number } = {}) {
    const { clock, random, network, revocations } = this
    this.door = new ForwardDoor({
      ...{ self: device.did, revocations, clock, random, network, checks: o.checks ?? [] },
      audit: { append: (fact) => Promise.resolve(void this.facts.push(fact)) },
      named: (text) => text,
      rates: new RateGate({ clock, self: device.did, perMinute: () => o.perMinute ?? 6_000 }),
      uses: new GrantRates(clock),
      rests: () => this.rests,
      ownPorts: () => [4_701, 4_780],
      incoming: () => Promise.reject(new ErrandError('NO_SUCH_FORWARD', 'none')),
    })
  }

  get now(): number {
    return Math.floor(this.clock.now() / 1_000)
  }

  grant(right: string, fields: Partial<DelegationFields> = {}): Delegation {
    const { cmd, pol } = parseRight(right)
    return signDelegation(device, { aud: laptop.did, sub: device.did, cmd, pol, exp: this.now + 3_600, nonce: this.random(16), ...fields })
  }

  invocation(target: string, { by = laptop, chain = [], args, listen = false, challenge = CHALLENGE, command = '/net/forward' }: Asks): Uint8Array {
    const at = target.lastIndexOf(':')
    const declared = args ?? netArgs(listen ? 'listen' : 'connect', target.slice(0, at), Number(target.slice(at + 1))) ?? {}
    const nonce = Buffer.concat([challenge, this.random(16)])
    const fields = {
      sub: device.did,
      aud: device.did,
      cmd: command,
      args: declared,
      prf: chain.map(({ cid }) => cid),
      nonce,
      exp: this.now + 60,
      iat: this.now,
    }
    return signInvocation(by, fields).bytes
  }

  open(target: string, asks: Asks): Uint8Array {
    return encode({ invocation: this.invocation(target, asks), proofs: (asks.chain ?? []).map(({ bytes }) => bytes), single: asks.single ?? true })
  }

  /** A stream of a peer, with a first frame on it. */
  stream(tag: number, payload: Uint8Array, peer: Identity = laptop): { link: FrameLink; gone: AbortController; served: Promise<void> } {
    const [mine, theirs] = memoryLinks()
    const link = new FrameLink(mine, FORWARD.maxFrameBytes)
    const gone = new AbortController()
    const served = this.door.serve(new FrameLink(theirs, FORWARD.maxFrameBytes), this.#caller(peer.did), { signal: gone.signal })
    void link.write(tag, payload)
    return { link, gone, served }
  }

  /** Asks, and hears what is said first. */
  async ask(target: string, asks: Asks): Promise<{ answer: Answer; link: FrameLink; gone: AbortController; served: Promise<void> }> {
    const stream = this.stream(TAG.open, asks.open ?? this.open(target, asks), asks.peer ?? asks.by ?? laptop)
    return { ...stream, answer: answerIn(await stream.link.read()) }
  }

  actions(): string[] {
    return this.facts.map(({ action }) => action)
  }

  #caller(did: Did): ForwardCaller {
    return {
      ...{ did, challenge: CHALLENGE, address: '/ip4/192.168.1.9/tcp/1', synced: Promise.resolve() },
      patience: { over: () => undefined, refused: (error: ErrandError) => void this.refusals.add(error) },
      back: () => {
        const [mine, theirs] = memoryLinks()
        this.offered.push(new FrameLink(mine, FORWARD.maxFrameBytes))
        return Promise.resolve(new FrameLink(theirs, FORWARD.maxFrameBytes))
      },
    }
  }
}

function answerIn(frame: Frame | undefined): Answer {
  if (frame?.tag === TAG.accepted) return { t: 'accepted', ...decodeAs(AcceptedForward, frame.payload.subarray(), FORWARD.maxFrameBytes) }
  if (frame?.tag === TAG.refused) return { t: 'refused', ...decodeAs(RefusedForward, frame.payload.subarray(), FORWARD.maxFrameBytes) }
  throw new Error(`neither accepted nor refused: ${frame?.tag}`)
}

/** All that is said up to the end, data as text. */
export async function heard(link: FrameLink): Promise<{ text: string; ended: EndedForward | undefined }> {
  let text = ''
  for (let frame = await link.read(); frame !== undefined; frame = await link.read()) {
    if (frame.tag === TAG.data) text += Buffer.from(frame.payload.subarray()).toString()
    if (frame.tag === TAG.ended) return { text, ended: decodeAs(EndedForward, frame.payload.subarray(), FORWARD.maxFrameBytes) }
  }
  return { text, ended: undefined }
}
