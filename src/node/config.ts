/**
 * The configuration of a node as its rooms see it: typed, in milliseconds and bytes, of one home. The settings themselves are in
 * config-schema.ts, their file in config-file.ts. Spec: docs/decisions/0015.
 */
import { readConfigFile } from './config-file.ts'
import type { HostPort } from './config-kinds.ts'
import { type Layers, layered, type Override } from './config-layers.ts'
import { type Mode, modeOf, type Preset } from './config-modes.ts'
import type { Settings } from './config-schema.ts'

/** The HTTP API beyond its socket. Paths are absolute. */
export interface ApiConfig extends HostPort {
  readonly tls: { readonly certPath: string; readonly keyPath: string; readonly clientCaPath: string | undefined } | undefined
  readonly tokenPath: string | undefined
}

export interface Config {
  readonly name: string | undefined
  readonly mode: Mode
  readonly preset: Preset
  readonly labels: Readonly<Record<string, string>>
  readonly transport: {
    readonly listen: readonly string[]
    readonly bootstrap: readonly string[]
    readonly mdns: boolean
    readonly dht: boolean
    readonly addressSync: boolean
    readonly api: ApiConfig | undefined
    readonly grpc: { readonly socket: boolean }
  }
  readonly security: {
    readonly requireAuth: boolean
    readonly allowRemoteSessions: boolean
    readonly defaultRoles: readonly string[]
    readonly sessionForMs: number
    readonly sessionIdleMs: number
    readonly sessionLinksMs: number
    readonly approvalTimeoutMs: number
  }
  readonly deployment: {
    readonly maxConcurrentTasks: number
    readonly queueSize: number
    readonly queueTimeoutMs: number
    readonly requestsPerMinute: number
    readonly shutdown: 'drain' | 'suspend'
    readonly drainTimeoutMs: number
    readonly spoolBytes: number
    readonly spoolPolicy: 'drop-oldest' | 'block' | 'kill'
  }
  readonly exec: { readonly path: readonly string[] }
  readonly log: { readonly level: Settings['log.level'] }
}

/** @throws CONFIG_DAMAGED with the line, CONFIG_TWICE, NEWER_STATE; BAD_SETTING for an override. */
export function loadConfig(home: string, overrides: readonly Override[] = []): Config {
  return configOf(loadLayers(home, overrides).settings)
}

export function loadLayers(home: string, overrides: readonly Override[]): Layers {
  const { text, ...file } = readConfigFile(home)
  return layered(text, file, overrides)
}

export function configOf(s: Settings): Config {
  return {
    ...{ name: s.name, mode: s.mode ?? modeOf(s), preset: s.preset, labels: s.labels },
    transport: {
      ...{ listen: s['transport.listen'], bootstrap: s['transport.bootstrap'] },
      ...{ mdns: s['transport.mdns'], dht: s['transport.dht'], addressSync: s['transport.addressSync'] },
      ...{ api: apiOf(s), grpc: { socket: s['transport.grpc.socket'] } },
    },
    security: {
      ...{ requireAuth: s['security.requireAuth'], allowRemoteSessions: s['security.allowRemoteSessions'], defaultRoles: s['security.defaultRoles'] },
      ...{ sessionForMs: s['security.sessionFor'], sessionIdleMs: s['security.sessionIdle'], sessionLinksMs: s['security.sessionLinks'] },
      approvalTimeoutMs: s['security.approvalTimeout'],
    },
    deployment: {
      ...{ maxConcurrentTasks: s['deployment.maxConcurrentTasks'], queueSize: s['deployment.queueSize'], queueTimeoutMs: s['deployment.queueTimeout'] },
      requestsPerMinute: s['deployment.requestsPerMinute'],
      ...{ shutdown: s['deployment.shutdown'], drainTimeoutMs: s['deployment.drainTimeout'] },
      ...{ spoolBytes: s['deployment.spoolBytes'], spoolPolicy: s['deployment.spoolPolicy'] },
    },
    exec: { path: s['exec.path'] },
    log: { level: s['log.level'] },
  }
}

function apiOf(s: Settings): ApiConfig | undefined {
  const [at, certPath, keyPath] = [s['transport.api.listen'], s['transport.api.tls.cert'], s['transport.api.tls.key']]
  if (at === undefined) return undefined
  const tls = certPath === undefined || keyPath === undefined ? undefined : { certPath, keyPath, clientCaPath: s['transport.api.tls.clientCa'] }
  return { ...at, tls, tokenPath: s['transport.api.token'] }
}

const PRESET_LISTEN = { local: ['/ip4/127.0.0.1/tcp/0'], lan: ['/ip4/0.0.0.0/tcp/4701'], internet: ['/ip4/0.0.0.0/tcp/4701', '/ip6/::/tcp/4701'] } as const

export function listenOf({ preset, transport: { listen } }: Pick<Config, 'preset' | 'transport'>): { addresses: readonly string[]; chosen: boolean } {
  return listen.length > 0 ? { addresses: listen, chosen: true } : { addresses: PRESET_LISTEN[preset], chosen: false }
}

/** A running node's configuration after its preset was changed; the file is changed apart from it. */
export function withPreset(config: Config, preset: Preset): Config {
  return { ...config, preset, mode: modeOf({ preset, 'transport.listen': [...config.transport.listen] }) }
}
