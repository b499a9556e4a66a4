/**
 * The node as its own process asks it: no socket, no JSON over HTTP, but the same checks of every request and the same conversation for
 * commands. Callers get values of their own, never parts of the node.
 */
import * as v from 'valibot'
import { type ApprovalView, type ApproveRequest, type DecisionView, type DenyRequest, RightRequest } from '../../protocols/local/approvals.ts'
import {
  AuditQuery,
  type AuditRecordView,
  type AuditVerifyView,
  type DeviceView,
  type ExecOutcome,
  ExecRequest,
  GrantRequest,
  type GrantView,
  InviteAnswer,
  type InviteProgressView,
  InviteRequest,
  type InviteView,
  JoinRequest,
  type JoinView,
  ListenRequest,
  type OfferedView,
  type OfferView,
  PairRequest,
  type PairView,
  RevokeRequest,
  type RevokeView,
  type Status,
  type TaskUpdate,
  type TaskView,
  WhyRequest,
  type WhyView,
} from '../../protocols/local/messages.ts'
import { type SessionClosed, type SessionOpened, SessionRequest, type SessionView } from '../../protocols/local/sessions.ts'
import { Count, Text } from '../../protocols/wire.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Actor, Runtime } from '../runtime/runtime.ts'
import { checked } from './door.ts'
import { attach, exec } from './exec.ts'
import type { AttachOptions, ExecOptions } from './exec-options.ts'
import { cancelled } from './fault.ts'
import { MemoryFaces } from './memory-faces.ts'
import { type Method, routed } from './route-call.ts'
import type { OwnerClient, Waiting } from './runtime-client.ts'
import type { Calls } from './runtime-of.ts'

/** As the routes of the socket have them. */
const TaskPart = Text(64)
const SessionPart = Text(128)
const Cursor = v.optional(Count)

export interface InProcessOn {
  readonly runtime: Runtime
  readonly actor: Actor
}

export class InProcess implements Calls, OwnerClient {
  readonly #stopping = new AbortController()
  readonly #faces: MemoryFaces

  constructor(private readonly on: InProcessOn) {
    this.#faces = new MemoryFaces(on, this.#stopping.signal)
  }

  status(o?: Waiting): Promise<Status> {
    return this.#ask(o, ({ runtime }) => runtime.getStatus())
  }

  devices(o?: Waiting): Promise<DeviceView[]> {
    return this.#ask(o, ({ runtime }) => runtime.listDevices())
  }

  agents(o?: Waiting): Promise<OfferedView[]> {
    return this.#ask(o, ({ runtime }) => runtime.listAgents())
  }

  skills(o?: Waiting): Promise<OfferedView[]> {
    return this.#ask(o, ({ runtime }) => runtime.listSkills())
  }

  tasks({ all, ...o }: Waiting & { readonly all?: boolean } = {}): Promise<TaskView[]> {
    return this.#ask(o, ({ runtime }) => runtime.listTasks({ all: all === true }))
  }

  submit(request: Omit<ExecRequest, 'stdin'>, o?: Waiting): Promise<TaskView> {
    return this.#with(ExecRequest, request, o, ({ runtime, actor }, asked) => runtime.submitTask(actor, asked))
  }

  task(task: string, { events, ...o }: Waiting & { readonly events?: boolean } = {}): Promise<TaskView> {
    return this.#with(TaskPart, task, o, ({ runtime }, asked) => runtime.getTask(asked, { events: events === true }))
  }

  cancel(task: string, o?: Waiting): Promise<TaskView> {
    return this.#with(TaskPart, task, o, ({ runtime, actor }, asked) => runtime.cancelTask(actor, asked))
  }

  pause(task: string, o?: Waiting): Promise<TaskView> {
    return this.#with(TaskPart, task, o, ({ runtime, actor }, asked) => runtime.pauseTask(actor, asked))
  }

  resume(task: string, o?: Waiting): Promise<TaskView> {
    return this.#with(TaskPart, task, o, ({ runtime, actor }, asked) => runtime.resumeTask(actor, asked))
  }

  watch(o: Waiting & { readonly cursor?: number } = {}): AsyncGenerator<TaskUpdate> {
    return this.#each(o.signal, (signal) => {
      const cursor = checked(Cursor, o.cursor)
      return this.on.runtime.streamTaskUpdates({ ...(cursor === undefined ? {} : { cursor }), signal })
    })
  }

  attach(request: Parameters<Calls['attach']>[0], o: AttachOptions = {}): Promise<ExecOutcome | undefined> {
    return attach(this.#faces, request, o)
  }

  exec(request: Omit<ExecRequest, 'stdin'>, o: ExecOptions = {}): Promise<ExecOutcome> {
    return exec(this.#faces, request, o)
  }

  invite(request: InviteRequest, o?: Waiting): Promise<InviteView> {
    return this.#with(InviteRequest, request, o, ({ runtime, actor }, asked) => runtime.invite(actor, asked))
  }

  readOffer(request: JoinRequest, o?: Waiting): Promise<OfferView> {
    return this.#with(JoinRequest, request, o, ({ runtime }, asked) => runtime.readOffer(asked))
  }

  watchInvite(id: string, { after, ...o }: Waiting & { readonly after?: number } = {}): Promise<InviteProgressView> {
    return this.#ask(o, ({ runtime }) => runtime.watchInvite(id, { after, signal: o.signal ?? new AbortController().signal }))
  }

  answerInvite(id: string, answer: InviteAnswer, o?: Waiting): Promise<InviteProgressView> {
    return this.#with(InviteAnswer, answer, o, ({ runtime, actor }, asked) => runtime.answerInvite(actor, id, asked))
  }

  pair(request: PairRequest, o?: Waiting): Promise<PairView> {
    return this.#with(PairRequest, request, o, ({ runtime, actor }, asked) => runtime.pair(actor, asked))
  }

  join(request: JoinRequest, o?: Waiting): Promise<JoinView> {
    return this.#with(JoinRequest, request, o, ({ runtime, actor }, asked) => runtime.join(actor, asked))
  }

  grant(request: GrantRequest, o?: Waiting): Promise<GrantView[]> {
    return this.#with(GrantRequest, request, o, ({ runtime, actor }, asked) => runtime.grant(actor, asked))
  }

  listGrants(o?: Waiting): Promise<GrantView[]> {
    return this.#ask(o, ({ runtime }) => runtime.listGrants())
  }

  revoke(request: RevokeRequest, o?: Waiting): Promise<RevokeView> {
    return this.#with(RevokeRequest, request, o, ({ runtime, actor }, asked) => runtime.revoke(actor, asked))
  }

  approvals({ mine, ...o }: Waiting & { readonly mine?: boolean } = {}): Promise<ApprovalView[]> {
    return this.#ask(o, ({ runtime }) => runtime.approvals.list({ mine: mine === true }))
  }

  /** By the route, so that a fault in it is said in the same words. */
  approve(id: string, request: ApproveRequest = {}, o?: Waiting): Promise<DecisionView> {
    return this.call('POST', `/api/runtime/approvals/${encodeURIComponent(id)}/approve`, request, o)
  }

  deny(id: string, request: DenyRequest = {}, o?: Waiting): Promise<DecisionView> {
    return this.call('POST', `/api/runtime/approvals/${encodeURIComponent(id)}/deny`, request, o)
  }

  requestRight(request: RightRequest, o?: Waiting): Promise<ApprovalView> {
    return this.#with(RightRequest, request, o, ({ runtime }, asked) => runtime.approvals.request(asked))
  }

  why(request: WhyRequest, o?: Waiting): Promise<WhyView> {
    return this.#with(WhyRequest, request, o, ({ runtime, actor }, asked) => runtime.why(actor, asked))
  }

  openSession(request: SessionRequest, o?: Waiting): Promise<SessionOpened> {
    return this.#with(SessionRequest, request, o, ({ runtime }, asked) => runtime.sessions.open(asked))
  }

  listSessions(o?: Waiting): Promise<SessionView[]> {
    return this.#ask(o, ({ runtime }) => runtime.sessions.list())
  }

  getSession(session: string, o?: Waiting): Promise<SessionView> {
    return this.#with(SessionPart, session, o, ({ runtime }, asked) => runtime.sessions.get(asked))
  }

  closeSession(session: string, o?: Waiting): Promise<SessionClosed> {
    return this.#with(SessionPart, session, o, ({ runtime }, asked) => runtime.sessions.close(asked))
  }

  listen(request: ListenRequest, o?: Waiting): Promise<{ addresses: string[] }> {
    return this.#with(ListenRequest, request, o, ({ runtime, actor }, asked) => runtime.listen(actor, asked))
  }

  audit(query: AuditQuery = {}, { signal }: Waiting = {}): AsyncGenerator<AuditRecordView> {
    return this.#each(signal, () => this.on.runtime.audit(checked(AuditQuery, query)))
  }

  verifyAudit(o?: Waiting): Promise<AuditVerifyView> {
    return this.#ask(o, ({ runtime }) => runtime.verifyAudit())
  }

  async call<T>(method: Method, path: string, body?: unknown, o?: Waiting): Promise<T> {
    return (await this.#ask(o, async (on) => {
      const { route, asked } = routed(method, path, body)
      return await route.run({ ...on, signal: this.#bounded(o?.signal) }, asked)
    })) as T
  }

  /** Ends what its callers wait for; resolves when each has heard so. */
  async close(): Promise<void> {
    this.#stopping.abort(stopped())
    await this.#faces.idle()
  }

  #with<S extends v.GenericSchema, T>(
    schema: S,
    request: unknown,
    o: Waiting | undefined,
    act: (on: InProcessOn, asked: v.InferOutput<S>) => Promise<T>,
  ): Promise<T> {
    return this.#ask(o, (on) => act(on, checked(schema, request)))
  }

  async #ask<T>(o: Waiting | undefined, act: (on: InProcessOn) => Promise<T>): Promise<T> {
    const signal = this.#bounded(o?.signal)
    try {
      if (signal.aborted) throw signal.reason
      return structuredClone(await raced(act(this.on), signal))
    } catch (thrown) {
      throw this.#said(thrown, o?.signal)
    }
  }

  async *#each<T>(signal: AbortSignal | undefined, begin: (bounded: AbortSignal) => AsyncIterable<T>): AsyncGenerator<T> {
    const bounded = this.#bounded(signal)
    try {
      if (bounded.aborted) throw bounded.reason
      for await (const item of begin(bounded)) {
        yield structuredClone(item)
        if (bounded.aborted) break
      }
      if (bounded.aborted) throw bounded.reason
    } catch (thrown) {
      throw this.#said(thrown, signal)
    }
  }

  #bounded(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#stopping.signal : AbortSignal.any([signal, this.#stopping.signal])
  }

  #said(thrown: unknown, signal: AbortSignal | undefined): ErrandError {
    if (thrown instanceof ErrandError) return thrown
    return signal?.aborted === true && thrown === signal.reason ? cancelled() : asErrand(thrown)
  }
}

/** What comes first. Nothing is left on the signal, which may live as long as the node. */
async function raced<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let give = (): void => undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    give = () => reject(signal.reason)
    signal.addEventListener('abort', give, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', give)
  }
}

function stopped(): ErrandError {
  return new ErrandError('NODE_GONE', 'the node was closed', { hint: 'make another one with createNode' })
}
