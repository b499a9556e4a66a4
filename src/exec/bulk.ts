/**
 * The host's door on the network for output that is too much for the daemons' event loops: TLS 1.3 with a key of one ticket, which
 * travelled in the Noise session. One ticket lets one reader follow one task, once, within seconds. Listens only while tickets are out.
 * Spec: protocols/host/README.md, "Bulk".
 */
import { isIP, type Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { BULK, HOST, HOST_TAG, type Ticket } from '../../protocols/host/messages.ts'
import { type Clock, every } from '../base/clock.ts'
import { FrameLink } from '../base/frames.ts'
import { offsetBytes, offsetIn } from '../base/offset.ts'
import { showSigns } from '../base/sign-of-life.ts'
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

export interface BulkOn {
  readonly clock: Clock
  readonly find: (task: string) => Job | undefined
  /** Told when the last reader is gone. */
  readonly idle: () => void
  readonly ticketMs: number
  readonly handshakeMs: number
}

export class BulkDoor {
  readonly #tickets = new Map<string, Issued>()
  readonly #doors = new Map<string, Door>()
  readonly #readers = new Set<TLSSocket>()
  readonly #hurried = new WeakSet<TLSSocket>()
  /** Who came with which ticket, for as long as they read. */
  readonly #cameWith = new Map<string, TLSSocket>()
  /** At all doors, those that have closed meanwhile too. */
  #connections = 0

  constructor(private readonly on: BulkOn) {}

  get isServing(): boolean {
    return this.#readers.size > 0
  }

  /** Nothing runs here any more and nobody attends: a reader that takes nothing for so long, whatever it says meanwhile, is all that keeps the host. */
  hurry(ms: number): void {
    for (const socket of this.#readers) if (!this.#hurried.has(socket)) this.#watch(socket, ms)
  }

  #watch(socket: TLSSocket, ms: number): void {
    this.#hurried.add(socket)
    let written = socket.bytesWritten
    const stop = every(this.on.clock, ms, () => {
      if (socket.bytesWritten === written) socket.destroy()
      written = socket.bytesWritten
    })
    socket.once('close', stop)
  }

  /** @returns the port that the holder of the ticket may come to; null when nothing can listen there. */
  async admit(ticket: Ticket): Promise<number | null> {
    const id = Buffer.from(ticket.id).toString('hex')
    if (this.#tickets.size >= BULK.maxTickets || this.#tickets.has(id) || this.on.find(ticket.task) === undefined) return null
    if (isIP(ticket.address) === 0) return null // a name would be looked up, and none at all means every interface
    const cancel = this.on.clock.after(this.on.ticketMs, () => this.#void(id))
    this.#tickets.set(id, { ticket, cancel })
    const door = this.#doors.get(ticket.address) ?? this.#open(ticket.address)
    const port = await door.port
    if (port === null) this.#void(id)
    return port
  }

  /** The reader of this ticket may read no more: cut off, in the middle of a handshake too. */
  expel(ticket: Uint8Array): void {
    const id = Buffer.from(ticket).toString('hex')
    this.#void(id)
    this.#cameWith.get(id)?.destroy()
  }

  #open(address: string): Door {
    const server = createServer(
      {
        minVersion: 'TLSv1.3',
        ciphers: BULK.ciphers,
        handshakeTimeout: this.on.handshakeMs,
        pskCallback: (socket, identity) => this.#redeem(socket, identity),
      },
      (socket) => void this.#serve(socket),
    )
    server.on('connection', (socket) => this.#count(socket))
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

  /** One bound for all doors: a door is shut and another one opened as often as tickets are given out. */
  #count(socket: Socket): void {
    this.#connections++
    socket.once('close', () => this.#connections--)
    if (this.#connections > BULK.maxConnections) socket.destroy()
  }

  /** A ticket is good for one handshake, whether that comes to its end or not. */
  #redeem(socket: TLSSocket, identity: string): NodeJS.ArrayBufferView | null {
    const issued = this.#tickets.get(identity)
    if (issued === undefined) return null
    this.#void(identity)
    const job = this.on.find(issued.ticket.task)
    if (job === undefined) return null
    JOB_OF.set(socket, job)
    this.#cameWith.set(identity, socket)
    socket.once('close', () => this.#cameWith.delete(identity))
    return issued.ticket.key
  }

  async #serve(socket: TLSSocket): Promise<void> {
    socket.on('error', () => undefined)
    const job = JOB_OF.get(socket)
    if (job === undefined) return void socket.destroy() // a session that was resumed, without a ticket
    this.#readers.add(socket)
    try {
      await this.#send(job, socket)
    } catch {
      // A reader that is gone, or none of ours: it gets nothing.
    } finally {
      socket.destroySoon()
      this.#readers.delete(socket)
      if (this.#readers.size === 0) this.on.idle()
    }
  }

  async #send(job: Job, socket: TLSSocket): Promise<void> {
    const link = new FrameLink(new SocketLink(socket, new Uint8Array(), HOST.maxFrameBytes), BULK.maxFrameBytes)
    const cancel = this.on.clock.after(this.on.handshakeMs, () => socket.destroy())
    const first = await link.read().finally(cancel)
    if (first?.tag === HOST_TAG.follow && !socket.destroyed) {
      const follower = new Follower(job, link, offsetIn(first.payload.subarray()), { drop: () => void socket.destroy() })
      socket.once('end', () => follower.leave()).once('close', () => follower.leave())
      let isHeard = false // a reader of an earlier version says nothing
      showSigns(socket, { clock: this.on.clock, say: () => void link.write(HOST_TAG.stdout), expects: () => isHeard })
      void hearSigns(link, () => {
        isHeard = true
      })
      if ((await follower.follow()) === undefined) return
      await link.write(HOST_TAG.ended, offsetBytes(follower.position))
      await untilRead(socket, link, isHeard ? 0 : this.on.handshakeMs)
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

const JOB_OF = new WeakMap<TLSSocket, Job>()

/**
 * The reader hangs up when it has the end. A socket that is closed before may still hold the last megabyte, and the next sign of the
 * reader's would be answered with a reset that throws it away.
 * @param idleMs of a reader that says nothing: so long the socket may stand still; 0 for ever.
 */
async function untilRead(socket: TLSSocket, link: FrameLink, idleMs: number): Promise<void> {
  const closed = new Promise((resolve) => socket.once('close', resolve))
  if (socket.destroyed) return
  if (idleMs > 0) socket.setTimeout(idleMs, () => socket.destroy())
  await link.end()
  await closed
}

/** All that a reader says behind its first frame. */
async function hearSigns(link: FrameLink, heard: () => void): Promise<void> {
  try {
    for (let frame = await link.read(); frame?.tag === HOST_TAG.alive; frame = await link.read()) heard()
  } catch {
    // Gone.
  }
}
