/**
 * The builder: a written order of starts, the reverse order of stops. Plain constructor arguments; the hall is built in hall.ts.
 */
import { stayAwake } from '../base/awake.ts'
import { systemClock as clock, every, pause } from '../base/clock.ts'
import { asErrand } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { LiveCommand } from '../runtime/live.ts'
import { SUSPENDED } from '../runtime/recovery.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { endUnfinished, findUnfinished } from '../runtime/unfinished.ts'
import type { Standing } from './api-gate.ts'
import { type Hall, openHall } from './hall.ts'
import { giveRoots } from './owner-rooms.ts'
import type { Log, NodeParts } from './parts.ts'
import { type Cellar, openCellar, openRooms, type Rooms } from './rooms.ts'
import { takeOver } from './succession.ts'

/** What a stop waits for commands that are told to end: their ladder and a little. */
const STOP_MS = 8_000
/** How often a device asks what became of the rights that it has asked for. */
const LOOK_MS = 20_000

export interface RunningNode {
  readonly runtime: Omit<Runtime, 'pair'>
  readonly directory: Directory
  readonly standing: Standing
  /** Said to whoever starts the node. */
  readonly warnings: readonly string[]
  addresses(): string[]
  /** Resolves when there is a line to a device. @throws NO_ROUTE */
  meet(did: Did, o: { signal: AbortSignal }): Promise<void>
  active(): number
  /** Takes no new work; resolves when nothing runs any more or the time is up. */
  drain(withinMs: number): Promise<void>
  stop(): Promise<void>
}

/** Starts one node of one mesh, from its database up. What was started is stopped again when a later step fails. @throws ErrandError with a next step. */
export async function startNode(p: NodeParts): Promise<RunningNode> {
  const stops: (() => Promise<void>)[] = []
  try {
    return await build(p, stops)
  } catch (thrown) {
    await stopAll(stops, p.log)
    throw thrown
  }
}

async function stopAll(stops: (() => Promise<void>)[], log: Log): Promise<void> {
  const rest = stayAwake() // the last of the waiting is for timers only
  for (const stop of stops.splice(0).reverse()) await stop().catch((thrown: unknown) => log('stop failed', { why: asErrand(thrown).message }))
  rest()
}

async function build(p: NodeParts, stops: (() => Promise<void>)[]): Promise<RunningNode> {
  const cellar = await openCellar(p, stops)
  const rooms = await openRooms(p, cellar)
  const hall = openHall(p, cellar, rooms)
  await takeOver(p, cellar, rooms)
  await giveRoots(p, rooms)
  stops.push(async () => hall.policies.stop())
  stops.push(async () => hall.sandbox.stop())
  let released: Promise<void> | undefined
  const release = async (): Promise<void> => {
    released ??= letGo(p, hall, rooms)
    await released
  }
  stops.push(release)
  await hall.approving.asked.load()
  await hall.approving.wanted.load()
  await recover(p, { cellar, rooms, hall })
  await hall.mesh.start()
  stops.push(() => hall.mesh.stop())
  hall.follow()
  void hall.sessions.endLeft().catch((thrown: unknown) => p.log('sessions not ended', { why: asErrand(thrown).message }))
  const looking = every(clock, LOOK_MS, () => hall.approving.wanted.look())
  stops.push(() => Promise.resolve(looking()))
  stops.push(release) // first of all, so that callers still hear how their commands ended
  return {
    runtime: hall.runtime,
    directory: rooms.directory,
    standing: { ...rooms, mesh: Buffer.from(p.mesh.id).toString('hex'), audit: cellar.audit },
    warnings: rooms.damaged.map((key) => `the record ${key} in the database was changed and is ignored`),
    addresses: () => hall.mesh.addresses(),
    meet: (did, o) => hall.mesh.meet(did, o),
    active: () => rooms.book.counts().active,
    async drain(withinMs) {
      hall.door.close()
      await Promise.race([Promise.all([rooms.book.idle(), hall.door.idle()]), pause(clock, withinMs)])
    },
    stop: () => stopAll(stops, p.log),
  }
}

/** What an earlier daemon left: running in an exec-host, ended meanwhile, or lost. The log may have to wait for the mesh, so nobody waits for the log. */
async function recover(p: NodeParts, { cellar, rooms, hall }: { cellar: Cellar; rooms: Rooms; hall: Hall }): Promise<void> {
  const living = new Set<string>(rooms.book.live().map(({ id }) => id))
  await hall.approvals.tidy(living)
  const unfinished = await findUnfinished({ logs: { store: cellar.store.logs, mesh: p.mesh.id }, self: p.device.did })
  const running = await hall.executor.adopt()
  const unknown = unfinished.filter(({ task }) => task !== null && !living.has(task))
  const failed = (thrown: unknown): void => p.log('not recovered', { why: asErrand(thrown).message })
  void endUnfinished(unknown, cellar.audit).catch(failed)
  void hall.recovery.recover(running).catch(failed)
  void hall.fans.recover().catch(failed)
}

/** Attached commands end with the node. Detached ones are waited for, or paused; what then runs goes on in the exec-host, and the next start finds it. */
async function letGo({ config }: NodeParts, { door, forwarding, executor, live, places, submitter, sessions }: Hall, { book }: Rooms): Promise<void> {
  const { shutdown, drainTimeoutMs } = config.deployment
  await sessions.closeAll()
  door.close()
  places.freeze() // who waits for one waits on, until the next start
  submitter.stop()
  const detached = new Set<string>(
    book
      .live()
      .filter((task) => task.detached)
      .map(({ id }) => id),
  )
  await forwarding.door.close()
  live.stopAll('lost', (task) => !detached.has(task))
  const attached = live.all().filter(({ task }) => !detached.has(task))
  const lasting = live.all().filter(({ task }) => detached.has(task))
  if (shutdown === 'suspend') await Promise.all(lasting.map((one) => suspend(one, book)))
  const overs = [...attached, ...(shutdown === 'drain' ? lasting : [])].map(({ over }) => over.catch(() => undefined))
  await Promise.race([Promise.all(overs), pause(clock, lasting.length > 0 ? drainTimeoutMs : STOP_MS)])
  await book.close()
  await executor[Symbol.asyncDispose]()
}

async function suspend({ task, running }: LiveCommand, book: Rooms['book']): Promise<void> {
  running.pause()
  await book.note(task, [{ t: 'waiting', at: clock.now(), why: 'paused', message: SUSPENDED }]).catch(() => undefined)
}
