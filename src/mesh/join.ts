/** The door for devices with an invite, and the way through it. Spec: protocols/join/README.md. */
import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { type Ask, Ask as AskSchema, Challenge, JOIN, JoinAnswer, type Welcome } from '../../protocols/join/messages.ts'
import type { Clock, Random } from '../base/clock.ts'
import { asErrand, ErrandError, fromWire } from '../base/errors.ts'
import { type Did, didOfPeerId, type Identity } from '../identity/identity.ts'
import { type Host, startHost } from './host.ts'
import { MessageLink } from './streams.ts'

/** Decides about one ask. @throws ErrandError with the reason that the joiner is told. */
export type AdmitJoin = (ask: Ask, from: { readonly did: Did; readonly challenge: Uint8Array; readonly address: string }) => Promise<Welcome>

/** Serves `/errand/join/1` to strangers: few at a time, small, and each with a deadline. */
export async function serveJoin(host: Host, on: { admit: AdmitJoin; random: Random; clock: Clock }): Promise<void> {
  let pending = 0
  await host.handle(
    [...JOIN.ids],
    async (stream: Stream, connection: Connection) => {
      if (pending >= JOIN.maxPending) return stream.abort(new Error('too many joins at once'))
      pending++
      try {
        await answer(stream, connection, on)
      } finally {
        pending--
      }
    },
    { maxInboundStreams: 1, maxOutboundStreams: 1 },
  )
}

async function answer(stream: Stream, connection: Connection, on: { admit: AdmitJoin; random: Random; clock: Clock }): Promise<void> {
  const link = new MessageLink(stream, JOIN.maxAskBytes, AbortSignal.timeout(JOIN.deadlineMs))
  const slow = on.clock.after(JOIN.askMs, () => link.abort(new ErrandError('JOIN_FAILED', 'the ask did not come in time')))
  try {
    const challenge = on.random(16)
    await link.send({ t: 'challenge', challenge })
    const ask = await link.receive(AskSchema)
    slow()
    const did = didOfPeerId(connection.remotePeer.toString())
    await link.send(await on.admit(ask, { did, challenge, address: connection.remoteAddr.toString() }))
  } catch (thrown) {
    slow()
    await link.send({ t: 'refused', fault: asErrand(thrown, 'JOIN_FAILED').toWire('device') }).catch(() => undefined)
  }
  await link.close().catch(() => undefined)
}

export interface JoinDial {
  readonly identity: Identity
  readonly meshId: Uint8Array
  readonly inviterPeerId: string
  readonly addresses: readonly string[]
  readonly version: string
  readonly makeAsk: (challenge: Uint8Array) => Ask
}

/**
 * Dials the inviter with a node that serves nothing, asks, and returns the welcome.
 * @throws NO_ROUTE when no address answers; otherwise the inviter's own reason.
 */
export async function askToJoin(o: JoinDial): Promise<Welcome> {
  const host = await startHost({ identity: o.identity, meshId: o.meshId, listen: [], version: o.version, mdns: false, dht: false }, async () => undefined)
  try {
    const connection = await dialInviter(host, o)
    const signal = AbortSignal.timeout(JOIN.deadlineMs)
    const link = new MessageLink(await connection.newStream([...JOIN.ids], { signal }), JOIN.maxWelcomeBytes, signal)
    const { challenge } = await link.receive(Challenge)
    await link.send(o.makeAsk(challenge))
    const reply = await link.receive(JoinAnswer)
    if (reply.t === 'refused') throw fromWire(reply.fault)
    return reply
  } finally {
    await host.stop()
  }
}

async function dialInviter(host: Host, o: JoinDial): Promise<Connection> {
  try {
    const addresses = o.addresses.map((address) => multiaddr(address.includes('/p2p/') ? address : `${address}/p2p/${o.inviterPeerId}`))
    return await host.dial(addresses, { signal: AbortSignal.timeout(10_000) })
  } catch (cause) {
    throw new ErrandError('NO_ROUTE', `cannot reach the inviting device at ${o.addresses.join(', ')}`, {
      hint: 'is it up, and on a network that this device reaches? another address: errand join --via MULTIADDR',
      retryable: true,
      cause,
    })
  }
}
