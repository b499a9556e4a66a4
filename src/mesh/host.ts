/**
 * The libp2p node of one mesh: TCP, Noise, Yamux, identify, ping, kad-dht, gossipsub and mDNS, all under names of this mesh.
 * The mesh id goes into the Noise prologue: two meshes on one network cannot even finish a handshake.
 */
import './polyfill.ts'
import { noise } from '@chainsafe/libp2p-noise'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { type GossipSub, gossipsub } from '@libp2p/gossipsub'
import { type Identify, identify, identifyPush } from '@libp2p/identify'
import type { Connection, Libp2p } from '@libp2p/interface'
import { type KadDHT, kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { mdns } from '@libp2p/mdns'
import { type Ping, ping } from '@libp2p/ping'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2pOptions } from 'libp2p'
import { ErrandError } from '../base/errors.ts'
import type { Identity } from '../identity/identity.ts'
import { type PairDoor, pairEncrypter } from './pair.ts'
import { gatherWrites, roomyTcp } from './tcp.ts'
import { lateWindows, noteOnce, quietLogger } from './thrift.ts'

export interface HostOptions {
  readonly identity: Identity
  readonly meshId: Uint8Array
  readonly listen: readonly string[]
  readonly version: string
  /** libp2p's peer store; in memory when absent (a join needs no more). */
  readonly datastore?: Libp2pOptions['datastore']
  readonly mdns: boolean
  readonly dht: boolean
  /** Speaks with single devices only: no gossip, no DHT, no mDNS, and tells nobody about itself. */
  readonly isGuest?: boolean
  /** Devices that are not dialled, however their address became known. */
  readonly denyDial?: (peerId: string) => boolean
  /** Devices whose connections are ended as soon as their key is proven. */
  readonly denyInbound?: (peerId: string) => boolean
  /** Serves devices that typed a short code; a node that only joins has none. */
  readonly pairing?: PairDoor
}

export type Services = { identify?: Identify; ping: Ping; pubsub?: GossipSub; dht?: KadDHT }
export type Host = Libp2p<{ ping: Ping }> & { services: Services }

/** 4 MiB: enough for 1 Gbit/s at 30 ms, and the most that a reader who stops can cost. */
const MAX_WINDOW_BYTES = 4 << 20
const PING_BYTES = 32
const PING_MS = 5_000

/** The short name of a mesh, in protocol names and topics. */
export function meshTag(meshId: Uint8Array): string {
  return Buffer.from(meshId.subarray(0, 10)).toString('hex')
}

/** Creates and starts the node. @throws PORT_TAKEN, BAD_ADDRESS */
export async function startHost(o: HostOptions, prepare: (host: Host) => Promise<void>): Promise<Host> {
  const host = await createHost(o)
  noteOnce(host.peerStore)
  await prepare(host)
  try {
    await host.start()
  } catch (cause) {
    await Promise.resolve(host.stop()).catch(() => undefined)
    throw listenError(o.listen, cause)
  }
  return host
}

/** libp2p's ping takes whichever connection it finds; this one asks on the given one, and is content with any answer at all. */
export async function pingOn(connection: Connection, meshId: Uint8Array): Promise<void> {
  const signal = AbortSignal.timeout(PING_MS)
  const stream = await connection.newStream(`/errand/${meshTag(meshId)}/ping/1.0.0`, { signal })
  stream.send(new Uint8Array(PING_BYTES))
  try {
    await new Promise((resolve) => {
      stream.addEventListener('message', resolve, { once: true })
      stream.addEventListener('close', resolve, { once: true })
      signal.addEventListener('abort', resolve, { once: true })
    })
    signal.throwIfAborted()
  } finally {
    stream.abort(new Error('asked'))
  }
}

/** Notes how long a device takes to answer; one that does not keeps the time that it had. */
export async function notePing(host: Host | undefined, peer: { readonly connection: Connection; rttMs: number }): Promise<void> {
  const rtt = await host?.services.ping.ping(peer.connection.remotePeer, { signal: AbortSignal.timeout(PING_MS) }).catch(() => undefined)
  if (rtt !== undefined) peer.rttMs = rtt
}

async function createHost(o: HostOptions): Promise<Host> {
  const tag = meshTag(o.meshId)
  return (await createLibp2p({
    start: false,
    ...quietLogger(),
    privateKey: await generateKeyPairFromSeed('Ed25519', o.identity.seed),
    nodeInfo: { name: 'errand', version: o.version, userAgent: `errand/${o.version}` },
    addresses: { listen: [...o.listen] },
    transports: [roomyTcp()],
    connectionEncrypters: [
      gatherWrites(noise({ prologueBytes: Buffer.concat([Buffer.from('errand noise v1\0'), o.meshId]) })),
      ...(o.pairing === undefined ? [] : [pairEncrypter(o.pairing)]),
    ],
    streamMuxers: [lateWindows(yamux({ streamOptions: { maxStreamWindowSize: MAX_WINDOW_BYTES, maxReadBufferLength: MAX_WINDOW_BYTES * 2 } }))],
    // Devices behind one NAT or on one machine share an address; libp2p's default of 5/s would leave them alone.
    connectionManager: {
      inboundConnectionThreshold: 100,
      maxIncomingPendingConnections: 100,
      reconnectRetries: 0,
      dialTimeout: 8_000,
      addressDialTimeout: 4_000,
      connectionCloseTimeout: 300,
    },
    connectionMonitor: { enabled: true, protocolPrefix: `errand/${tag}`, pingInterval: 15_000 },
    connectionGater: {
      denyDialMultiaddr: () => false,
      denyDialPeer: (id) => o.denyDial?.(id.toString()) === true,
      denyInboundEncryptedConnection: (id) => o.denyInbound?.(id.toString()) === true,
      denyOutboundEncryptedConnection: (id) => o.denyDial?.(id.toString()) === true,
    },
    peerDiscovery: o.mdns && o.isGuest !== true ? [mdns({ serviceTag: `_errand-${tag}._udp.local`, interval: 20_000 })] : [],
    ...(o.datastore === undefined ? {} : { datastore: o.datastore }),
    services: {
      ping: ping({ protocolPrefix: `errand/${tag}`, maxInboundStreams: 8, maxOutboundStreams: 8 }),
      ...(o.isGuest === true ? {} : forMembers(tag)),
      ...(o.dht && o.isGuest !== true
        ? { dht: kadDHT({ protocol: `/errand/${tag}/kad/1.0.0`, clientMode: false, peerInfoMapper: passthroughMapper, initialQuerySelfInterval: 1_000 }) }
        : {}),
    },
  })) as unknown as Host
}

/** What members tell each other without being asked. */
function forMembers(tag: string) {
  return {
    // Runs after hello, not on connect: before it the other side refuses.
    identify: identify({ protocolPrefix: `errand/${tag}`, runOnConnectionOpen: false, maxInboundStreams: 4, maxOutboundStreams: 4 }),
    identifyPush: identifyPush({ protocolPrefix: `errand/${tag}`, maxInboundStreams: 4, maxOutboundStreams: 4 }),
    pubsub: gossipsub({
      globalSignaturePolicy: 'StrictSign',
      allowPublishToZeroTopicPeers: true,
      emitSelf: false,
      scoreParams: { IPColocationFactorWeight: 0 },
    }),
  }
}

function listenError(listen: readonly string[], cause: unknown): ErrandError {
  const message = cause instanceof Error ? `${cause.message} ${cause.cause instanceof Error ? cause.cause.message : ''}` : String(cause)
  const nested = cause instanceof AggregateError ? cause.errors.map(String).join(' ') : ''
  if (/EADDRNOTAVAIL/i.test(message + nested)) {
    return new ErrandError('CANNOT_LISTEN', `cannot listen on ${listen.join(', ')}: that is not an address of this machine`, {
      hint: '/ip4/0.0.0.0/tcp/4701 listens on all of them',
      cause,
    })
  }
  if (/EADDRINUSE|UnsupportedListenAddresses|NoValidAddresses|not be listened/i.test(message + nested)) {
    return new ErrandError('PORT_TAKEN', `cannot listen on ${listen.join(', ')}: the port is taken or the address is not this machine's`, {
      hint: 'choose another one: errand up --listen /ip4/127.0.0.1/tcp/0  (0 picks a free port)',
      cause,
    })
  }
  return new ErrandError('CANNOT_LISTEN', `cannot listen on ${listen.join(', ')}: ${message.split('\n')[0] ?? ''}`, {
    hint: 'give addresses as multiaddrs: --listen /ip4/0.0.0.0/tcp/4701',
    cause,
  })
}
