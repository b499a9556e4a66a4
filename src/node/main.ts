/** The daemon: one home, one process. Opens the home, starts the node and the local API, and stays until it is told to stop. */
import { existsSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { hostname } from 'node:os'
import pino from 'pino'
import pack from '../../package.json' with { type: 'json' }
import { type JoinRequest, type JoinView, type ListenRequest, LOCAL, type Status } from '../../protocols/local/messages.ts'
import { systemClock as clock, systemRandom as random } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { socketPathOf } from '../base/paths.ts'
import { type Identity, peerIdOf } from '../identity/identity.ts'
import { startLocalServer } from '../local/server.ts'
import { askToJoin } from '../mesh/join.ts'
import { getsOf, givesOf, type ReadCode, readCode } from '../runtime/invite-code.ts'
import { deviceName } from '../runtime/invites.ts'
import { checkWelcome, makeAsk } from '../runtime/joining.ts'
import { wordsOf } from '../runtime/words.ts'
import { type Config, listenOf, parseConfig, readConfig, saveSetting } from './config.ts'
import { switchedRuntime, waitingRuntime } from './door.ts'
import { foundMesh } from './found.ts'
import { Home, makePrivateDirectory } from './home.ts'
import { type NodeParts, type RunningNode, startNode } from './node.ts'
import { rememberPorts, withLastPorts } from './ports.ts'

export { getSetting, listSettings, typeSetting } from './config.ts'

const VERSION: string = pack.version

export interface NodeOptions {
  home: string
  name?: string
  listen?: string[]
  bootstrap?: string[]
  labels?: Record<string, string>
  preset?: 'local' | 'lan' | 'internet'
  /** A home without a mesh waits for a join instead of beginning a mesh of its own. */
  awaitJoin?: boolean
}

export interface NodeReady {
  did: string
  peerId: string
  name: string
  words: string
  addresses: string[]
  mesh: { id: string; name: string } | null
  devices: { known: number }
  created: boolean
  warnings: string[]
}

/** Runs until SIGTERM, SIGINT or a shutdown request; resolves when the node has stopped. @throws ErrandError when it cannot start. */
export async function runNode(o: NodeOptions, onReady: (r: NodeReady) => void): Promise<void> {
  const umask = process.umask(0o077) // LevelDB makes its files with whatever modes the umask leaves
  const home = Home.open(o.home)
  await refuseSecond(socketPathOf(o.home))
  const daemon = new Daemon(home, withFlags(readConfig(home.at('config.yaml')), o), umask)
  try {
    onReady(await daemon.start(o.awaitJoin === true))
    await daemon.untilStopped()
  } finally {
    await daemon.stop()
  }
}

class Daemon {
  readonly #log = pino({ level: process.env['ERRAND_LOG'] ?? 'info' }, pino.destination({ dest: 2, sync: true }))
  readonly #startedAt = clock.monotonic()
  readonly #device: { identity: Identity; created: boolean }
  #node: RunningNode | undefined
  #server: { close(): Promise<void> } | undefined
  #warnings: string[] = []
  #joining = false
  #stopRequested: (request: { drainMs?: number | undefined }) => void = () => {}
  readonly #stopRequest: Promise<{ drainMs?: number | undefined }>

  constructor(
    private readonly home: Home,
    private config: Config,
    /** The user's, for what the user's commands make. */
    private readonly umask: number,
  ) {
    this.#device = home.device()
    home.owner() // a damaged one is said before the database is touched
    this.#stopRequest = new Promise((resolve) => (this.#stopRequested = resolve))
  }

  async start(awaitJoin: boolean): Promise<NodeReady> {
    const waiting = this.#waiting()
    const known = this.home.mesh()
    if (known !== undefined) await this.#run({ ...known, brought: [], isNewHere: false })
    else if (!awaitJoin) await this.#found()
    rmSync(socketPathOf(this.home.path), { force: true }) // the database lock is ours, so nobody listens there any more
    const runtime = switchedRuntime(() => this.#node?.runtime ?? waiting)
    const { did } = this.#device.identity
    this.#server = await startLocalServer({ runtime, actorDid: did, socketPath: socketPathOf(this.home.path), clock })
    return this.#ready()
  }

  async untilStopped(): Promise<void> {
    const signals = ['SIGTERM', 'SIGINT'] as const
    const stop = (): void => this.#stopRequested({})
    for (const signal of signals) process.once(signal, stop)
    const { drainMs } = await this.#stopRequest
    if (drainMs !== undefined) await Promise.race([this.#node?.drain(drainMs), new Promise<void>((resolve) => signals.forEach((signal) => process.once(signal, () => resolve())))])
    for (const signal of signals) process.removeListener(signal, stop)
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    const [server, node] = [this.#server, this.#node]
    this.#server = undefined
    this.#node = undefined
    await Promise.all([server?.close(), node?.stop()])
  }

  async #found(): Promise<void> {
    const name = this.#ownName()
    const founded = foundMesh({ device: this.#device.identity, owner: this.home.makeOwner(), name: 'home', deviceName: name, clock, random })
    this.home.saveMesh(founded.mesh.bytes, founded.membership)
    await this.#run({ ...founded, brought: [], isNewHere: true })
  }

  async #run(o: Pick<NodeParts, 'mesh' | 'membership' | 'brought' | 'met' | 'isNewHere'>): Promise<void> {
    const parts = {
      ...{ home: this.home, config: this.config, device: this.#device.identity, version: VERSION, startedAt: this.#startedAt, umask: this.umask },
      hostFile: fileURLToPath(new URL('./exec-host.mjs', import.meta.url)),
      log: (event: string, facts: Record<string, unknown>) => this.#log.debug(facts, event),
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

  /** Asks to join, then swaps the node behind the socket for one of the new mesh. The answer goes out when that one is ready. */
  async #join(request: JoinRequest): Promise<JoinView> {
    const code = readCode(request.code)
    this.#mayJoin(code)
    this.#joining = true
    try {
      const device = this.#device.identity
      const name = request.name === undefined ? this.#ownName() : deviceName(request.name)
      const inviterPeerId = peerIdOf(code.inviter)
      const met = (request.via ?? code.offer.addrs).map((address) => (address.includes('/p2p/') ? address : `${address}/p2p/${inviterPeerId}`))
      const welcome = await askToJoin({
        identity: device,
        meshId: code.meshId,
        inviterPeerId,
        addresses: met,
        version: VERSION,
        makeAsk: (challenge) => makeAsk(code, { device, clock, random, version: VERSION, name, challenge }),
      })
      const { mesh, membership } = checkWelcome(welcome, code, device.did)
      await this.#leave()
      this.#listenLikeInviter(code)
      this.home.saveMesh(mesh.bytes, welcome.membership)
      const sets = ['members', 'addresses', 'revocations', 'delegations'] as const
      const brought = sets.flatMap((set) => welcome[set].map((bytes) => [set, bytes] as const))
      await this.#run({ mesh, membership: welcome.membership, brought, met, isNewHere: true })
      const id = Buffer.from(mesh.id).toString('hex')
      return { mesh: { id, name: mesh.genesis.name }, did: device.did, name: membership.name, membership: membership.kind, gave: givesOf(code.offer, membership.name), got: getsOf(code.offer) }
    } finally {
      this.#joining = false
    }
  }

  #mayJoin(code: ReadCode): void {
    if (this.#joining) throw new ErrandError('BUSY', 'another join is under way', { retryable: true })
    if (code.offer.expiresAt * 1_000 < clock.now()) {
      throw new ErrandError('INVITE_EXPIRED', `this code expired at ${new Date(code.offer.expiresAt * 1_000).toISOString()}`, { hint: 'ask for a new one: errand invite' })
    }
    const here = this.home.mesh()
    if (here === undefined) return
    if (Buffer.compare(here.mesh.id, code.meshId) === 0) throw new ErrandError('ALREADY_MEMBER', `this device is a member of mesh "${code.offer.meshName}" already`, { hint: 'errand devices shows it' })
    const others = (this.#node?.directory.members().length ?? 1) - 1
    if (others > 0) {
      throw new ErrandError('OTHER_MESH', `this home belongs to mesh "${here.mesh.genesis.name}" with ${others} other ${others === 1 ? 'device' : 'devices'}; the code is for mesh "${code.offer.meshName}"`, {
        hint: 'one home, one mesh: join with another home: errand join --home DIR CODE',
      })
    }
  }

  /** A mesh of one that was never shared is put aside; its log and keys stay in the home. */
  async #leave(): Promise<void> {
    if (this.home.mesh() === undefined) return
    const node = this.#node
    this.#node = undefined
    await node?.stop()
    this.#log.info({ aside: this.home.leaveMesh() }, 'left the mesh of one')
  }

  /** Starts the node behind the socket again with another preset. */
  async #relisten({ preset }: ListenRequest): Promise<{ addresses: string[] }> {
    const here = this.home.mesh()
    const node = this.#node
    if (here === undefined || node === undefined) throw new ErrandError('BUSY', 'the node is just starting', { retryable: true })
    if (this.config.listen.length > 0) throw new ErrandError('LISTEN_GIVEN', 'this node listens where --listen or its config says', { hint: 'errand down, then errand up with other addresses' })
    if (node.active() > 0) throw new ErrandError('BUSY', `${node.active()} commands are running`, { hint: 'try again when they have ended', retryable: true })
    saveSetting(this.home.at('config.yaml'), 'preset', preset)
    this.config = { ...this.config, preset }
    this.#node = undefined
    await node.stop()
    await this.#run({ ...here, brought: [], isNewHere: false })
    return { addresses: this.#addresses() }
  }

  #addresses(): string[] {
    return this.#node?.addresses() ?? []
  }

  /** Who joins over a network must be reachable there too, unless the user has said where to listen. */
  #listenLikeInviter({ offer }: ReadCode): void {
    const isOutside = offer.addrs.some((address) => !/^\/ip4\/127\.|^\/ip6\/::1\//.test(address))
    if (!isOutside || this.config.preset !== 'local' || this.config.listen.length > 0) return
    saveSetting(this.home.at('config.yaml'), 'preset', 'lan')
    this.config = { ...this.config, preset: 'lan' }
  }

  #ownName(): string {
    return this.config.name ?? deviceName(hostname())
  }

  #waiting(): ReturnType<typeof waitingRuntime> {
    const { did } = this.#device.identity
    return waitingRuntime({ did, name: this.#ownName(), status: () => this.#waitingStatus(), join: (request) => this.#join(request), shutdown: (request) => this.#stopRequested(request) })
  }

  #waitingStatus(): Status {
    const { did, peerId } = this.#device.identity
    return {
      ...{ ready: true, apiVersion: LOCAL.version, did, peerId, name: this.#ownName(), words: wordsOf(did), version: VERSION, mesh: null, pid: process.pid },
      uptimeSeconds: Math.round((clock.monotonic() - this.#startedAt) / 1_000),
      ...{ addresses: [], devices: { known: 0, online: 0 }, tasks: { active: 0, total: 0 }, preset: 'local', mode: 'local-only', healthy: true, problems: [] },
    }
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
      addresses: this.#node?.addresses() ?? [],
      mesh: known === undefined ? null : { id: Buffer.from(known.mesh.id).toString('hex'), name: known.mesh.genesis.name },
      devices: { known: directory?.members().length ?? 0 },
      created: this.#device.created,
      warnings: this.#warnings,
    }
  }
}

async function firstThatListens(tries: readonly (readonly string[])[], start: (listen: readonly string[]) => Promise<RunningNode>): Promise<RunningNode> {
  for (const listen of tries.slice(0, -1)) {
    try {
      return await start(listen)
    } catch (thrown) {
      if (asErrand(thrown).code !== 'PORT_TAKEN') throw thrown
    }
  }
  return await start(tries.at(-1) ?? [])
}

function withFlags(config: Config, o: NodeOptions): Config {
  const { name, listen, bootstrap, preset } = o
  const flags = { ...(name === undefined ? {} : { name }), ...(listen === undefined ? {} : { listen }), ...(bootstrap === undefined ? {} : { bootstrap }), ...(preset === undefined ? {} : { preset }) }
  return parseConfig(JSON.stringify({ ...config, ...flags, labels: { ...config.labels, ...o.labels } }), 'the command line')
}

/** @throws ALREADY_RUNNING when a node answers on the socket. A socket that nobody listens on is a leftover. */
async function refuseSecond(socketPath: string): Promise<void> {
  if (!existsSync(socketPath)) return
  const answers = await new Promise<boolean>((resolve) => {
    const probe = connect(socketPath, () => resolve(true))
    probe.once('error', () => resolve(false))
    probe.once('connect', () => probe.destroy())
  })
  if (answers) throw new ErrandError('ALREADY_RUNNING', 'a node is running on this home already', { hint: 'errand status shows it; errand down stops it; another node needs another --home' })
}
