/**
 * The answers of the local API as schemas, for descriptions and checks of them. The interfaces in answers.ts are what programs are typed
 * with; each schema here is held to its interface in both directions by the compiler. Answers are open: they may gain fields.
 */
import * as v from 'valibot'
import { TASK_STATES } from '../task/messages.ts'
import type * as m from './answers.ts'

type Schema = v.GenericSchema

/** @returns the schema itself; does not compile unless it says exactly what the interface says. */
function as<View>() {
  return <S extends Schema>(schema: S & (v.InferOutput<S> extends View ? (View extends v.InferOutput<S> ? unknown : never) : never)): S => schema
}

const nullable = <S extends Schema>(schema: S) => v.nullable(schema)
const texts = v.array(v.string())
const When = v.nullable(v.pipe(v.string(), v.isoTimestamp()))
const Time = v.pipe(v.string(), v.isoTimestamp())

export const Fault = v.object({
  error: v.object({
    code: v.pipe(v.string(), v.description('stable; programs go by it')),
    message: v.string(),
    hint: v.exactOptional(v.pipe(v.string(), v.description('the next step'))),
    source: v.picklist(['command', 'device', 'errand']),
    fields: v.exactOptional(v.record(v.string(), v.unknown())),
  }),
})

export const Status = as<m.Status>()(
  v.object({
    ready: v.boolean(),
    apiVersion: v.number(),
    did: v.string(),
    peerId: v.string(),
    name: v.string(),
    words: v.string(),
    version: v.string(),
    mesh: nullable(v.object({ id: v.string(), name: v.string() })),
    pid: v.number(),
    uptimeSeconds: v.number(),
    addresses: texts,
    devices: v.object({ known: v.number(), online: v.number() }),
    tasks: v.object({ active: v.number(), total: v.number() }),
    api: nullable(v.object({ url: v.string(), tokenFile: nullable(v.string()) })),
    grpc: v.exactOptional(v.string()),
    preset: nullable(v.picklist(['local', 'lan', 'internet'])),
    mode: v.picklist(['local-only', 'remote-enabled', 'distributed-cluster']),
    healthy: v.boolean(),
    problems: texts,
    notices: v.exactOptional(texts),
    sandbox: v.exactOptional(
      v.object({ level: v.string(), limits: texts, by: texts, lacking: v.array(v.object({ what: v.string(), why: v.string(), how: v.string() })) }),
    ),
  }),
)

const Capabilities = v.object({
  os: v.string(),
  arch: v.string(),
  cpus: v.number(),
  memoryBytes: v.number(),
  load: v.number(),
  version: v.string(),
  freeSlots: v.number(),
  sandbox: v.exactOptional(v.string()),
  limits: v.exactOptional(texts),
  gpus: v.exactOptional(v.number()),
  tools: v.exactOptional(texts),
})

export const DeviceView = as<m.DeviceView>()(
  v.object({
    name: v.string(),
    did: v.string(),
    peerId: v.string(),
    online: v.boolean(),
    path: nullable(v.picklist(['self', 'direct', 'relayed'])),
    rttMs: nullable(v.number()),
    lastSeen: When,
    labels: v.record(v.string(), v.string()),
    capabilities: nullable(Capabilities),
    addresses: texts,
    trust: v.exactOptional(v.picklist(['untrusted', 'verified', 'trusted'])),
    membership: v.exactOptional(v.picklist(['member', 'guest'])),
    until: v.exactOptional(Time),
  }),
)

export const OfferedView = as<m.OfferedView>()(v.object({ id: v.string(), device: v.string(), online: v.boolean(), description: v.string() }))

const RightView = v.object({ can: v.string(), words: v.string(), device: v.string(), expiresAt: When })

export const InviteView = as<m.InviteView>()(
  v.object({
    id: v.string(),
    code: v.string(),
    shortCode: nullable(v.string()),
    expiresAt: Time,
    membership: v.picklist(['member', 'guest']),
    asks: v.array(RightView),
    gives: v.array(RightView),
    notes: texts,
  }),
)

export const InviteProgressView = as<m.InviteProgressView>()(
  v.object({
    id: v.string(),
    seq: v.number(),
    state: v.picklist(['open', 'paired', 'asking', 'allowed', 'joined', 'void', 'denied', 'expired']),
    device: nullable(v.object({ did: v.string(), name: v.string(), words: v.string() })),
    check: nullable(v.string()),
    why: nullable(v.string()),
    expiresAt: Time,
  }),
)

const MeshName = v.object({ id: v.string(), name: v.string() })

export const OfferView = as<m.OfferView>()(
  v.object({
    mesh: MeshName,
    inviter: v.object({ name: v.string(), did: v.string(), words: v.string() }),
    membership: v.picklist(['member', 'guest']),
    name: nullable(v.string()),
    give: v.array(RightView),
    get: v.array(RightView),
    check: v.string(),
    expiresAt: Time,
  }),
)

export const PairView = as<m.PairView>()(v.object({ code: v.string(), via: texts, check: v.string(), offer: OfferView }))

export const JoinView = as<m.JoinView>()(
  v.object({
    mesh: MeshName,
    did: v.string(),
    name: v.string(),
    membership: v.picklist(['member', 'guest']),
    gave: v.array(RightView),
    got: v.array(RightView),
  }),
)

export const GrantView = as<m.GrantView>()(
  v.object({
    cid: v.string(),
    issuer: v.string(),
    audience: v.string(),
    device: nullable(v.string()),
    can: texts,
    words: v.string(),
    expiresAt: When,
    revoked: v.boolean(),
    parents: texts,
  }),
)

export const ImportView = as<m.ImportView>()(v.object({ holder: v.string(), gives: texts, expiresAt: Time, grants: v.array(GrantView) }))

export const ExportView = as<m.ExportView>()(
  v.object({
    jwt: v.string(),
    issuer: v.string(),
    audience: v.string(),
    capability: v.object({ with: v.string(), can: v.string() }),
    words: v.string(),
    expiresAt: Time,
  }),
)

export const RevokeView = as<m.RevokeView>()(
  v.object({
    ...{ grants: texts, stopped: texts, acknowledged: texts },
    acks: v.array(v.object({ device: v.string(), ms: v.number() })),
    unreachable: v.array(v.object({ device: v.string(), expiresAt: When })),
    whatIf: v.exactOptional(v.literal(true)),
  }),
)

const PathView = v.object({ grants: texts, ok: v.boolean(), detail: v.string() })
const WhyStepView = v.object({
  step: v.string(),
  ok: v.boolean(),
  detail: v.string(),
  unknown: v.exactOptional(v.boolean()),
  paths: v.exactOptional(v.array(PathView)),
})
export const WhyView = as<m.WhyView>()(v.object({ allowed: v.boolean(), device: v.string(), steps: v.array(WhyStepView), next: v.string() }))

const Carried = {
  idempotent: v.exactOptional(v.boolean()),
  description: v.exactOptional(v.string()),
  input: v.exactOptional(v.string()),
  prompt: v.exactOptional(v.string()),
  agent: v.exactOptional(v.string()),
  session: v.exactOptional(v.string()),
  parent: v.exactOptional(v.string()),
  children: v.exactOptional(v.array(v.object({ task: v.string(), device: v.string() }))),
  metadata: v.exactOptional(v.record(v.string(), v.string())),
  context: v.exactOptional(v.record(v.string(), v.unknown())),
  tty: v.exactOptional(v.literal(true)),
}

const TaskFacts = {
  task: v.pipe(v.string(), v.uuid()),
  state: v.picklist(TASK_STATES),
  device: v.string(),
  command: texts,
  submittedBy: v.string(),
  createdAt: Time,
  startedAt: When,
  endedAt: When,
  exitCode: nullable(v.number()),
  signal: nullable(v.string()),
  why: v.string(),
  message: nullable(v.string()),
  attempts: v.number(),
  detached: v.boolean(),
  progress: nullable(
    v.object({ percent: v.exactOptional(v.number()), text: v.exactOptional(v.string()), data: v.exactOptional(v.record(v.string(), v.unknown())) }),
  ),
  place: nullable(v.number()),
  stdoutBytes: v.number(),
  stderrBytes: v.number(),
  receipt: v.null(),
}

const Event = v.object({})
export const TaskView = as<m.TaskView>()(v.object({ ...TaskFacts, ...Carried, events: v.exactOptional(v.pipe(v.array(Event), v.readonly())) }))

export const TaskUpdate = as<m.TaskUpdate>()(
  v.variant('t', [
    v.object({ t: v.literal('state'), cursor: v.number(), tasks: v.array(TaskView) }),
    v.object({ t: v.literal('changed'), cursor: v.number(), event: Event, task: TaskView }),
    v.object({ t: v.literal('gap'), from: v.number(), to: v.number() }),
  ]),
)

export const AuditRecordView = as<m.AuditRecordView>()(
  v.looseObject({
    device: v.string(),
    deviceName: nullable(v.string()),
    n: v.number(),
    time: Time,
    actor: v.string(),
    actorName: nullable(v.string()),
    subjectName: nullable(v.string()),
    action: v.string(),
    subject: nullable(v.string()),
    task: nullable(v.string()),
    session: nullable(v.string()),
    grant: nullable(v.string()),
    result: v.picklist(['allowed', 'denied', 'ok', 'failed']),
  }),
)

const LogView = v.object({
  device: v.string(),
  name: nullable(v.string()),
  entries: v.number(),
  gaps: v.number(),
  head: v.string(),
  witnesses: v.number(),
  forks: v.number(),
  behind: v.number(),
})

export const AuditVerifyView = as<m.AuditVerifyView>()(v.object({ ok: v.boolean(), logs: v.array(LogView), problems: texts }))
export const ListenView = v.object({ addresses: texts })
export const DownView = as<m.DownView>()(v.object({ stopping: v.literal(true), active: v.number(), detached: v.number(), waitsMs: v.number() }))
