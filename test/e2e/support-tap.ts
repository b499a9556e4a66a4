/** A tap on the line: a TCP proxy before a node that keeps what crosses it, so that a test can say what did not. */
import { createConnection, createServer, type Socket } from 'node:net'
import { until } from '../support/until.ts'

/** One direction of a call: what was said in the clear, then the sizes of the handshake's messages and of whatever followed. */
export interface Said {
  readonly opening: readonly string[]
  readonly messages: readonly number[]
}

export interface Call {
  readonly fromDialer: Said
  readonly fromListener: Said
  /** Every byte of both directions, as Latin-1. */
  readonly text: string
}

export interface Tap extends AsyncDisposable {
  /** Where to dial instead; without a PeerId unless the target has one. */
  readonly address: string
  /** Calls so far, once there is at least one and all have ended. @param hangUp ends those that would go on. */
  ended(hangUp: () => Promise<void>): Promise<Call[]>
}

/** @param target a TCP multiaddr on this machine. */
export async function startTap(target: string): Promise<Tap> {
  const [, port = '', rest = ''] = /\/tcp\/(\d+)(.*)$/.exec(target) ?? []
  const calls: { open: number; readonly there: Buffer[]; readonly back: Buffer[] }[] = []
  const sockets = new Set<Socket>()
  const server = createServer((dialer) => {
    const call = { open: 2, there: [] as Buffer[], back: [] as Buffer[] }
    calls.push(call)
    const node = createConnection(Number(port), '127.0.0.1')
    const carry = (from: Socket, to: Socket, kept: Buffer[]): void => {
      sockets.add(from)
      from.on('data', (chunk: Buffer) => {
        kept.push(chunk)
        to.write(chunk)
      })
      from.on('end', () => to.end())
      from.on('error', () => to.destroy())
      from.on('close', () => {
        call.open--
        to.destroy()
      })
    }
    carry(dialer, node, call.there)
    carry(node, dialer, call.back)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const bound = server.address()
  const own = typeof bound === 'object' && bound !== null ? bound.port : 0
  return {
    address: `/ip4/127.0.0.1/tcp/${own}${rest}`,
    async ended(hangUp) {
      await hangUp()
      await until('the calls through the tap have ended', () => calls.length > 0 && calls.every(({ open }) => open === 0))
      return calls.map(({ there, back }) => callOf(Buffer.concat(there), Buffer.concat(back)))
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function callOf(there: Buffer, back: Buffer): Call {
  return { fromDialer: saidIn(there), fromListener: saidIn(back), text: there.toString('latin1') + back.toString('latin1') }
}

/** Two lines of multistream-select (varint length, text, newline), then Noise messages (16-bit length). A rest that does not fit counts as a message. */
function saidIn(bytes: Buffer): Said {
  const opening: string[] = []
  let at = 0
  while (opening.length < 2 && at < bytes.length) {
    const length = bytes[at] ?? 0
    opening.push(bytes.toString('latin1', at + 1, at + length))
    at += 1 + length
  }
  const messages: number[] = []
  while (at < bytes.length) {
    const length = at + 2 <= bytes.length ? bytes.readUInt16BE(at) : bytes.length
    messages.push(Math.min(length, bytes.length - at - 2))
    at += 2 + length
  }
  return { opening, messages }
}
