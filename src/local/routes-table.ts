/** Every route of the local API that speaks HTTP alone, as data: mounted by routes.ts, described by openapi.ts. */
import * as v from 'valibot'
import {
  AuditQuery,
  DownRequest,
  ExecRequest,
  ExportGrantRequest,
  GrantRequest,
  ImportGrantRequest,
  InviteAnswer,
  InviteRequest,
  JoinRequest,
  ListenRequest,
  PairRequest,
  RevokeRequest,
  WhyRequest,
} from '../../protocols/local/messages.ts'
import * as views from '../../protocols/local/views.ts'
import { Text } from '../../protocols/wire.ts'
import type { Actor, Runtime } from '../runtime/runtime.ts'
import { type Answer, EVENTS_TYPE, get, json, LINES_TYPE, post, type Route, route } from './route.ts'
import { APPROVAL_ROUTES } from './routes-approvals.ts'
import { DEVICE_ROUTES } from './routes-devices.ts'
import { FAN_ROUTES } from './routes-fans.ts'
import { ORDER_ROUTES } from './routes-orders.ts'
import { OWNER_ROUTES } from './routes-owners.ts'
import { ROLE_ROUTES } from './routes-roles.ts'
import { SESSION_ROUTES, SessionPath } from './routes-sessions.ts'

const Flag = v.optional(v.picklist(['true', 'false']))
const { actor: _actor, ...ofAnybody } = AuditQuery.entries
const { session: _session, ...ofAnySession } = AuditQuery.entries
/** A query's values are all text; this one is a number inside. */
const limit = v.optional(v.pipe(v.string(), v.regex(/^\d{1,15}$/, 'a count'), v.transform(Number)))
const AuditFilters = v.strictObject({ ...AuditQuery.entries, limit })
const ActivityFilters = v.strictObject({ ...ofAnybody, limit })
const TaskPath = v.object({ task: Text(64) })
const SessionTrail = v.strictObject({ ...ofAnySession, limit })
const UserPath = v.object({ user: Text(128) })
const Cursor = v.strictObject({ cursor: v.optional(v.pipe(v.string(), v.regex(/^\d{1,16}$/, 'a cursor'), v.transform(Number))) })

const steer = (what: string, does: string, act: (runtime: Runtime, actor: Actor, task: string) => Promise<unknown>): Route =>
  route(post(`/api/runtime/tasks/{task}/${what}`, does, json(views.TaskView)), { params: TaskPath }, ({ runtime, actor, params }) =>
    act(runtime, actor, params.task),
  )

const stateOf = (path: string): Route =>
  route(
    get(path, 'How one task stands; with `events`, all that happened to it.', json(views.TaskView)),
    { params: TaskPath, query: v.strictObject({ events: Flag }) },
    ({ runtime, params, query }) => runtime.getTask(params.task, { events: query.events === 'true' }),
  )

const NODE: readonly Route[] = [
  route(get('/api/runtime/status', 'How this node is.', json(views.Status)), {}, ({ runtime }) => runtime.getStatus()),
  route(get('/api/runtime/devices', 'All devices of the mesh: who is online, how reached, how fast.', json(v.array(views.DeviceView))), {}, ({ runtime }) =>
    runtime.listDevices(),
  ),
  route(get('/api/runtime/agents', 'Agents that devices announce; nobody has checked them.', json(v.array(views.OfferedView))), {}, ({ runtime }) =>
    runtime.listAgents(),
  ),
  route(get('/api/runtime/skills', 'Skills that devices announce; nobody has checked them.', json(v.array(views.OfferedView))), {}, ({ runtime }) =>
    runtime.listSkills(),
  ),
  route(
    post('/api/runtime/listen', 'Where the node listens from now on; it is away for a moment.', json(views.ListenView)),
    { body: ListenRequest },
    ({ runtime, actor, body }) => runtime.listen(actor, body),
  ),
  route(
    post('/api/runtime/shutdown', 'Stops the node; answers once the stop has begun.', json(views.DownView)),
    { body: DownRequest },
    ({ runtime, actor, body }) => runtime.shutdown(actor, body),
  ),
]

const TASKS: readonly Route[] = [
  route(
    get('/api/runtime/tasks', 'What runs and ran: the newest hundred, newest last; with `all`, a thousand.', json(v.array(views.TaskView))),
    { query: v.strictObject({ all: Flag }) },
    ({ runtime, query }) => runtime.listTasks({ all: query.all === 'true' }),
  ),
  route(
    post('/api/runtime/tasks/submit', 'Hands a command over; the same `id` with the same request is the same task.', json(views.TaskView)),
    { body: ExecRequest },
    ({ runtime, actor, body }) => runtime.submitTask(actor, body),
  ),
  stateOf('/api/runtime/tasks/{task}'),
  stateOf('/api/runtime/tasks/{task}/state'),
  steer('cancel', 'Ends a task and every process of it; answers when it has ended.', (runtime, actor, task) => runtime.cancelTask(actor, task)),
  steer('pause', 'Stops a task where it is.', (runtime, actor, task) => runtime.pauseTask(actor, task)),
  steer('resume', 'Lets a paused task go on.', (runtime, actor, task) => runtime.resumeTask(actor, task)),
  route(
    get(
      '/api/runtime/events',
      'Updates of tasks as Server-Sent Events: first the state, then each change; from `Last-Event-ID` or `cursor` on without the state.',
      { type: EVENTS_TYPE, schema: views.TaskUpdate },
    ),
    { query: Cursor },
    ({ runtime, query, lastEventId, signal }) => {
      const cursor = query.cursor ?? lastEventId
      return runtime.streamTaskUpdates({ ...(cursor === undefined ? {} : { cursor }), signal })
    },
  ),
]

const RIGHTS: readonly Route[] = [
  route(get('/api/runtime/grants', 'Who may do what, where and until when.', json(v.array(views.GrantView))), {}, ({ runtime }) => runtime.listGrants()),
  route(
    post('/api/runtime/grants', 'Lets somebody do something on a device, for a while.', json(v.array(views.GrantView))),
    { body: GrantRequest },
    ({ runtime, actor, body }) => runtime.grant(actor, body),
  ),
  route(
    post('/api/runtime/grants/import', 'Reads a UCAN 0.8 JWT; with `agreed`, gives its holder what it proves.', json(views.ImportView)),
    { body: ImportGrantRequest },
    ({ runtime, body }) => runtime.bridge.import(body),
  ),
  route(post('/api/runtime/grants/export', 'Writes a grant as a UCAN 0.8 JWT.', json(views.ExportView)), { body: ExportGrantRequest }, ({ runtime, body }) =>
    runtime.bridge.export(body),
  ),
  route(
    post('/api/runtime/revocations', 'Takes rights back; what rests on them is stopped.', json(views.RevokeView)),
    { body: RevokeRequest },
    ({ runtime, actor, body }) => runtime.revoke(actor, body),
  ),
  route(
    post('/api/runtime/why', 'Whether a command would run on a device, and why; runs nothing.', json(views.WhyView)),
    { body: WhyRequest },
    ({ runtime, actor, body }) => runtime.why(actor, body),
  ),
  route(post('/api/runtime/invites', 'Makes a code that admits one device.', json(views.InviteView)), { body: InviteRequest }, ({ runtime, actor, body }) =>
    runtime.invite(actor, body),
  ),
  route(post('/api/runtime/offers', 'Reads a code without using it.', json(views.OfferView)), { body: JoinRequest }, ({ runtime, body }) =>
    runtime.readOffer(body),
  ),
  route(post('/api/runtime/join', 'Joins the mesh that a code is for.', json(views.JoinView)), { body: JoinRequest }, ({ runtime, actor, body }) =>
    runtime.join(actor, body),
  ),
]

const InvitePath = v.object({ invite: Text(128) })
const After = v.strictObject({ after: v.optional(v.pipe(v.string(), v.regex(/^\d{1,9}$/, 'a seq'), v.transform(Number))) })

/** Short codes: what becomes of one on the inviting device, and the try of one on the joining device. */
const PAIRING: readonly Route[] = [
  route(
    get('/api/runtime/invites/{invite}', 'What has become of an invite; with `after`, waits up to 20 s for more than that.', json(views.InviteProgressView)),
    { params: InvitePath, query: After },
    ({ runtime, params, query, signal }) => runtime.watchInvite(params.invite, { after: query.after, signal }),
  ),
  route(
    post('/api/runtime/invites/{invite}/answer', 'Lets in, or not, the device that waits with an invite.', json(views.InviteProgressView)),
    { params: InvitePath, body: InviteAnswer },
    ({ runtime, actor, params, body }) => runtime.answerInvite(actor, params.invite, body),
  ),
  route(post('/api/runtime/pair', 'Tries a short code, which can be tried once.', json(views.PairView)), { body: PairRequest }, ({ runtime, actor, body }) =>
    runtime.pair(actor, body),
  ),
]

const LINES: Answer = { type: LINES_TYPE, schema: views.AuditRecordView }

const AUDIT: readonly Route[] = [
  route(get('/api/audit/events', 'The log of all devices as one: one record a line.', LINES), { query: AuditFilters }, ({ runtime, query }) =>
    runtime.audit(query),
  ),
  route(
    get('/api/audit/users/{user}/activity', 'The same log, of one actor: a DID, or the name of a device.', LINES),
    { params: UserPath, query: ActivityFilters },
    ({ runtime, params, query }) => runtime.audit({ ...query, actor: params.user }),
  ),
  route(
    get('/api/audit/sessions/{session}/activity', 'The same log, of one session: its whole id.', LINES),
    { params: SessionPath, query: SessionTrail },
    ({ runtime, params, query }) => runtime.audit({ ...query, session: params.session }),
  ),
  route(get('/api/audit/verify', 'Proves the chains of all logs.', json(views.AuditVerifyView)), {}, ({ runtime }) => runtime.verifyAudit()),
]

export const ROUTES: readonly Route[] = [
  ...NODE,
  ...TASKS,
  ...RIGHTS,
  ...PAIRING,
  ...ORDER_ROUTES,
  ...OWNER_ROUTES,
  ...DEVICE_ROUTES,
  ...ROLE_ROUTES,
  ...SESSION_ROUTES,
  ...APPROVAL_ROUTES,
  ...FAN_ROUTES,
  ...AUDIT,
]
