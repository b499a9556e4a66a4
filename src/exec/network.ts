/** TCP of this machine, for others: looks names up, connects to addresses, listens. Decides nothing; whoever calls has judged where it leads. */
import { lookup } from 'node:dns/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { bytesOf, sayEnd } from '../base/address.ts'
import { ErrandError } from '../base/errors.ts'
import { type Pipe, SocketPipe } from '../base/pipe.ts'

/** The system looks names up in the few threads that also serve files and the database: a flood of slow names must not fill them. */
const LOOKUPS_AT_ONCE = 2
const LOOKUPS_WAITING = 256
const MAX_ADDRESSES = 16
/** Connections that nobody has taken yet. */
const BACKLOG = 64

export interface Listening {
  readonly address: string
  readonly port: number
  close(): void
}

export class Network {
  #looking = 0
  readonly #waiting: (() => void)[] = []

  /** The addresses of a name, as bytes, in the system's order. @throws NO_SUCH_HOST, TOO_BUSY */
  async lookup(name: string): Promise<readonly (readonly number[])[]> {
    await this.#turn()
    try {
      const found = await lookup(name, { all: true })
      return found.slice(0, MAX_ADDRESSES).flatMap(({ address }) => (bytesOf(address) === undefined ? [] : [bytesOf(address) ?? []]))
    } catch (cause) {
      throw new ErrandError('NO_SUCH_HOST', `it finds no address for ${name}`, { hint: 'the name is looked up on that device: is it known there?', cause })
    } finally {
      this.#looking--
      this.#waiting.shift()?.()
    }
  }

  /** @param ip an address, never a name: what was judged is what is connected to. @throws CONNECT_FAILED */
  async connect(ip: string, port: number, { signal }: { signal: AbortSignal }): Promise<Pipe> {
    const socket = connect({ host: ip, port, allowHalfOpen: true, keepAlive: true })
    return await new Promise((resolve, reject) => {
      const failed = (reason: string): void => {
        socket.destroy()
        reject(new ErrandError('CONNECT_FAILED', `${sayEnd(ip, port)}: ${SAID[reason] ?? reason}`, { hint: 'does it listen there?', fields: { reason } }))
      }
      const late = (): void => failed('ETIMEDOUT')
      signal.addEventListener('abort', late, { once: true })
      socket.once('error', (error) => failed(codeOf(error)))
      socket.once('connect', () => {
        signal.removeEventListener('abort', late)
        socket.removeAllListeners('error')
        resolve(new SocketPipe(socket))
      })
      if (signal.aborted) late()
    })
  }

  /** @param taken gets each connection; it is nobody's yet when that throws. @throws CANNOT_LISTEN */
  async listen(ip: string, port: number, taken: (pipe: Pipe) => void): Promise<Listening> {
    const server = createServer({ allowHalfOpen: true, keepAlive: true }, (socket: Socket) => taken(new SocketPipe(socket)))
    await listening(server, ip, port)
    server.on('error', () => undefined)
    const at = server.address()
    const bound = typeof at === 'object' && at !== null ? at : { address: ip, port }
    return { address: bound.address, port: bound.port, close: () => server.close() }
  }

  /** Of this machine, as bytes. */
  ownAddresses(): readonly (readonly number[])[] {
    return Object.values(networkInterfaces()).flatMap((ones) =>
      (ones ?? []).flatMap(({ address }) => (bytesOf(address) === undefined ? [] : [bytesOf(address) ?? []])),
    )
  }

  async #turn(): Promise<void> {
    this.#looking++
    if (this.#looking <= LOOKUPS_AT_ONCE) return
    if (this.#waiting.length >= LOOKUPS_WAITING) {
      this.#looking--
      throw new ErrandError('TOO_BUSY', 'this device looks up too many names already', { retryable: true })
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

const SAID: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ETIMEDOUT: 'no answer in time',
  EHOSTUNREACH: 'there is no way there',
  ENETUNREACH: 'there is no way there',
  EADDRINUSE: 'the address is taken',
  EACCES: 'that port is not for this user',
  EADDRNOTAVAIL: 'that is no address of this device',
}

async function listening(server: Server, ip: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const reason = codeOf(error)
      reject(new ErrandError('CANNOT_LISTEN', `${sayEnd(ip, port)}: ${SAID[reason] ?? reason}`, { hint: 'port 0 picks a free one', fields: { reason } }))
    })
    server.listen({ host: ip, port, backlog: BACKLOG }, resolve)
  })
  server.removeAllListeners('error')
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : 'failed'
}
