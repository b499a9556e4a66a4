/** The daemon behind one home: begins, joins and leaves a mesh, and keeps one socket in front of whatever node that makes. */
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import pino from 'pino'
import pack from '../../package.json' with { type: 'json' }
import type { JoinRequest, JoinView, ListenRequest, PairRequest, PairView, Status } from '../../protocols/local/messages.ts'
import { sameBytes } from '../../protocols/wire.ts'
import { systemClock as clock, systemRandom as random } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { socketPathOf } from '../base/paths.ts'
import type { Identity } from '../identity/identity.ts'
import { startLocalServer } from '../local/server.ts'
import { type ReadCode, readCode } from '../runtime/invite-code.ts'
import { deviceName } from '../runtime/offers.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { wordsOf } from '../runtime/words.ts'
import { isLoopback } from './addresses.ts'
import { type OpenApi, openApi } from './api.ts'
import { readApiSecrets } from './api-files.ts'
import { type Config, listenOf, withPreset } from './config.ts'
import { saveSetting } from './config-file.ts'
import { forgetOverrides } from './config-overrides.ts'
import { switchedRuntime, waitingRuntime } from './door.ts'
import { foundMesh } from './found.ts'
import { GrpcDoor } from './grpc-door.ts'
import { type Home, makePrivateDirectory } from './home.ts'
import { askInviter, type Here, joinView, refuseJoin, refuseLeaving } from './joiner.ts'
import { type RunningNode, startNode } from './node.ts'
import { pairByWords } from './pairer.ts'
import type { NodeParts } from './parts.ts'
import { firstThatListens, rememberPorts, withLastPorts } from './ports.ts'
import { statusWithoutMesh } from './status.ts'

const VERSION: string = pack.version
/** How long a join waits for the first line to the inviter; without it the device is a member all the same. */
const MEET_MS = 5_000

export interface NodeReady {
  did: string
  peerId: string
  name: string
  words: string
  addresses: string[]
  mesh: { id: string; name: string } | null
  devices: { known: number }
  api: Status['api']
  created: boolean
  warnings: string[]
}

export interface DaemonOptions {
  /** The user's, for what the user's commands make. */
  readonly umask: number
  /** False: nobody but this process reaches the node. */
  readonly socket: boolean
  /** Where log lines go, one JSON object each. */
  readonly log: pino.DestinationStream
}

export class Daemon {
  /** Whatever node is behind the door: none yet, that of one mesh, that of another after a join. */
  readonly runtime: Runtime
  /** Resolves when somebody asks the node to stop, through its runtime. */
  readonly stopRequest: Promise<{ drainMs?: number | undefined }>
  readonly #log: pino.Logger
  readonly #startedAt = clock.monotonic()
  readonly #device: { identity: Identity; created: boolean }
  #node: RunningNode | undefined
  #server: { close(): Promise<void> } | undefined
  #api: OpenApi | undefined
  readonly #grpc: GrpcDoor
  #warnings: string[] = []
  #joining = false
  #stopRequested: (request: { drainMs?: number | undefined }) => void = () => {}

  constructor(
    private readonly home: Home,
    private config: Config,
    private readonly o: DaemonOptions,
  ) {
    this.#log = pino({ level: config.log.level }, o.log)
    this.#device = home.device()
    home.owner() // a damaged one is said before the database is touched
    this.stopRequest = new Promise((resolve) => (this.#stopRequested = resolve))
    const waiting = this.#waiting()
    this.#grpc = new GrpcDoor({ home: home.path, wanted: config.transport.grpc.socket, actorDid: this.did, clock, logger: this.#log })
    this.runtime = this.#grpc.seenBy(
      switchedRuntime(
        () => this.#node?.runtime ?? waiting,
        (request) => this.#pair(request),
      ),
    )
  }

  get did(): string {
    return this.#device.identity.did
  }

  async start(awaitJoin: boolean): Promise<NodeReady> {
    const secrets = readApiSecrets(this.config, this.home) // a file that is missing is said before anything is begun
    const known = this.home.mesh()
    if (known !== undefined) await this.#run({ ...known, brought: [], isNewHere: false })
    else if (!awaitJoin) await this.#found()
    if (this.o.socket) await this.#openSocket()
    if (this.o.socket) await this.#grpc.open(this.runtime)
    await this.#openApi(secrets)
    return this.#ready()
  }

  async untilStopped(): Promise<void> {
    const signals = ['SIGTERM', 'SIGINT'] as const
    const stop = (): void => this.#stopRequested({})
    for (const signal of signals) process.once(signal, stop)
    const { drainMs } = await this.stopRequest
    if (drainMs !== undefined) await Promise.race([this.drain(drainMs), ...signals.map((signal) => once(process, signal))])
    for (const signal of signals) process.removeListener(signal, stop)
  }
  async stop(): Promise<void> {
    const [server, api, node] = [this.#server, this.#api, this.#node]
    this.#server = undefined
    this.#api = undefined
    this.#node = undefined
    await Promise.all([server?.close(), api?.close(), this.#grpc.close(), node?.stop()])
  }

  /** Takes no new work; resolves when nothing runs any more or the time is up. */
  async drain(withinMs: number): Promise<void> {
    await this.#node?.drain(withinMs)
  }

  async #openSocket(): Promise<void> {
    const socketPath = socketPathOf(this.home.path)
    rmSync(socketPath, { force: true }) // the database lock is ours, so nobody listens there any more
    this.#server = await startLocalServer({ runtime: this.runtime, actorDid: this.did, socketPath, clock })
  }

  async #openApi(secrets: ReturnType<typeof readApiSecrets>): Promise<void> {
    const at = this.config.transport.api
    if (at === undefined) return
    const log = (event: string, facts: Record<string, unknown>): void => this.#log.info(facts, event)
    const standing = () => this.#node?.standing
    this.#api = await openApi({ runtime: this.runtime, did: this.#device.identity.did, at, secrets, standing, clock, log, logger: this.#log })
  }

  async #found(): Promise<void> {
    const name = this.#ownName()
    const founded = foundMesh({ device: this.#device.identity, owner: this.home.makeOwner(), name: 'home', deviceName: name, clock, random })
    this.home.saveMesh(founded.mesh.bytes, founded.membership)
    await this.#run({ ...founded, brought: [], isNewHere: true })
  }

  async #run(o: Pick<NodeParts, 'mesh' | 'membership' | 'brought' | 'met' | 'isNewHere'>): Promise<void> {
    const parts = {
      ...{ home: this.home, config: this.config, device: this.#device.identity, version: VERSION, startedAt: this.#startedAt, umask: this.o.umask },
      hostFile: fileURLToPath(new URL('./exec-host.mjs', import.meta.url)),
      bridgeFile: fileURLToPath(new URL('./bridge.cjs', import.meta.url)),
      log: (event: string, facts: Record<string, unknown>) => this.#log.debug(facts, event),
      api: () => this.#api?.view ?? null,
      join: (request: JoinRequest) => this.#join(request),
      relisten: (request: ListenRequest) => this.#relisten(request),
      shutdown: (request: { drainMs?: number | undefined }) => this.#stopRequested(request),
    }
    const { addresses, chosen } = listenOf(this.config)
    const file = this.home.at('run', 'ports.json')
    // The preset's port is a wish, and so is the one of last time; an address that was named is an order.
    const free = addresses.map((address) => address.replace(/\/tcp\/\d+$/, '/tcp/0'))
    const tries = [withLastPorts(file, addresses), addresses, chosen ? undefined : free].filter((listen) => listen !== undefined)
    this.#node = await firstThatListens(tries, (listen) => startNode({ ...parts, ...o, listen }))
    makePrivateDirectory(this.home.at('run'))
    rememberPorts(file, addresses, this.#node.addresses())
    if (!chosen && this.config.preset !== 'local' && !this.#node.addresses().some((address) => address.includes('/tcp/4701'))) {
      this.#warnings.push(`port 4701 is taken; listening on ${this.#node.addresses().join(', ')}`)
    }
    this.#warnings.push(...this.#node.warnings)
  }

  /** The one try of a short code. A home that could not join anyway spends none. */
  async #pair(request: PairRequest): Promise<PairView> {
    refuseLeaving(this.#here())
    return await pairByWords(request, { did: this.#device.identity.did, name: this.#nameIn(request) })
  }

  #here(): Here | undefined {
    const known = this.home.mesh()
    const directory = this.#node?.directory
    return known && { mesh: known.mesh, others: (directory?.everyone().length ?? 1) - 1, mayComeBack: directory?.isMember(this.did) === false }
  }

  #nameIn({ name }: { readonly name?: string | undefined }): string {
    return name === undefined ? this.#ownName() : deviceName(name)
  }

  /** Asks to join, then swaps the node behind the socket for one of the new mesh. The answer goes out when that one is ready. */
  async #join(request: JoinRequest): Promise<JoinView> {
    const code = readCode(request.code)
    const here = this.#here()
    refuseJoin(code, here)
    if (this.#joining) throw new ErrandError('BUSY', 'another join is under way', { retryable: true })
    this.#joining = true
    try {
      const joined = await askInviter(code, request, { device: this.#device.identity, name: this.#nameIn(request), version: VERSION })
      await (here !== undefined && sameBytes(here.mesh.id, code.meshId) ? this.#pauseNode() : this.#leave()) // back in the same mesh: the log goes on
      this.#listenLikeInviter(code)
      this.home.saveMesh(joined.mesh.bytes, joined.start.membership)
      await this.#run(joined.start)
      // Joined means usable from both sides: the inviter can reach this device only once it has called.
      await this.#node?.meet(code.inviter, { signal: AbortSignal.timeout(MEET_MS) }).catch(() => undefined)
      return joinView(code, joined)
    } finally {
      this.#joining = false
    }
  }

  /** What is left is put aside; its log and keys stay in the home. */
  async #leave(): Promise<void> {
    if (this.home.mesh() === undefined) return
    await this.#pauseNode()
    this.#log.info({ aside: this.home.leaveMesh() }, 'left the mesh of one')
  }

  async #pauseNode(): Promise<void> {
    const node = this.#node
    this.#node = undefined
    await node?.stop()
  }

  /** Starts the node behind the socket again with another preset. */
  async #relisten({ preset }: ListenRequest): Promise<{ addresses: string[] }> {
    const here = this.home.mesh()
    const node = this.#node
    if (here === undefined || node === undefined) throw new ErrandError('BUSY', 'the node is just starting', { retryable: true })
    if (this.config.transport.listen.length > 0)
      throw new ErrandError('LISTEN_GIVEN', 'this node listens where --listen or its config says', { hint: 'errand down, then errand up with other addresses' })
    if (node.active() > 0) throw new ErrandError('BUSY', `${node.active()} commands are running`, { hint: 'try again when they have ended', retryable: true })
    this.#changePreset(preset)
    await this.#pauseNode()
    await this.#run({ ...here, brought: [], isNewHere: false })
    return { addresses: this.#listening() }
  }

  #listening(): string[] {
    return this.#node?.addresses() ?? []
  }

  /** Who joins over a network must be reachable there too, unless the user has said where to listen. */
  #listenLikeInviter({ offer }: ReadCode): void {
    const isOutside = offer.addrs.some((address) => !isLoopback(address))
    if (!isOutside || this.config.preset !== 'local' || this.config.transport.listen.length > 0) return
    this.#changePreset('lan')
  }

  #changePreset(preset: Config['preset']): void {
    saveSetting(this.home.path, 'preset', preset)
    forgetOverrides(this.home.path, 'preset') // a later word than the option it was started with
    this.config = withPreset(this.config, preset)
  }

  #ownName(): string {
    return this.config.name ?? deviceName(hostname())
  }

  #waiting(): ReturnType<typeof waitingRuntime> {
    const { did } = this.#device.identity
    return waitingRuntime({
      did,
      name: this.#ownName(),
      status: () => this.#waitingStatus(),
      join: (request) => this.#join(request),
      shutdown: (request) => this.#stopRequested(request),
    })
  }

  #waitingStatus(): Status {
    return statusWithoutMesh(this.#device.identity, {
      ...{ name: this.#ownName(), version: VERSION, api: this.#api?.view ?? null },
      uptimeSeconds: Math.round((clock.monotonic() - this.#startedAt) / 1_000),
    })
  }

  #ready(): NodeReady {
    const { did, peerId } = this.#device.identity
    const directory = this.#node?.directory
    const known = this.home.mesh()
    return {
      did,
      peerId,
      name: directory?.nameOf(did) ?? this.#ownName(),
      words: wordsOf(did),
      addresses: this.#listening(),
      mesh: known === undefined ? null : { id: Buffer.from(known.mesh.id).toString('hex'), name: known.mesh.genesis.name },
      devices: { known: directory?.everyone().length ?? 0 },
      api: this.#api?.view ?? null,
      created: this.#device.created,
      warnings: this.#warnings,
    }
  }
}
