/**
 * The host's door on the network for output that is too much for the daemons' event loops: TLS 1.3 with a key of one ticket, which
 * travelled in the Noise session. One ticket lets one reader follow one task, once, within seconds. Listens only while tickets are out.
 * Spec: protocols/host/README.md, "Bulk".
 */
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { BULK, HOST, HOST_TAG, type Ticket } from '../../protocols/host/messages.ts'
import type { Clock } from '../base/clock.ts'
import { FrameLink } from '../base/frames.ts'
import { offsetBytes, offsetIn } from '../base/offset.ts'
import { SocketLink } from '../base/socket-link.ts'
import { Follower } from './follower.ts'
import type { Job } from './job.ts'

interface Issued {
  readonly ticket: Ticket
  readonly cancel: () => void
}

interface Door {
  readonly server: Server
  readonly port: Promise<number | null>
}

export class BulkDoor {
  readonly #tickets = new Map<string, Issued>()
  readonly #doors = new Map<string, Door>()
  #serving = 0

  /** @param on.idle told when the last reader is gone. */
  constructor(private readonly on: { readonly clock: Clock; readonly find: (task: string) => Job | undefined; readonly idle: () => void }) {}

  get isServing(): boolean {
    return this.#serving > 0
  }

  /** @returns the port that the holder of the ticket may come to; null when nothing can listen there. */
  async admit(ticket: Ticket): Promise<number | null> {
    const id = Buffer.from(ticket.id).toString('hex')
    if (this.#tickets.size >= BULK.maxTickets || this.on.find(ticket.task) === undefined) return null
    const cancel = this.on.clock.after(BULK.ticketMs, () => this.#void(id))
    this.#tickets.set(id, { ticket, cancel })
    const door = this.#doors.get(ticket.address) ?? this.#open(ticket.address)
    const port = await door.port
    if (port === null) this.#void(id)
    return port
  }

  #open(address: string): Door {
    const server = createServer(
      {
        minVersion: 'TLSv1.3',
        ciphers: BULK.ciphers,
        handshakeTimeout: BULK.handshakeMs,
        pskCallback: (socket, identity) => this.#redeem(socket, identity),
      },
      (socket) => void this.#serve(socket),
    )
    server.maxConnections = BULK.maxConnections
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    const port = new Promise<number | null>((resolve) => {
      server.on('error', () => {
        if (server.listening) return // a connection that could not be taken is not the end of the door
        this.#doors.delete(address)
        resolve(null)
      })
      server.listen({ host: address, port: 0 }, () => {
        const at = server.address()
        resolve(typeof at === 'object' && at !== null ? at.port : null)
      })
    })
    const door = { server, port }
    this.#doors.set(address, door)
    return door
  }

  /** A ticket is good for one handshake, whether that comes to its end or not. */
  #redeem(socket: TLSSocket, identity: string): NodeJS.ArrayBufferView | null {
    const issued = this.#tickets.get(identity)
    if (issued === undefined) return null
    this.#void(identity)
    TASK_OF.set(socket, issued.ticket.task)
    return issued.ticket.key
  }

  async #serve(socket: TLSSocket): Promise<void> {
    this.#serving++
    socket.on('error', () => undefined)
    const link = new FrameLink(new SocketLink(socket, new Uint8Array(), HOST.maxFrameBytes), BULK.maxFrameBytes)
    const job = this.on.find(TASK_OF.get(socket) ?? '')
    try {
      const cancel = this.on.clock.after(BULK.handshakeMs, () => socket.destroy())
      const first = await link.read().finally(cancel)
      if (job !== undefined && first?.tag === HOST_TAG.follow) {
        const follower = new Follower(job, link, offsetIn(first.payload.subarray()))
        socket.once('close', () => follower.leave())
        if ((await follower.follow()) !== undefined) await link.write(HOST_TAG.ended, offsetBytes(follower.position))
      }
      await link.end()
    } catch {
      // A reader that is gone, or none of ours: it gets nothing.
    } finally {
      socket.destroySoon()
      this.#serving--
      if (this.#serving === 0) this.on.idle()
    }
  }

  #void(id: string): void {
    this.#tickets.get(id)?.cancel()
    this.#tickets.delete(id)
    if (this.#tickets.size > 0) return
    // Nobody else is expected. Whoever is in already, or in the middle of a handshake, is not concerned.
    for (const { server } of this.#doors.values()) server.close()
    this.#doors.clear()
  }
}

const TASK_OF = new WeakMap<TLSSocket, string>()
