/** What the local API answers: JSON, as the command line prints it. Types only; views.ts has their schemas. Requests are in messages.ts. */
import type { TASK_STATES } from '../task/messages.ts'

export type * from './joining.ts'

export interface Status {
  ready: boolean
  apiVersion: number
  did: string
  peerId: string
  name: string
  /** Three words of the key, to compare by eye. */
  words: string
  version: string
  /** null while this home belongs to no mesh yet. */
  mesh: { id: string; name: string } | null
  pid: number
  uptimeSeconds: number
  addresses: string[]
  devices: { known: number; online: number }
  tasks: { active: number; total: number }
  /** null when addresses were given instead. */
  preset: 'local' | 'lan' | 'internet' | null
  /** The HTTP API on TCP; null while there is only the socket. The file holds the token that it asks for, null where it asks for none. */
  api: { url: string; tokenFile: string | null } | null
  /** Where it serves gRPC, as gRPC's clients write it: `unix:` and a path. */
  grpc?: string
  mode: 'local-only' | 'remote-enabled' | 'distributed-cluster'
  healthy: boolean
  problems: string[]
  /** What is in force and no fault: a lockdown. */
  notices?: string[]
  /** Absent until it is known, in the first half second. */
  sandbox?: SandboxView
}

export interface DownView {
  stopping: true
  active: number
  /** Of the active ones: detached tasks that run on this device. What has not ended when the node stops goes on without it. */
  detached: number
  /** How long the node waits for them. */
  waitsMs: number
}

export interface Capabilities {
  os: string
  arch: string
  cpus: number
  memoryBytes: number
  load: number
  version: string
  freeSlots: number
  /** The highest level to which it can shut a command in. Absent: it did not say, or does not know yet. */
  sandbox?: string
  /** What it can bound: memory, cpu, processes, network, kill. */
  limits?: string[]
  /** GPUs to compute on, and well-known programs that its commands can start. */
  gpus?: number
  tools?: string[]
}

/** What a device can hold a command to, and what it lacks for more. */
export interface SandboxView {
  level: string
  limits: string[]
  /** The tools and mechanisms that were tried and work. */
  by: string[]
  lacking: { what: string; why: string; how: string }[]
}

export interface DeviceView {
  name: string
  did: string
  peerId: string
  online: boolean
  path: 'self' | 'direct' | 'relayed' | null
  rttMs: number | null
  lastSeen: string | null
  labels: Record<string, string>
  capabilities: Capabilities | null
  addresses: string[]
  /** How far owners trust it. */
  trust?: 'untrusted' | 'verified' | 'trusted'
  membership?: 'member' | 'guest'
  /** When a guest is one no more. */
  until?: string
}

/** What a device of the mesh offers: an agent it hosts, or a skill it lends. */
export interface OfferedView {
  id: string
  /** The device's name. */
  device: string
  online: boolean
  description: string
}

export interface GrantView {
  cid: string
  issuer: string
  audience: string
  device: string | null
  can: string[]
  words: string
  expiresAt: string | null
  revoked: boolean
  parents: string[]
}

/** What a UCAN 0.8 token gives; `grants` is empty until that was agreed to. */
export interface ImportView {
  /** Who will hold the grants: the issuer of the token. */
  holder: string
  gives: string[]
  expiresAt: string
  grants: GrantView[]
}

/** A grant as a UCAN 0.8 JWT. */
export interface ExportView {
  jwt: string
  /** Where the right begins in it: what `ucans` calls the root issuer. */
  issuer: string
  audience: string
  capability: { with: string; can: string }
  words: string
  expiresAt: string
}

export interface RevokeView {
  grants: string[]
  stopped: string[]
  acknowledged: string[]
  /** The same devices, and how long each took, in milliseconds. */
  acks: { device: string; ms: number }[]
  unreachable: { device: string; expiresAt: string | null }[]
  /** Nothing was revoked: this is what would have been. `acknowledged` have answered. */
  whatIf?: true
}

/** One chain of grants that was tried for a command. */
export interface PathView {
  /** Their CIDs, root first. */
  grants: string[]
  ok: boolean
  /** Why it does not carry the command; or what its last grant gives. */
  detail: string
}

export interface WhyStepView {
  step: string
  ok: boolean
  detail: string
  /** Only the device itself could say, and it was not reached: `ok` is false, and means nothing. */
  unknown?: boolean
  /** With `authority`: every chain that this device could show, best first. */
  paths?: PathView[]
}

/** Whether a command would run. Nothing was run, and the device wrote it down as a question. */
export interface WhyView {
  allowed: boolean
  device: string
  steps: WhyStepView[]
  /** What to do next. */
  next: string
}

export interface TaskView {
  task: string
  state: (typeof TASK_STATES)[number]
  device: string
  command: string[]
  submittedBy: string
  createdAt: string
  startedAt: string | null
  endedAt: string | null
  exitCode: number | null
  signal: string | null
  /** One reason code for the state it is in. */
  why: string
  message: string | null
  /** How often it was started. */
  attempts: number
  detached: boolean
  progress: { percent?: number; text?: string; data?: Record<string, unknown> } | null
  /** Its place in the queue of its device, from 1. */
  place: number | null
  stdoutBytes: number
  stderrBytes: number
  receipt: null
  /** It runs on a terminal. */
  tty?: true
  idempotent?: boolean
  description?: string
  input?: string
  prompt?: string
  agent?: string
  session?: string
  parent?: string
  /** Of one command on many devices: the tasks that it is made of. */
  children?: { task: string; device: string }[]
  metadata?: Record<string, string>
  context?: Record<string, unknown>
  events?: readonly object[]
}

/** What a watcher of tasks hears. `cursor` continues a broken stream. */
export type TaskUpdate =
  | { t: 'state'; cursor: number; tasks: TaskView[] }
  | { t: 'changed'; cursor: number; event: object; task: TaskView }
  | { t: 'gap'; from: number; to: number }

/** How an attached run ended, as `run --json` prints it last. */
export interface ExecOutcome {
  task: string
  device: string
  exitCode: number | null
  signal: string | null
  why: string
  message?: string
  source: 'command' | 'device' | 'errand'
  startTime: string
  endTime: string
  durationMs: number
  stdoutBytes: number
  stderrBytes: number
  /** Of the first bytes; dropped by the spool's policy. */
  droppedBytes?: number
}

/** Where the rest of a command's output can be had: an exec-host, and the key for one TLS connection to it. `id` and `key` are hex. */
export interface BulkOffer {
  host: string
  port: number
  id: string
  key: string
}

/** What `accepted` says on the local exec face. */
export interface ExecAccepted {
  task: string
  device: string
  startTime: string
}

/** What `waits` says there: people have to approve it first. */
export interface ExecWaits {
  task: string
  /** Who may approve it and which rule asks for that, in words. */
  message: string
  need: number
  have: number
  /** Milliseconds since the epoch. */
  expiresAt: number
}

export interface AuditRecordView {
  device: string
  deviceName: string | null
  n: number
  time: string
  actor: string
  /** Names that this device knows for the two; null where it knows none. */
  actorName: string | null
  subjectName: string | null
  action: string
  subject: string | null
  task: string | null
  session: string | null
  grant: string | null
  result: 'allowed' | 'denied' | 'ok' | 'failed'
  [detail: string]: unknown
}

export interface AuditVerifyView {
  ok: boolean
  logs: { device: string; name: string | null; entries: number; gaps: number; head: string; witnesses: number; forks: number; behind: number }[]
  problems: string[]
}
