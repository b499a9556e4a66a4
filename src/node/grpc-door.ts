/** Where a home serves gRPC, when its settings say so: the socket's path, opening it, closing it, and its place in the node's status. */
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { shortSocketPath } from '../base/paths.ts'
import { startGrpc } from '../local/grpc.ts'
import type { LocalLog } from '../local/routes.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { makePrivateDirectory } from './home.ts'

export interface GrpcDoorOn {
  /** Its path. */
  readonly home: string
  /** False: `open` does nothing, and no package of gRPC is loaded. */
  readonly wanted: boolean
  readonly actorDid: string
  readonly clock: Clock
  readonly logger: LocalLog
}

export class GrpcDoor {
  #address: string | undefined
  #server: { close(): Promise<void> } | undefined

  constructor(private readonly on: GrpcDoorOn) {}

  /** The same runtime, whose status says where gRPC is served. */
  seenBy(runtime: Runtime): Runtime {
    const getStatus: Runtime['getStatus'] = async () => ({ ...(await runtime.getStatus()), ...(this.#address === undefined ? {} : { grpc: this.#address }) })
    return { ...runtime, getStatus }
  }

  /** @throws ErrandError SOCKET_TAKEN, SOCKET_FAILED, BAD_RUNTIME_DIR */
  async open(runtime: Runtime): Promise<void> {
    const { home, wanted, ...same } = this.on
    if (!wanted) return
    const socketPath = shortSocketPath(join(home, 'run', 'grpc.sock'))
    makePrivateDirectory(dirname(socketPath))
    rmSync(socketPath, { force: true }) // the database lock is ours, so nobody listens there any more
    this.#server = await startGrpc({ ...same, runtime, socketPath })
    this.#address = `unix:${socketPath}`
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#address = undefined
    await this.#server?.close()
  }
}
