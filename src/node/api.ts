/** The HTTP API on its TCP address: what the configuration says of it, opened in front of whatever node runs behind the door. */
import type { Status } from '../../protocols/local/messages.ts'
import type { Clock } from '../base/clock.ts'
import type { Did } from '../identity/identity.ts'
import { type LocalLog, startTcpServer } from '../local/tcp.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { ApiSecrets } from './api-files.ts'
import { ApiGate, type Standing } from './api-gate.ts'
import type { ApiConfig } from './config.ts'
import type { Log } from './parts.ts'

export interface OpenApi {
  readonly view: NonNullable<Status['api']>
  close(): Promise<void>
}

export interface ApiOn {
  readonly runtime: Runtime
  readonly did: Did
  readonly at: ApiConfig
  readonly secrets: ApiSecrets
  readonly standing: () => Standing | undefined
  readonly clock: Clock
  readonly log: Log
  readonly logger: LocalLog
}

/** @throws ErrandError API_NEEDS_TLS, API_CERTIFICATE, API_PORT_TAKEN, API_CANNOT_LISTEN. */
export async function openApi({ runtime, did, at, secrets, clock, logger, ...rest }: ApiOn): Promise<OpenApi> {
  const gate = new ApiGate({ self: did, standing: rest.standing, clock, log: rest.log })
  const { tls, token, tokenFile } = secrets
  const needs = { token, certificate: tls?.clientCa !== undefined }
  const memberOf = (mesh: string, peerId: string): Did => gate.memberOf(mesh, peerId)
  const server = await startTcpServer({ runtime, did, clock, logger, host: at.host, port: at.port, tls, needs, memberOf, log: gate })
  return { view: { url: server.url, tokenFile }, close: server.close }
}
