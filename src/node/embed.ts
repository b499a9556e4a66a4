/**
 * A node inside somebody's program: what `import { createNode } from 'errand'` gives. As many as wanted in one process, each with a home of
 * its own. Reads neither the command line nor the environment, installs no signal handlers, writes nothing to the terminal.
 */
import { resolve } from 'node:path'
import type { Status } from '../../protocols/local/messages.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { InProcess } from '../local/in-process.ts'
import type { Adapter, OwnerClient, RuntimeClient } from '../local/runtime-client.ts'
import { runtimeOf } from '../local/runtime-of.ts'
import { loadConfig } from './config.ts'
import { type Override, settingNamed } from './config-layers.ts'
import { forgetOverrides, recordOverrides } from './config-overrides.ts'
import { Daemon } from './daemon.ts'
import { Home } from './home.ts'
import { takeHome } from './running.ts'

// What its methods take and give, for programs in TypeScript (docs/decisions/0016).
export type {
  AuditQuery,
  AuditRecordView,
  AuditVerifyView,
  Capabilities,
  DeviceView,
  GrantRequest,
  GrantView,
  InviteAnswer,
  InviteProgressView,
  InviteRequest,
  InviteView,
  JoinRequest,
  JoinView,
  ListenRequest,
  OfferedView,
  OfferView,
  PairRequest,
  PairView,
  RevokeRequest,
  RevokeView,
  RightView,
  Status,
  TaskUpdate,
  TaskView,
} from '../../protocols/local/messages.ts'
export type { SessionClosed, SessionOpened, SessionRequest, SessionView } from '../../protocols/local/sessions.ts'
export { ErrandError, type WireError } from '../base/errors.ts'
export type {
  Adapter,
  AttachOptions,
  ExecuteEnd,
  ExecuteEvent,
  ExecuteOptions,
  ExecuteRequest,
  ExecuteResponse,
  OwnerClient,
  RuntimeClient,
  SubmitTaskRequest,
  Waiting,
} from '../local/runtime-client.ts'

export interface NodeOptions {
  /** Directory of the device's identity, its database and its settings; made when it is missing. One node at a time. */
  readonly home: string
  /** Of the device, when it begins a mesh or joins one. Default: the host's name. */
  readonly name?: string
  /** Who can reach it: this machine, the local network, everybody. Default: what the home's runtime.yaml says, else `local`. */
  readonly preset?: 'local' | 'lan' | 'internet'
  /** Multiaddrs, in the place of a preset. */
  readonly listen?: readonly string[]
  readonly bootstrap?: readonly string[]
  readonly labels?: Readonly<Record<string, string>>
  /** Any setting by its name in runtime.yaml, such as `deployment.maxConcurrentTasks`. Rules over the file while the node runs. */
  readonly settings?: Readonly<Record<string, unknown>>
  /** A home without a mesh waits for `owner.join` instead of beginning a mesh of its own. */
  readonly awaitJoin?: boolean
  /** False: no socket in the home, so that neither the command line nor `errand/client` reaches the node. Default true. */
  readonly socket?: boolean
  /** Started in this order once the node is ready, stopped in the reverse before it stops. */
  readonly adapters?: readonly Adapter[]
  /** Gets the node's log, one JSON object a line, as much of it as the setting `log.level` says. Default: nowhere. */
  readonly log?: (line: string) => void
}

/** A running node. */
export interface ErrandNode {
  readonly home: string
  readonly did: string
  readonly name: string
  /** Said at the start, for people. */
  readonly warnings: readonly string[]
  readonly runtime: RuntimeClient
  readonly owner: OwnerClient
  /** Resolves when the node is closed, whoever asked for it: `close`, or `errand down`. */
  readonly closed: Promise<void>
  status(): Promise<Status>
  /** Ends attached commands; detached ones go on or are waited for, as the setting `deployment.shutdown` says. Idempotent. */
  close(): Promise<void>
}

/**
 * Starts a node on a home. Everything it opened is closed again when a later step fails.
 * @throws ErrandError ALREADY_RUNNING, BAD_SETTING, CONFIG_DAMAGED, HOME_NOT_OURS, HOME_NOT_WRITABLE, PORT_TAKEN, …; what an adapter threw, as ADAPTER_FAILED.
 */
export async function createNode(o: NodeOptions): Promise<ErrandNode> {
  try {
    return await start(o)
  } catch (thrown) {
    throw asErrand(thrown)
  }
}

async function start(o: NodeOptions): Promise<ErrandNode> {
  const home = Home.open(resolve(o.home))
  const socket = o.socket ?? true
  const stops: (() => Promise<void>)[] = [await takeHome(home.path)]
  try {
    const overrides = overridesIn(o)
    const log = { write: o.log ?? (() => undefined) }
    const daemon = new Daemon(home, loadConfig(home.path, overrides), { umask: process.umask(), socket, log })
    stops.push(() => daemon.stop())
    const { name, did, warnings } = await daemon.start(o.awaitJoin === true)
    recordOverrides(home.path, overrides)
    stops.push(async () => forgetOverrides(home.path))
    const inside = new InProcess({ runtime: daemon.runtime, actor: { did, via: 'local' } })
    stops.push(() => inside.close())
    const runtime = runtimeOf(inside)
    for (const adapter of o.adapters ?? []) stops.push(await begun(adapter, runtime))
    return nodeOf({ daemon, inside, runtime, stops }, { home: home.path, did, name, warnings })
  } catch (thrown) {
    await stopAll(stops)
    throw thrown
  }
}

async function begun(adapter: Adapter, runtime: RuntimeClient): Promise<() => Promise<void>> {
  try {
    return await adapter.start(runtime)
  } catch (cause) {
    throw new ErrandError('ADAPTER_FAILED', `the adapter ${adapter.name} did not start: ${asErrand(cause).message}`, { cause })
  }
}

interface Running {
  readonly daemon: Daemon
  readonly inside: InProcess
  readonly runtime: RuntimeClient
  readonly stops: (() => Promise<void>)[]
}

function nodeOf({ daemon, inside, runtime, stops }: Running, facts: Pick<ErrandNode, 'home' | 'did' | 'name' | 'warnings'>): ErrandNode {
  let closing: Promise<void> | undefined
  let over = (): void => undefined
  const closed = new Promise<void>((resolve) => {
    over = resolve
  })
  const close = (): Promise<void> => {
    closing ??= stopAll(stops).finally(over)
    return closing
  }
  const asked = daemon.stopRequest.then(async ({ drainMs }) => {
    if (drainMs !== undefined) await daemon.drain(drainMs)
    await close()
  })
  asked.catch(() => undefined) // whoever calls `close` hears of it
  return { ...facts, runtime, owner: inside, closed, status: () => inside.status(), close }
}

/** All of them, in the reverse order, whatever one says. @throws the first thing that went wrong. */
async function stopAll(stops: (() => Promise<void>)[]): Promise<void> {
  const wrong: unknown[] = []
  for (const stop of stops.splice(0).reverse()) await stop().catch((thrown: unknown) => wrong.push(thrown))
  if (wrong.length > 0) throw asErrand(wrong[0])
}

function overridesIn({ name, preset, listen, bootstrap, labels, settings }: NodeOptions): Override[] {
  const given = { name, preset, labels, 'transport.listen': listen, 'transport.bootstrap': bootstrap, ...settings }
  return Object.entries(given)
    .filter(([, value]) => value !== undefined)
    .map(([word, value]) => ({ name: settingNamed(word), value, from: 'flag', where: `createNode ${word}` }))
}
