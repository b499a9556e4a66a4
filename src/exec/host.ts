/**
 * The exec-host's desk: its socket, the jobs, and one conversation a connection. Its daemon may die and come back as another one;
 * the jobs do not notice. Spec: protocols/host/README.md.
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Attending, BULK, HOST, type Judged, type Order } from '../../protocols/host/messages.ts'
import type { Limits } from '../../protocols/task/limits.ts'
import { narrowest } from '../authority/limits.ts'
import { systemClock as clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { FrameLink } from '../base/frames.ts'
import { SocketLink } from '../base/socket-link.ts'
import { BulkDoor } from './bulk.ts'
import type { HostSetup } from './control.ts'
import { Conversation, type Desk } from './conversation.ts'
import { Job } from './job.ts'
import { type Means, NO_MEANS } from './means.ts'
import { SparePipes } from './pipes.ts'
import { probeMeans } from './probe.ts'
import { reclaiming } from './reclaim.ts'
import { errnoOf } from './resolve.ts'
import { type Prepared, prepare, type Ready } from './spawn.ts'
import { Sweeper } from './sweeper.ts'
import { Warrants } from './warrant.ts'

const READ_AHEAD_BYTES = 1 << 18
/** Connections that have not said what they are for: a daemon keeps one ready for the next command. Above this the oldest goes. */
const MAX_SILENT = 64
/** In the directory of a task, until it has begun. */
const REFUSAL_FILE = 'refused'

export class Host implements Desk {
  readonly bulk: BulkDoor
  readonly #pipes: SparePipes
  readonly #jobs = new Map<string, Job>()
  readonly #silent = new Set<Socket>()
  #conversations = 0
  readonly #sweeper = new Sweeper(clock)
  readonly #printed = reclaiming()
  readonly #server: Server
  readonly #warrants: Warrants
  #found: Promise<Means> | undefined
  /** Ids of commands that may start any moment. */
  readonly #reserved = new Set<string>()
  #daemons = 0
  /** Its daemon went away: another one may take over what runs, but starts nothing here. */
  #isLeft = false
  #isLeaving = false

  constructor(
    private readonly setup: HostSetup,
    private readonly leave: () => void,
  ) {
    const { ticketMs = BULK.ticketMs, handshakeMs = BULK.handshakeMs } = setup.waits ?? {}
    this.bulk = new BulkDoor({ clock, find: (task) => this.#jobs.get(task), idle: () => this.#leaveWhenIdle(), ticketMs, handshakeMs })
    this.#warrants = new Warrants({ device: setup.device, clock })
    this.#pipes = new SparePipes(setup.directory, setup.path)
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket))
  }

  /** @throws what `listen` throws. */
  async listen(): Promise<void> {
    const { socket } = this.setup
    rmSync(socket, { force: true })
    await new Promise<void>((resolve, reject) => this.#server.on('error', reject).listen(socket, resolve)) // later errors are single connections'
    chmodSync(socket, 0o600)
    clock.after(this.openMs, () => this.#leaveWhenIdle())
  }

  find(task: string): Job | undefined {
    return this.#jobs.get(task)
  }

  /** @throws ErrandError TASK_EXISTS, DRAINING, what `prepare` throws, and DENIED when what the daemon was shown does not carry this command. */
  async prepare(order: Order): Promise<Ready> {
    if (this.#isLeft) throw new ErrandError('DRAINING', 'this exec-host ends with its last command', { retryable: true })
    this.#reserve(order.task)
    const free = (): void => this.#free(order.task)
    try {
      const { home, path, pty, hidden = [], jobs } = this.setup
      const means = (): Promise<Means> => this.#means()
      const on = { pipes: this.#pipes, home, path, pty, clock, means, hidden, refusalOf: (task: string) => join(jobs, task, REFUSAL_FILE) }
      const prepared = await prepare(order.task, order.spec, on)
      let limits: Limits
      try {
        limits = narrowest([this.#warrants.check(order), order.spec.limits])
      } catch (thrown) {
        prepared.drop()
        throw thrown
      }
      const drop = (): void => {
        prepared.drop()
        free()
      }
      return { ...prepared, limits, drop }
    } catch (thrown) {
      free()
      throw thrown
    }
  }

  #means(): Promise<Means> {
    const { means, tag } = this.setup
    this.#found ??= means !== undefined || tag === undefined ? Promise.resolve(means ?? NO_MEANS) : probeMeans(tag)
    return this.#found
  }

  /** One id, one command, for as long as anything is kept of it. @throws TASK_EXISTS */
  #reserve(task: string): void {
    const isTaken = this.#jobs.has(task) || this.#reserved.has(task)
    if (isTaken || !isOurs(join(this.setup.jobs, task))) throw new ErrandError('TASK_EXISTS', `task ${task} exists already`)
    this.#reserved.add(task)
  }

  #free(task: string): void {
    this.#reserved.delete(task)
    try {
      rmdirSync(join(this.setup.jobs, task))
    } catch {
      // Something is in it: then it stays.
    }
  }

  /** @throws ErrandError DENIED when it is not what was judged, and what `spawn` throws. */
  async start(order: Order, prepared: Ready, judged: Judged): Promise<Job> {
    const { jobs } = this.setup
    const limits = narrowest([prepared.limits, judged.limits])
    const held = { spawn: () => prepared.spawn(limits) }
    const job = await Job.start(bounded(order, prepared, judged), held, { clock, jobs, graceMs: this.graceMs, printed: this.#printed }).catch(
      (thrown: unknown) => {
        this.#free(order.task)
        throw thrown
      },
    )
    this.#jobs.set(order.task, job)
    this.#reserved.delete(order.task)
    void job.saved.then(() => {
      this.#jobs.delete(order.task)
      this.#sweeper.ended(order.task)
      this.#leaveWhenIdle()
    })
    return job
  }

  private get openMs(): number {
    return this.setup.waits?.openMs ?? HOST.openMs
  }

  private get graceMs(): number {
    return this.setup.waits?.graceMs ?? HOST.graceMs
  }

  /** A daemon's lifeline. The returned function says that it is cut. */
  attended(): () => void {
    this.#daemons++
    return () => {
      this.#daemons--
      if (this.#daemons === 0) this.#isLeft = true
      this.#leaveWhenIdle()
    }
  }

  attending(): Attending {
    const jobs = [...this.#jobs.values()].map(({ task, pid, startTime, isAttached }) => ({ task, pid, startTime: Math.round(startTime), attached: isAttached }))
    return { v: HOST.version, pid: process.pid, jobs }
  }

  /** Ends every job and then itself, whoever attends. */
  end(): void {
    this.#isLeft = true
    this.#daemons = Number.NEGATIVE_INFINITY
    for (const job of this.#jobs.values()) job.stop('lost')
    this.#leaveWhenIdle()
  }

  #serve(socket: Socket): void {
    socket.on('error', () => undefined) // 'close' follows
    this.#silent.add(socket)
    if (this.#silent.size > MAX_SILENT) for (const oldest of [...this.#silent].slice(0, 1)) oldest.destroy()
    const link = new FrameLink(new SocketLink(socket, new Uint8Array(), READ_AHEAD_BYTES), HOST.maxFrameBytes)
    const gone = new Promise<void>((resolve) => socket.once('end', resolve).once('close', resolve))
    socket.once('close', () => this.#silent.delete(socket))
    const begun = (): void => {
      this.#silent.delete(socket)
      this.#conversations++
    }
    void new Conversation(this, link, { clock, gone, begun, openMs: this.openMs }).hold().then((what) => {
      this.#conversations--
      if (what === 'done') this.#hangUp(socket)
      this.#leaveWhenIdle()
    })
  }

  /** Closing while the other side still writes would cost it our last words. */
  #hangUp(socket: Socket): void {
    const cancel = clock.after(this.openMs, () => socket.destroy())
    socket.once('close', cancel).end()
  }

  #leaveWhenIdle(): void {
    if (this.#isLeaving || this.#daemons > 0 || this.#jobs.size + this.#reserved.size > 0) return
    if (this.#conversations > 0) return
    if (this.bulk.isServing) return this.bulk.hurry(this.graceMs)
    this.#isLeaving = true
    this.#server.close()
    rmSync(this.setup.socket, { force: true })
    if (this.setup.alias !== undefined) rmSync(this.setup.alias, { force: true })
    void this.#sweeper.finish().then(this.leave)
  }
}

/** Between the judgement and here a link may have been turned round. @throws DENIED */
function bounded(order: Order, prepared: Pick<Prepared, 'file' | 'cwd' | 'drop'>, { file, cwd, timeoutMs }: Judged): Order {
  const isOther = (judged: string | null | undefined, found: string): boolean => judged !== undefined && judged !== found
  if (isOther(file, prepared.file) || isOther(cwd, prepared.cwd)) {
    prepared.drop()
    throw new ErrandError('DENIED', 'the program or the directory is not the one that was looked at a moment ago', { hint: 'run it again' })
  }
  const asked = order.spec.timeoutMs
  if (timeoutMs === undefined || (asked > 0 && asked <= timeoutMs)) return order
  return { ...order, spec: { ...order.spec, timeoutMs } }
}

/** Makes the directory of a task. One that is there already will do when nothing is in it, as a killed host leaves it; no link will. */
function isOurs(directory: string): boolean {
  try {
    mkdirSync(directory, { mode: 0o700 })
    return true
  } catch (cause) {
    if (errnoOf(cause) !== 'EEXIST') throw cause
    return lstatSync(directory).isDirectory() && readdirSync(directory).length === 0
  }
}
