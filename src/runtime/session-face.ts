/**
 * The runtime as whatever acts in a session gets to see it: its own tasks, its own devices, its own trail. Deny by default: what is not
 * written down here is refused and recorded, also what the runtime learns to do later.
 */
import type { AttachRequest, AuditQuery, DeviceView, ExecRequest } from '../../protocols/local/messages.ts'
import type { Fact } from '../audit/facts.ts'
import { type Clock, every } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { FrameLink } from '../base/frames.ts'
import type { Did } from '../identity/identity.ts'
import type { TaskBook } from '../tasks/book.ts'
import type { AuditDesk } from './audit-desk.ts'
import type { DenialMeter } from './denial.ts'
import type { FanDesk } from './fan-desk.ts'
import type { ForwardRoom } from './forwarder.ts'
import type { FanRoom, Runtime } from './runtime.ts'
import type { Session } from './session.ts'
import type { SessionDesk } from './session-desk.ts'
import type { Submitter } from './submit.ts'
import type { TaskDesk } from './task-desk.ts'
import type { WhyDesk } from './why-desk.ts'

/** While somebody watches, devices that run what was submitted here are asked so often how it stands. */
export const ASK_EVERY_MS = 2_000

export interface FaceOn {
  readonly self: Did
  readonly sessions: SessionDesk
  readonly tasks: TaskDesk
  readonly submitter: Submitter
  readonly fans: FanDesk
  readonly forwards: ForwardRoom
  readonly whys: WhyDesk
  readonly book: TaskBook
  readonly log: AuditDesk
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly devices: () => Promise<DeviceView[]>
  readonly denials: DenialMeter
  readonly clock: Clock
}

type Deny = (what: string) => Promise<never>

export function sessionFace(session: Session, on: FaceOn): Runtime {
  const deny: Deny = (what) => denied(what, session, on)
  const face: Runtime = denyingAllBut({ ...reads(session, on, deny), ...acts(session, on), inSession: () => face }, deny)
  return face
}

/** What a session may see. */
function reads(session: Session, { sessions, tasks, log, devices, self, ...on }: FaceOn, deny: Deny) {
  const own = (text: string): string =>
    [session.id, session.about.name].includes(text) || session.id.endsWith(text.toLowerCase()) ? session.id : otherSession(text)
  return {
    listDevices: async () => (await devices()).filter(({ did }) => session.devices.includes(did as Did)).map((device) => ({ ...device, addresses: [] })),
    listTasks: (o) => tasks.list({ ...o, scope: session }),
    getTask: (task, o) => tasks.get(task, { ...o, scope: session }),
    streamTaskUpdates: (o) => updates(session, { tasks, ...on }, o),
    audit: (query) => log.query(ownTrail(query, { session: session.id, actor: self })),
    sessions: {
      ...{ open: () => deny('sessions.open'), enter: () => deny('sessions.enter') },
      ...{
        list: async () => [sessions.view(session.id)],
        get: async (text) => sessions.view(own(text)),
        close: async (text) => await sessions.close(own(text)),
      },
    },
  } satisfies Partial<Runtime>
}

/** What a session may do. */
function acts(session: Session, { tasks, submitter, whys, fans, forwards }: FaceOn) {
  const held = async (work: () => Promise<void>): Promise<void> => {
    const release = session.hold()
    await work().finally(release)
  }
  const within = ({ signal }: { signal: AbortSignal }) => ({ signal: AbortSignal.any([signal, session.over]), scope: session })
  const many = (): FanRoom => fans.room(session)
  return {
    fans: {
      choose: (request) => many().choose(request),
      submit: (request) => many().submit(request),
      stand: (task) => many().stand(task),
      run: (request, link, o) => held(() => many().run(request, link, within(o))),
    },
    why: (_actor, request) => whys.why(request, session),
    submitTask: async (_actor, request) => tasks.view(await submitter.submit(ownRequest(request, session), session)),
    cancelTask: (_actor, task) => tasks.steer(task, 'cancel', session),
    pauseTask: (_actor, task) => tasks.steer(task, 'pause', session),
    resumeTask: (_actor, task) => tasks.steer(task, 'resume', session),
    attach: (_actor, request: AttachRequest, link: FrameLink, o) => held(() => tasks.attach(request, link, within(o))),
    forwards: {
      forward: (request, link, o) => held(() => forwards.forward(request, link, within(o))),
      carry: (request, link, o) => held(() => forwards.carry(request, link, within(o))),
    },
    exec: (_actor, request: ExecRequest, link: FrameLink, o) => held(() => submitter.exec(ownRequest(request, session), link, within(o))),
  } satisfies Partial<Runtime>
}

type Updates = ReturnType<Runtime['streamTaskUpdates']>

async function* updates(
  session: Session,
  { tasks, book, clock }: Pick<FaceOn, 'tasks' | 'book' | 'clock'>,
  o: { cursor?: number; signal: AbortSignal },
): Updates {
  const stop = every(clock, ASK_EVERY_MS, () => tasks.refresh())
  try {
    for await (const item of book.watch({ ...o, signal: AbortSignal.any([o.signal, session.over]) })) {
      if (item.t === 'state') yield { ...item, tasks: item.tasks.filter((task) => session.has(task)).map((task) => tasks.view(task)) }
      else if (item.t === 'gap') yield item
      else if (session.has(item.task)) yield { t: 'changed', cursor: item.cursor, event: item.event, task: tasks.view(item.task) }
    }
  } finally {
    stop()
  }
  session.over.throwIfAborted()
}

/** Entries that this device wrote or caused in this session; another device may claim its name, and is not asked. */
function ownTrail(query: AuditQuery, own: { readonly session: string; readonly actor: string }): AuditQuery {
  if (query.session !== undefined && query.session !== own.session) throw otherSession(query.session)
  return { ...query, ...own }
}

function ownRequest({ session: named, ...request }: ExecRequest, { id, about }: Session): ExecRequest {
  if (named !== undefined && named !== id && named !== about.name) throw otherSession(named)
  return request
}

function otherSession(text: string): never {
  throw new ErrandError('NO_SUCH_SESSION', `no session ${text.slice(0, 64)} is known here`, { hint: 'what acts in a session knows that one only' })
}

async function denied(what: string, { id }: Session, { self, audit, denials }: FaceOn): Promise<never> {
  const hint = 'ask outside of the session, as the owner of this device'
  const error = new ErrandError('DENIED', `nobody may do that in a session: ${what}`, { hint, fields: { reason: 'IN_SESSION' } })
  const more = denials.take(id)
  if (more !== undefined) {
    const reason = more === 0 ? error.message : `${error.message} (and ${more} more refusals before)`
    await audit.append({ actor: self, action: 'session.denied', result: 'denied', session: id, details: { reason, command: [what] } })
  }
  throw error
}

/** The one place that makes a whole of a part: every other name leads to a refusal, as an answer and as a stream. */
function denyingAllBut(allowed: Partial<Runtime>, deny: Deny): Runtime {
  const get = (target: object, name: string | symbol): unknown => {
    if (typeof name === 'symbol' || name === 'then') return undefined
    return Object.hasOwn(target, name) ? Reflect.get(target, name) : refusing(name, deny)
  }
  return new Proxy(allowed, { get }) as Runtime
}

/** A method that refuses, and so does every method of it: it may be a room. */
function refusing(what: string, deny: Deny): unknown {
  const refuse = (): object => {
    const refusal = deny(what)
    refusal.catch(() => undefined) // whoever asked for a stream hears it when reading
    return Object.assign(refusal, { [Symbol.asyncIterator]: () => ({ next: () => refusal }) })
  }
  return new Proxy(refuse, { get: (_target, name) => (typeof name === 'symbol' ? undefined : refusing(`${what}.${name}`, deny)) })
}
