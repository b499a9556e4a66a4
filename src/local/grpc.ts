/**
 * The gRPC face of a node (protocols/local/grpc.md): one server, its services, and the sockets it listens on. The packages it needs are loaded
 * here and only here, when it starts. Decides nothing about who may do what.
 */
import { createServer, type Server as NetServer, type Socket } from 'node:net'
import { type Clock, pause, systemClock } from '../base/clock.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { Calls } from './grpc-calls.ts'
import { attachMethod, execMethods } from './grpc-exec.ts'
import type * as library from './grpc-library.ts'
import { sharedMethods, tasksMethods } from './grpc-tasks.ts'
import { MemoryFaces } from './memory-faces.ts'
import type { LocalLog } from './routes.ts'
import { listenOnSocket } from './socket-file.ts'

export interface GrpcOptions {
  readonly runtime: Runtime
  /** This device's DID: whoever may open the socket acts as the device. */
  readonly actorDid: string
  /** Must not exist: whoever holds the home removes a stale one first. */
  readonly socketPath: string
  readonly logger?: LocalLog
  readonly clock?: Clock
}

/** One request, and one message of input. Command lines, input and context of a task fit. */
export const MAX_REQUEST_BYTES = 1 << 20
/** Connections at a time, and calls on one of them. */
const MAX_CONNECTIONS = 128
const MAX_CALLS = 256
/** How long running calls may take to end once the server stops; the rest of the promised second is for the sockets. */
const STOP_GRACE_MS = 800

const EXEC = 'errand.v1.Exec'
const TASKS = 'errand.v1.Tasks'

/** @throws ErrandError SOCKET_TAKEN, SOCKET_FAILED. */
export async function startGrpc(o: GrpcOptions): Promise<{ close(): Promise<void> }> {
  const loaded = await import('./grpc-library.ts')
  const clock = o.clock ?? systemClock
  const stopping = new AbortController()
  const server = new loaded.Server({
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
    'grpc.max_concurrent_streams': MAX_CALLS,
    'grpc.enable_channelz': 0,
  })
  const health = addServices(server, loaded, { ...o, clock, stopping: stopping.signal })
  const injector = server.createConnectionInjector(loaded.ServerCredentials.createInsecure())
  const open = new Set<Socket>()
  const listener = createServer((socket) => {
    open.add(socket.once('close', () => open.delete(socket)))
    injector.injectConnection(socket)
  })
  listener.maxConnections = MAX_CONNECTIONS
  await listenOnSocket(listener, o.socketPath)
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    for (const name of ['', EXEC, TASKS]) health.setStatus(name, 'NOT_SERVING')
    stopping.abort()
    const closed = closedOf(listener)
    const drained = new Promise<void>((resolve) => server.tryShutdown(() => resolve()))
    await Promise.race([drained, pause(clock, STOP_GRACE_MS)])
    server.forceShutdown()
    for (const socket of open) socket.destroy()
    await closed
  }
  return {
    close() {
      closing ??= close()
      return closing
    },
  }
}

interface ServicesOn extends GrpcOptions {
  readonly clock: Clock
  readonly stopping: AbortSignal
}

function addServices(server: library.Server, loaded: typeof library, o: ServicesOn): library.HealthImplementation {
  const { runtime, clock, stopping } = o
  const actor = { did: o.actorDid, via: 'local' } as const
  const proto = loaded.loadProto()
  const calls = new Calls({ library: loaded, clock, log: o.logger, stopping })
  const never = new AbortController().signal // a stop asks commands to end, and still tells their outcome
  const faces = new MemoryFaces({ runtime, actor }, never)
  const tasks = { runtime, actor, calls, stopping }
  const exec = { faces, calls, stopping }
  const { get, list, cancel } = sharedMethods(tasks)
  server.addService(serviceIn(proto, EXEC), { ...execMethods(exec), Cancel: cancel, Status: get, List: list })
  server.addService(serviceIn(proto, TASKS), { ...tasksMethods(tasks), GetTask: get, ListTasks: list, CancelTask: cancel, Attach: attachMethod(exec) })
  const health = new loaded.HealthImplementation({ '': 'SERVING', [EXEC]: 'SERVING', [TASKS]: 'SERVING' })
  health.addToServer(server)
  new loaded.ReflectionService(loaded.loadDescriptors()).addToServer(server)
  return health
}

function serviceIn(proto: ReturnType<typeof library.loadProto>, name: string): Parameters<library.Server['addService']>[0] {
  const found = proto[name]
  if (found === undefined || 'format' in found) throw new Error(`protocols/local/exec.proto has no service ${name}`)
  return found
}

function closedOf(listener: NetServer): Promise<void> {
  return new Promise((resolve) => listener.close(() => resolve()))
}
