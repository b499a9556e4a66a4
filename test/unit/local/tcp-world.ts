/** The HTTP API on a real TCP port, with scripted answers behind it and a log that only remembers. */
import { connect, type Socket } from 'node:net'
import { systemClock } from '../../../src/base/clock.ts'
import { type CallLog, startTcpServer, type TcpServerOptions } from '../../../src/local/tcp.ts'
import type { Runtime } from '../../../src/runtime/runtime.ts'
import { DID, scripted } from './scripted.ts'

export const TOKEN = 'dGhlIHRva2VuIG9mIHRoaXMgdGVzdA=='

export interface TcpWorld extends AsyncDisposable {
  readonly url: string
  readonly host: string
  readonly port: number
  /** Authority and port. */
  readonly here: string
  readonly refused: Parameters<CallLog['refused']>[0][]
  readonly called: Parameters<CallLog['called']>[0][]
}

export async function tcpWorld(runtime: Partial<Runtime> = {}, o: Partial<TcpServerOptions> = {}): Promise<TcpWorld> {
  const [refused, called]: [TcpWorld['refused'], TcpWorld['called']] = [[], []]
  const log: CallLog = { refused: (facts) => void refused.push(facts), called: async (facts) => void called.push(facts) }
  const server = await startTcpServer({
    ...{ runtime: scripted(runtime), did: DID, host: '127.0.0.1', port: 0, tls: undefined, clock: systemClock, log },
    ...{ needs: { token: TOKEN, certificate: false }, memberOf: () => DID },
    ...o,
  })
  const { port, host } = new URL(server.url)
  return { url: server.url, host: '127.0.0.1', port: Number(port), here: host, refused, called, [Symbol.asyncDispose]: server.close }
}

/** Sends what it is given and reads to the end, by whichever side. */
export class Line {
  readonly socket: Socket
  readonly closed: Promise<void>
  readonly opened: Promise<void>
  text = ''

  /** @param allowHalfOpen it stays when the other side has said its last word. */
  constructor({ host, port }: Pick<TcpWorld, 'host' | 'port'>, allowHalfOpen = false) {
    this.socket = connect({ host, port, allowHalfOpen })
    this.socket.setEncoding('utf8').on('data', (part: string) => (this.text += part))
    this.socket.on('error', () => undefined)
    this.opened = new Promise((resolve) => this.socket.once('connect', () => resolve()))
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()))
  }

  send(text: string): this {
    this.socket.write(text)
    return this
  }
}
