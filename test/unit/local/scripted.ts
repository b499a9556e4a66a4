/** The other side of the local API for these tests: a runtime whose answers are scripted. The real one is tested end to end elsewhere. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TAG } from '../../../protocols/exec/messages.ts'
import type { AuditRecordView, ExecOutcome, ExecRequest, Status } from '../../../protocols/local/messages.ts'
import type { FrameLink } from '../../../src/base/frames.ts'
import { LocalClient } from '../../../src/local/client.ts'
import type { LocalServerOptions } from '../../../src/local/server.ts'
import { startLocalServer } from '../../../src/local/server.ts'
import type { Runtime } from '../../../src/runtime/runtime.ts'

export const DID = 'did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH'

export const STATUS: Status = {
  ready: true,
  apiVersion: 1,
  did: DID,
  peerId: '12D3KooWExample',
  name: 'laptop',
  words: 'otter-lamp-fjord',
  version: '0.1.0',
  mesh: { id: 'bafymesh', name: 'home' },
  pid: 4711,
  uptimeSeconds: 12,
  addresses: [],
  devices: { known: 1, online: 1 },
  tasks: { active: 0, total: 0 },
  api: null,
  preset: 'local',
  mode: 'local-only',
  healthy: true,
  problems: [],
}

export const OUTCOME: ExecOutcome = {
  task: '019aa3c1-0000-7000-8000-000000000001',
  device: DID,
  exitCode: 0,
  signal: null,
  why: 'exit',
  source: 'command',
  startTime: '2026-01-01T00:00:00.000Z',
  endTime: '2026-01-01T00:00:01.000Z',
  durationMs: 1_000,
  stdoutBytes: 0,
  stderrBytes: 0,
}

export type ExecScript = (request: ExecRequest, link: FrameLink, signal: AbortSignal) => Promise<void>

const unexpected = (): Promise<never> => Promise.reject(new Error('not scripted'))

/** Everything that is not overridden rejects with an error that no test expects. */
export function scripted(over: Partial<Runtime>): Runtime {
  return {
    getStatus: () => Promise.resolve(STATUS),
    listDevices: unexpected,
    listAgents: unexpected,
    listSkills: unexpected,
    listTasks: unexpected,
    submitTask: unexpected,
    getTask: unexpected,
    cancelTask: unexpected,
    pauseTask: unexpected,
    resumeTask: unexpected,
    streamTaskUpdates: () => nothing(),
    attach: unexpected,
    exec: unexpected,
    forwards: { forward: unexpected, carry: unexpected },
    invite: unexpected,
    watchInvite: unexpected,
    answerInvite: unexpected,
    pair: unexpected,
    readOffer: unexpected,
    join: unexpected,
    listen: unexpected,
    grant: unexpected,
    listGrants: unexpected,
    revoke: unexpected,
    orders: { label: unexpected, policy: unexpected },
    owners: { list: unexpected, card: unexpected, change: unexpected, sign: unexpected, protect: unexpected, unlock: unexpected, lock: unexpected },
    recovery: { key: unexpected, draft: unexpected, use: unexpected },
    succession: { rotate: unexpected },
    devices: { remove: unexpected, trust: unexpected, lockdown: unexpected },
    roles: { list: unexpected, add: unexpected, change: unexpected, remove: unexpected, assign: unexpected, unassign: unexpected },
    groups: { list: unexpected, change: unexpected },
    fans: { choose: unexpected, submit: unexpected, stand: unexpected, run: unexpected },
    sessions: { open: unexpected, list: unexpected, get: unexpected, close: unexpected, enter: unexpected },
    inSession: () => scripted(over),
    approvals: { list: unexpected, approve: unexpected, deny: unexpected, request: unexpected },
    bridge: { import: unexpected, export: unexpected },
    why: unexpected,
    audit: () => records(0),
    verifyAudit: unexpected,
    shutdown: unexpected,
    ...over,
  }
}

async function* nothing(): AsyncGenerator<never> {}

export function execs(script: ExecScript): Partial<Runtime> {
  return { exec: (_actor, request, link, { signal }) => script(request, link, signal) }
}

export function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

export async function accept(link: FrameLink): Promise<void> {
  await link.write(TAG.accepted, json({ task: OUTCOME.task, device: DID, startTime: OUTCOME.startTime }))
}

export async function end(link: FrameLink, over: Partial<ExecOutcome> = {}): Promise<void> {
  await link.write(TAG.ended, json({ ...OUTCOME, ...over }))
}

export async function* records(count: number): AsyncGenerator<AuditRecordView> {
  for (let n = 0; n < count; n++) yield record(n)
}

export function record(n: number): AuditRecordView {
  return {
    device: DID,
    deviceName: 'laptop',
    n,
    time: OUTCOME.startTime,
    actor: DID,
    actorName: 'laptop',
    subjectName: null,
    action: 'exec.start',
    subject: null,
    task: null,
    session: null,
    grant: null,
    result: 'ok',
  }
}

export interface World extends AsyncDisposable {
  readonly home: string
  readonly socketPath: string
  readonly client: LocalClient
  close(): Promise<void>
}

/** A server with this runtime behind a real socket in a directory of its own. */
export async function world(runtime: Partial<Runtime>, o: Partial<LocalServerOptions> = {}): Promise<World> {
  const home = await mkdtemp(join(tmpdir(), 'errand-local-'))
  const socketPath = join(home, 'errand.sock')
  const server = await startLocalServer({ runtime: scripted(runtime), actorDid: DID, socketPath, ...o })
  const client = new LocalClient(socketPath)
  const close = async (): Promise<void> => {
    await server.close()
    client.close()
    await rm(home, { recursive: true, force: true })
  }
  return { home, socketPath, client, close, [Symbol.asyncDispose]: close }
}
