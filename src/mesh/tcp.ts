/**
 * Fewer system calls on libp2p's TCP connections. `@libp2p/tcp` writes every piece of a message by itself: a length of two
 * bytes, the ciphertext, a tag; each is a system call and, with Nagle off, a packet. Here what is sent in one turn goes out
 * as one `writev`, and a socket says "full" at 1 MiB instead of 16 KiB. Measured: docs/decisions/0011-few-writes.md.
 */
import type { Socket } from 'node:net'
import type { Connection, ConnectionEncrypter, MessageStream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import type { Uint8ArrayList } from 'uint8arraylist'

const HIGH_WATER_BYTES = 1 << 20
const socketOptions = { noDelay: true, highWaterMark: HIGH_WATER_BYTES }

export const roomyTcp = () => tcp({ dialOpts: socketOptions, listenOpts: socketOptions })

type Encrypter<C> = (components: C) => ConnectionEncrypter<unknown>

/** The encrypter is the first to get a raw connection, so that is where its writes are gathered. */
export function gatherWrites<C>(encrypter: Encrypter<C>): Encrypter<C> {
  return (components) => {
    const inner = encrypter(components)
    const [inbound, outbound] = [inner.secureInbound.bind(inner), inner.secureOutbound.bind(inner)]
    inner.secureInbound = (connection, options) => inbound(gathered(connection), options)
    inner.secureOutbound = (connection, options) => outbound(gathered(connection), options)
    return inner
  }
}

interface RawTcp extends MessageStream {
  readonly socket: Socket
  sendData(data: Uint8ArrayList): { sentBytes: number; canSendMore: boolean }
}

function gathered(connection: MessageStream): MessageStream {
  if (!isTcp(connection)) return connection
  const { socket } = connection
  let corked = false
  connection.sendData = (data) => {
    if (!corked) {
      corked = true
      socket.cork()
      process.nextTick(() => {
        corked = false
        socket.uncork()
      })
    }
    let canSendMore = true
    for (const piece of data) canSendMore = socket.write(piece)
    return { sentBytes: data.byteLength, canSendMore }
  }
  return connection
}

function isTcp(connection: object): connection is RawTcp {
  return 'socket' in connection && 'sendData' in connection && typeof connection.sendData === 'function'
}

/** The socket under a connection; undefined where there is none, as on a relayed one. libp2p keeps it in a field that it does not declare. */
export function socketOf(connection: Connection): Socket | undefined {
  if (!('maConn' in connection)) return undefined
  const raw = connection.maConn
  return typeof raw === 'object' && raw !== null && isTcp(raw) ? raw.socket : undefined
}

/** The other side has ended it, or its system has for it: not the link between. */
export function endedByPeer(connection: Connection): boolean {
  const socket = socketOf(connection)
  return socket !== undefined && (socket.readableEnded || codeOf(socket.errored) === 'ECONNRESET')
}

/** The address of this machine that the connection hangs on. */
export function localAddressOf(connection: Connection): string | undefined {
  return socketOf(connection)?.localAddress?.replace(/^::ffff:/, '')
}

function codeOf(error: Error | null): unknown {
  return error !== null && 'code' in error ? error.code : undefined
}
