/**
 * The door for devices that have only typed words, and the way to it. It stands before the mesh's own handshake: multistream-select picks
 * `/errand/pair/1` on a fresh connection where members pick Noise, so nothing of the mesh is ever reached from here.
 * Spec: protocols/pair/README.md.
 */
import './polyfill.ts'
import type { ConnectionEncrypter, MessageStream, PeerInfo, SecuredConnection } from '@libp2p/interface'
import { mdns } from '@libp2p/mdns'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type * as v from 'valibot'
import {
  type Answer,
  type Finish,
  FinishAnswer,
  Finish as FinishSchema,
  type Given,
  PAIR,
  type Start,
  StartAnswer,
  Start as StartSchema,
} from '../../protocols/pair/messages.ts'
import { asErrand, ErrandError, fromWire } from '../base/errors.ts'
import { MessageLink } from './streams.ts'
import { roomyTcp } from './tcp.ts'

/** Decides about tries. */
export interface PairDoor {
  /** The numbers of the codes that can be tried now. */
  readonly plates: readonly number[]
  onPlates(listener: () => void): () => void
  /** @throws ErrandError with the reason that the other side is told. */
  begin(start: Start, from: string): Promise<{ readonly answer: Answer; finish(finish: Finish): Promise<Given>; abandon(): Promise<void> }>
}

/** An exchange is over and its connection with it; libp2p is told so by an error, since there is nothing left to upgrade. */
class PairOver extends Error {}

type Serves = () => ConnectionEncrypter

/** Shows up among the security protocols of a listening node, and serves nobody while no code is open. */
export function pairEncrypter(door: PairDoor): Serves {
  let pending = 0
  const refuse = (): Promise<SecuredConnection> => Promise.reject(new PairOver('this side does not dial here'))
  const secureInbound = async (connection: MessageStream): Promise<SecuredConnection> => {
    if (door.plates.length === 0) throw new PairOver('no code is open')
    if (pending >= PAIR.maxPending) throw new PairOver('too many pairings at once')
    pending++
    try {
      await serve(connection, door)
    } finally {
      pending--
    }
    throw new PairOver('done')
  }
  return () => ({ protocol: PAIR.id, secureInbound, secureOutbound: refuse })
}

async function serve(connection: MessageStream, door: PairDoor): Promise<void> {
  const link = new MessageLink(connection, PAIR.maxAskBytes, AbortSignal.timeout(PAIR.deadlineMs))
  try {
    await link.send(await converse(link, door, addressOf(connection)))
  } catch (thrown) {
    await link.send({ t: 'refused', fault: asErrand(thrown, 'PAIR_FAILED').toWire('device') }).catch(() => undefined)
  }
  await link.close().catch(() => undefined)
}

async function converse(link: MessageLink, door: PairDoor, from: string): Promise<Given> {
  const tried = await door.begin(await link.receive(StartSchema), from)
  let finish: Finish
  try {
    await link.send(tried.answer)
    finish = await link.receive(FinishSchema)
  } catch (thrown) {
    await tried.abandon()
    throw thrown
  }
  return await tried.finish(finish)
}

function addressOf(connection: MessageStream): string {
  return 'remoteAddr' in connection ? String(connection.remoteAddr) : 'an unknown address'
}

/** Answers who looks for one of the open numbers on the local network. Stops with the host. */
export function announceCodes(host: { addEventListener(event: 'stop', listener: () => void): void }, door: PairDoor): void {
  const { components } = host as unknown as { components: Parameters<ReturnType<typeof mdns>>[0] }
  const told = new Map<number, ReturnType<ReturnType<typeof mdns>>>()
  const follow = (): void => {
    for (const plate of door.plates.filter((one) => !told.has(one))) {
      const teller = mdns({ serviceTag: tagOf(plate), interval: ANNOUNCE_MS })(components)
      told.set(plate, teller)
      void start(teller)
    }
    for (const [plate, teller] of told) if (!door.plates.includes(plate) && told.delete(plate)) void stop(teller)
  }
  const off = door.onPlates(follow)
  host.addEventListener('stop', () => {
    off()
    for (const teller of told.values()) void stop(teller)
  })
}

/** The teller's own questions are of no use to anybody. */
const ANNOUNCE_MS = 3_600_000
const LOOK_FOR_CODE_MS = 1_000

const tagOf = (plate: number): string => `_errand-pair-${plate}._udp.local`

async function start(teller: object): Promise<void> {
  if ('start' in teller && typeof teller.start === 'function') await teller.start()
}

async function stop(teller: object): Promise<void> {
  if ('stop' in teller && typeof teller.stop === 'function') await teller.stop()
}

/** Asks the local network for a number. Yields each inviter's addresses once, until the signal aborts. */
export async function* findInviters(plate: number, signal: AbortSignal): AsyncGenerator<readonly string[]> {
  const found: string[][] = []
  const seen = new Set<string>()
  let wake = (): void => {}
  const discovery = mdns({ serviceTag: tagOf(plate), broadcast: false, interval: LOOK_FOR_CODE_MS })
  const host = await createLibp2p({ start: false, transports: [roomyTcp()], peerDiscovery: [discovery] })
  host.addEventListener('peer:discovery', ({ detail }: CustomEvent<PeerInfo>) => {
    const id = detail.id.toString()
    if (seen.has(id) || seen.size >= PAIR.maxTries) return
    seen.add(id)
    found.push(detail.multiaddrs.map(String).slice(0, MAX_ADDRESSES))
    wake()
  })
  signal.addEventListener('abort', () => wake(), { once: true })
  await host.start()
  try {
    while (!signal.aborted) {
      const next = found.shift()
      if (next !== undefined) yield next
      else await new Promise<void>((resolve) => (wake = resolve))
    }
  } finally {
    await host.stop()
  }
}

/** Of one inviter that are dialled. */
const MAX_ADDRESSES = 8
const PAIR_DIAL_MS = 4_000

export interface PairAttempt<T> {
  readonly start: Start
  finish(answer: Answer): Finish
  open(given: Given): T
}

/**
 * One try with one inviter: at the first of its addresses that answers, and at no other after the first byte.
 * @throws NO_ROUTE when none does; the inviter's own reason; WRONG_CODE
 */
export async function pairAt<T>(addresses: readonly string[], attempt: PairAttempt<T>): Promise<{ value: T; address: string }> {
  for (const address of addresses) {
    const met = await dialPair(address, attempt)
    if (met !== undefined) return { value: await met.talk, address }
  }
  throw new ErrandError('NO_ROUTE', `cannot reach the inviting device at ${addresses.join(', ')}`, {
    hint: 'is it up, and is its code still open? another address: errand join --via MULTIADDR',
    retryable: true,
  })
}

/** @returns undefined when nobody takes the connection, or nobody there serves pairings. */
async function dialPair<T>(address: string, attempt: PairAttempt<T>): Promise<{ readonly talk: Promise<T> } | undefined> {
  let talk: Promise<T> | undefined
  const secureOutbound = async (connection: MessageStream): Promise<SecuredConnection> => {
    talk = speak(connection, attempt)
    await talk.catch(() => undefined)
    throw new PairOver('done')
  }
  const encrypter = (): ConnectionEncrypter => ({ protocol: PAIR.id, secureOutbound, secureInbound: secureOutbound })
  const host = await createLibp2p({
    transports: [roomyTcp()],
    connectionEncrypters: [encrypter],
    connectionManager: { dialTimeout: PAIR_DIAL_MS + PAIR.deadlineMs, addressDialTimeout: PAIR_DIAL_MS + PAIR.deadlineMs, reconnectRetries: 0 },
    connectionGater: { denyDialMultiaddr: () => false },
  })
  try {
    await host.dial(multiaddr(address.replace(/\/p2p\/[^/]+$/, ''))).catch(() => undefined)
    return talk === undefined ? undefined : { talk }
  } finally {
    await host.stop()
  }
}

async function speak<T>(connection: MessageStream, attempt: PairAttempt<T>): Promise<T> {
  const link = new MessageLink(connection, PAIR.maxBytes, AbortSignal.timeout(PAIR.deadlineMs))
  try {
    const answer = await asked(link, attempt.start)
    if (answer.t === 'refused') throw fromWire(answer.fault)
    await link.send(attempt.finish(answer))
    const given = await link.receive(FinishAnswer)
    if (given.t === 'refused') throw fromWire(given.fault)
    return attempt.open(given)
  } finally {
    await link.close().catch(() => undefined)
  }
}

async function asked(link: MessageLink, start: Start): Promise<v.InferOutput<typeof StartAnswer>> {
  try {
    await link.send(start)
    return await link.receive(StartAnswer)
  } catch (cause) {
    if (asErrand(cause).code !== 'LINK_CLOSED') throw cause
    throw new ErrandError('CODE_UNKNOWN', 'no code is open on that device, or somebody else tries one right now', {
      hint: 'look at its screen: a code is good once, for ten minutes; a new one: errand invite',
      cause,
    })
  }
}
