/** The daemon's way to one exec-host process: launches it, holds its lifeline, opens a conversation a command. */
import { type ChildProcess, spawn } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { Attending, HOST, HOST_TAG, type Ticket, Ticketed } from '../../protocols/host/messages.ts'
import { encode } from '../../protocols/wire.ts'
import { ErrandError } from '../base/errors.ts'
import { FrameLink } from '../base/frames.ts'
import { SocketLink } from '../base/socket-link.ts'
import type { HostSetup } from './control.ts'
import { bodyOf, hostGone } from './running.ts'

const READ_AHEAD_BYTES = 1 << 18

export class HostClient {
  readonly #tickets = new Map<string, (port: number | null) => void>()
  #spare: FrameLink | undefined
  #isGone = false
  readonly #gone: Promise<void>

  private constructor(
    private readonly socketPath: string,
    private readonly lifeline: { readonly socket: Socket; readonly link: FrameLink },
    /** What runs there: for a host that an earlier daemon left behind. */
    readonly found: Attending,
  ) {
    this.#gone = this.#listen()
  }

  /** Starts a host and waits until it can be talked to. @throws SPAWN_FAILED */
  static async launch(file: string, setup: HostSetup): Promise<HostClient> {
    const child = spawn(process.execPath, [file, JSON.stringify(setup)], {
      detached: true, // a terminal's Ctrl-C must not reach it before the daemon decides
      env: environmentOfHost(),
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    child.unref()
    await listening(child)
    return await HostClient.adopt(setup.socket)
  }

  /** Takes over a host that listens already. @throws what `connect` throws, and UNSUPPORTED for one of another version. */
  static async adopt(socketPath: string): Promise<HostClient> {
    const socket = connect({ path: socketPath })
    const link = linkOver(socket)
    void link.write(HOST_TAG.attend, encode({ v: HOST.version }))
    const first = await link.read().finally(() => socket.unref())
    if (first?.tag !== HOST_TAG.attending) throw hostGone()
    return new HostClient(socketPath, { socket, link }, bodyOf(Attending, first))
  }

  get isGone(): boolean {
    return this.#isGone
  }

  /** A connection of its own; the next one is opened ahead. */
  converse(): FrameLink {
    const link = this.#spare ?? this.#connect()
    this.#spare = this.#isGone ? undefined : this.#connect()
    return link
  }

  /** Lets one reader from the network in. @returns the port to come to, null when the host cannot listen. */
  async admit(ticket: Ticket): Promise<number | null> {
    const key = Buffer.from(ticket.id).toString('hex')
    if (this.#isGone) return null
    const port = new Promise<number | null>((resolve) => this.#tickets.set(key, resolve))
    void this.lifeline.link.write(HOST_TAG.ticket, encode(ticket))
    return await port
  }

  /** Lets go of it: it ends with its last command. Resolves when it is gone, or at once when commands still run there. */
  async close(o: { readonly isIdle: boolean }): Promise<void> {
    this.#spare?.abort(hostGone())
    await this.lifeline.link.end().catch(() => undefined)
    if (o.isIdle) await this.#gone
    this.lifeline.socket.destroy()
  }

  async #listen(): Promise<void> {
    const { link } = this.lifeline
    try {
      for (let frame = await link.read(); frame !== undefined; frame = await link.read()) {
        if (frame.tag !== HOST_TAG.ticketed) continue
        const { id, port } = bodyOf(Ticketed, frame)
        const key = Buffer.from(id).toString('hex')
        this.#tickets.get(key)?.(port)
        this.#tickets.delete(key)
      }
    } catch {
      // Cut off: it is gone.
    }
    this.#isGone = true
    for (const none of this.#tickets.values()) none(null)
  }

  #connect(): FrameLink {
    const socket = connect({ path: this.socketPath })
    socket.unref()
    return linkOver(socket)
  }
}

function linkOver(socket: Socket): FrameLink {
  socket.on('error', () => undefined) // the link reports it to whoever reads
  return new FrameLink(new SocketLink(socket, new Uint8Array(), READ_AHEAD_BYTES), HOST.maxFrameBytes)
}

function listening(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (how: string): void => {
      reject(new ErrandError('SPAWN_FAILED', `the exec-host could not be started: ${how}`, { hint: 'look at the node’s log', retryable: true }))
    }
    child.once('message', () => {
      child.disconnect()
      child.removeAllListeners()
      resolve()
    })
    child.once('error', (cause) => fail(cause.message))
    child.once('exit', (code, signal) => fail(`it ended with ${signal ?? code}`))
  })
}

/** What the host needs to start and to pass on; NODE_OPTIONS and the like would slow it down or change it. */
function environmentOfHost(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(PATH|HOME|LANG|TZ|LC_[A-Z]+)$/.test(name)))
}
