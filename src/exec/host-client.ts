/** The daemon's way to one exec-host process: launches it, holds its lifeline, opens a conversation a command. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { Attending, Failed, HOST, HOST_TAG, type Ticket, Ticketed } from '../../protocols/host/messages.ts'
import { encode } from '../../protocols/wire.ts'
import { type Clock, pause } from '../base/clock.ts'
import { ErrandError, fromWire } from '../base/errors.ts'
import { FrameLink } from '../base/frames.ts'
import { SocketLink } from '../base/socket-link.ts'
import type { HostSetup } from './control.ts'
import { bodyOf, hostGone } from './running.ts'

/** Longer than a small command takes. */
const SPARE_AFTER_MS = 20
const READ_AHEAD_BYTES = 1 << 18
/** A host answers in a millisecond; one that does not within this is stuck. */
const ANSWER_MS = 5_000
/** An idle host ends at once, but for what left the group of a command that has just ended: that gets SIGTERM, and SIGKILL 5 s later. */
const LEAVE_MS = 6_000
/** Beside the sockets: where a host writes what it dies of. The node may be gone by then, and its terminal with it. */
const LOG_FILE = 'exec-host.log'

/** A process is forked with all of its memory: each MiB of the host's costs 50 µs a command, so its heap is kept small (decision 0012). */
const LEAN = ['--max-semi-space-size=1']

export class HostClient {
  readonly #tickets = new Map<string, (port: number | null) => void>()
  #spare: FrameLink | undefined
  #isGone = false
  #isClosed = false
  readonly #gone: Promise<void>

  private constructor(
    private readonly socketPath: string,
    private readonly lifeline: { readonly socket: Socket; readonly link: FrameLink },
    /** What runs there: for a host that an earlier daemon left behind. */
    readonly found: Attending,
    private readonly clock: Clock,
  ) {
    this.#gone = this.#listen()
  }

  /** Starts a host and waits until it can be talked to. @throws SPAWN_FAILED */
  static async launch(file: string, setup: HostSetup, clock: Clock): Promise<HostClient> {
    const log = openSync(join(dirname(setup.directory), LOG_FILE), 'a', 0o600)
    const child = spawn(process.execPath, [...LEAN, file, JSON.stringify(setup)], {
      detached: true, // a terminal's Ctrl-C must not reach it before the daemon decides
      env: environmentOfHost(),
      stdio: ['ignore', 'ignore', log, 'ipc'],
    })
    closeSync(log)
    child.unref()
    await listening(child)
    return await HostClient.adopt(setup.socket, clock)
  }

  /** Takes over a host that listens already, in its own version. @throws ErrandError with what `connect` threw as its cause; BAD_HOST for one that gives no answer. */
  static async adopt(socketPath: string, clock: Clock, speak: number = HOST.version): Promise<HostClient> {
    const socket = connect({ path: socketPath })
    const link = linkOver(socket)
    void link.write(HOST_TAG.attend, encode({ v: speak }))
    let isLate = false
    const cancel = clock.after(ANSWER_MS, () => {
      isLate = true
      socket.destroy()
    })
    const first = await link.read().finally(cancel)
    socket.unref()
    if (first?.tag === HOST_TAG.attending) return new HostClient(socketPath, { socket, link }, bodyOf(Attending, first), clock)
    socket.destroy()
    if (first?.tag !== HOST_TAG.failed) throw isLate ? badHost() : hostGone()
    const fault = fromWire(bodyOf(Failed, first))
    const { version } = fault.fields
    if (typeof version === 'number' && version < speak) return await HostClient.adopt(socketPath, clock, version)
    throw fault
  }

  /** What it is spoken to in. */
  get version(): number {
    return Math.min(this.found.v, HOST.version)
  }

  get isGone(): boolean {
    return this.#isGone
  }

  /** A connection of its own. The next one is opened ahead, when this command has had its turn. */
  converse(o: { readonly fresh?: boolean } = {}): FrameLink {
    const link = (o.fresh === true ? undefined : this.#spare) ?? this.#connect()
    this.#spare = undefined
    this.clock.after(SPARE_AFTER_MS, () => {
      if (!this.#isGone && !this.#isClosed) this.#spare ??= this.#connect()
    })
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

  /** Cuts off the reader of a ticket. */
  expel(id: Uint8Array): void {
    if (!this.#isGone) void this.lifeline.link.write(HOST_TAG.expel, encode({ id }))
  }

  /** Lets go of it: it ends with its last command. Resolves when it is gone, or at once when commands still run there. */
  async close(o: { readonly isIdle: boolean }): Promise<void> {
    this.#isClosed = true
    this.#spare?.abort(hostGone())
    await this.lifeline.link.end().catch(() => undefined)
    if (o.isIdle) await Promise.race([this.#gone, pause(this.clock, LEAVE_MS)])
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
    const link = linkOver(socket)
    socket.once('close', () => {
      if (this.#spare === link) this.#spare = undefined // the host lets go of connections that say nothing when it has too many
    })
    return link
  }
}

function badHost(): ErrandError {
  return new ErrandError('BAD_HOST', 'an exec-host does not answer', { hint: 'is it stopped? its commands are out of reach until it goes on' })
}

function linkOver(socket: Socket): FrameLink {
  socket.on('error', () => undefined) // the link reports it to whoever reads
  return new FrameLink(new SocketLink(socket, new Uint8Array(), READ_AHEAD_BYTES), HOST.maxFrameBytes)
}

function listening(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (how: string): void => {
      reject(
        new ErrandError('SPAWN_FAILED', `the exec-host could not be started: ${how}`, {
          hint: `look at ${LOG_FILE} in the node’s run directory`,
          retryable: true,
        }),
      )
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
