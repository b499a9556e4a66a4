/**
 * The exec-host's desk: its socket, the jobs, and one conversation a connection. Its daemon may die and come back as another one;
 * the jobs do not notice. Spec: protocols/host/README.md.
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Attending, HOST, type Order } from '../../protocols/host/messages.ts'
import { systemClock as clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { FrameLink } from '../base/frames.ts'
import { SocketLink } from '../base/socket-link.ts'
import { BulkDoor } from './bulk.ts'
import type { HostSetup } from './control.ts'
import { Conversation } from './conversation.ts'
import { Job } from './job.ts'
import { SparePipes } from './pipes.ts'
import { type Prepared, prepare } from './spawn.ts'
import { Sweeper } from './sweeper.ts'
import { Warrants } from './warrant.ts'

const READ_AHEAD_BYTES = 1 << 18

export class Host {
  readonly bulk: BulkDoor
  readonly #pipes: SparePipes
  readonly #jobs = new Map<string, Job>()
  readonly #open = new Set<Socket>()
  readonly #sweeper = new Sweeper(clock)
  readonly #server: Server
  readonly #warrants: Warrants
  readonly #preparing = new Set<string>()
  #daemons = 0
  /** Its daemon went away: another one may take over what runs, but starts nothing here. */
  #isLeft = false

  constructor(
    private readonly setup: HostSetup,
    private readonly leave: () => void,
  ) {
    this.bulk = new BulkDoor({ clock, find: (task) => this.#jobs.get(task) })
    this.#warrants = new Warrants({ device: setup.device, clock })
    this.#pipes = new SparePipes(setup.directory, setup.path)
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket))
  }

  /** @throws what `listen` throws. */
  async listen(): Promise<void> {
    const { socket } = this.setup
    rmSync(socket, { force: true })
    await new Promise<void>((resolve, reject) => this.#server.once('error', reject).listen(socket, resolve))
    chmodSync(socket, 0o600)
    clock.after(HOST.openMs, () => this.#leaveWhenIdle())
  }

  find(task: string): Job | undefined {
    return this.#jobs.get(task)
  }

  /** @throws ErrandError TASK_EXISTS, DRAINING, what `prepare` throws, and DENIED when what the daemon was shown does not carry this command. */
  async prepare(order: Order): Promise<Prepared> {
    if (this.#isLeft) throw new ErrandError('DRAINING', 'this exec-host ends with its last command', { retryable: true })
    if (this.#jobs.has(order.task) || this.#preparing.has(order.task)) throw new ErrandError('TASK_EXISTS', `task ${order.task} runs already`)
    this.#preparing.add(order.task)
    try {
      const { home, path, jobs } = this.setup
      const prepared = await prepare(order.task, order.spec, { pipes: this.#pipes, home, path })
      try {
        this.#warrants.check(order)
        mkdirSync(join(jobs, order.task), { recursive: true, mode: 0o700 })
      } catch (thrown) {
        prepared.drop()
        throw thrown
      }
      return prepared
    } finally {
      this.#preparing.delete(order.task)
    }
  }

  async start(order: Order, prepared: Prepared): Promise<Job> {
    const job = await Job.start(order, prepared, { clock, jobs: this.setup.jobs })
    this.#jobs.set(order.task, job)
    void job.saved.then(() => {
      this.#jobs.delete(order.task)
      this.#sweeper.ended(order.task, (task) => this.#jobs.has(task))
      this.#leaveWhenIdle()
    })
    return job
  }

  /** A daemon's lifeline. The returned function says that it is cut. */
  attended(): () => void {
    this.#daemons++
    return () => {
      this.#daemons--
      this.#isLeft = true
      this.#leaveWhenIdle()
    }
  }

  attending(): Attending {
    const jobs = [...this.#jobs.values()].map(({ task, pid, startTime, isAttached }) => ({ task, pid, startTime: Math.round(startTime), attached: isAttached }))
    return { v: HOST.version, pid: process.pid, jobs }
  }

  /** Ends every job; for a host that is told to go. */
  stopAll(): void {
    for (const job of this.#jobs.values()) job.stop('lost')
  }

  #serve(socket: Socket): void {
    socket.on('error', () => undefined) // 'close' follows
    this.#open.add(socket)
    const link = new FrameLink(new SocketLink(socket, new Uint8Array(), READ_AHEAD_BYTES), HOST.maxFrameBytes)
    const gone = new Promise<void>((resolve) => socket.once('end', resolve).once('close', resolve))
    void new Conversation(this, link, { clock, gone }).hold().then((what) => {
      this.#open.delete(socket)
      if (what === 'done') socket.end()
      this.#leaveWhenIdle()
    })
  }

  #leaveWhenIdle(): void {
    if (this.#daemons > 0 || this.#jobs.size > 0 || this.#open.size > 0 || this.bulk.isServing) return
    this.#server.close()
    rmSync(this.setup.socket, { force: true })
    this.leave()
  }
}
