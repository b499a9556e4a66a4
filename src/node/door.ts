/** The Runtime that the local socket talks to while the node behind it changes: none yet, one mesh, another mesh after a join. */
import type { JoinRequest, JoinView, OfferView, PairRequest, PairView, Status } from '../../protocols/local/messages.ts'
import { ErrandError } from '../base/errors.ts'
import type { ApprovalRoom } from '../runtime/approval-desk.ts'
import { offerView, readCode } from '../runtime/invite-code.ts'
import type { Actor, Runtime } from '../runtime/runtime.ts'

/** Answers with what can be said without a mesh; everything else says how to get one. */
export function waitingRuntime(o: {
  readonly status: () => Status
  readonly name: string
  readonly did: string
  readonly join: (request: JoinRequest) => Promise<JoinView>
  readonly shutdown: (request: { drainMs?: number | undefined }) => void
}): Omit<Runtime, 'pair'> {
  const none = (): never => {
    throw new ErrandError('NO_MESH', 'this device belongs to no mesh yet', { hint: 'join one: errand join CODE   or begin one: errand down, then errand up' })
  }
  return {
    getStatus: () => Promise.resolve(o.status()),
    listDevices: () => Promise.resolve([]),
    listAgents: () => Promise.resolve([]),
    listSkills: () => Promise.resolve([]),
    listTasks: () => Promise.resolve([]),
    submitTask: () => Promise.resolve().then(none),
    getTask: () => Promise.resolve().then(none),
    cancelTask: () => Promise.resolve().then(none),
    pauseTask: () => Promise.resolve().then(none),
    resumeTask: () => Promise.resolve().then(none),
    streamTaskUpdates: () => nothing(),
    attach: () => Promise.resolve().then(none),
    exec: () => Promise.resolve().then(none),
    invite: () => Promise.resolve().then(none),
    watchInvite: () => Promise.resolve().then(none),
    answerInvite: () => Promise.resolve().then(none),
    readOffer: (request): Promise<OfferView> => Promise.resolve().then(() => offerView(readCode(request.code), { name: request.name ?? o.name, did: o.did })),
    join: (_actor: Actor, request) => o.join(request),
    listen: () => Promise.resolve().then(none),
    grant: () => Promise.resolve().then(none),
    listGrants: () => Promise.resolve([]),
    revoke: () => Promise.resolve().then(none),
    ...noOwners(none),
    succession: { rotate: () => Promise.resolve().then(none) },
    orders: { label: () => Promise.resolve().then(none), policy: () => Promise.resolve().then(none) },
    devices: { remove: () => Promise.resolve().then(none), trust: () => Promise.resolve().then(none), lockdown: () => Promise.resolve().then(none) },
    ...noMore(none),
    sessions: noSessions(none),
    inSession: () => none(),
    approvals: noApprovals(none),
    bridge: { import: () => Promise.resolve().then(none), export: () => Promise.resolve().then(none) },
    why: () => Promise.resolve().then(none),
    audit: () => nothing(),
    verifyAudit: () => Promise.resolve({ ok: true, logs: [], problems: [] }),
    shutdown: (_actor, request) => {
      o.shutdown(request)
      return Promise.resolve({ stopping: true, active: 0, detached: 0, waitsMs: 0 })
    },
  }
}

type More = 'roles' | 'groups' | 'fans' | 'forwards'

function noMore(none: () => never): Pick<Runtime, More> {
  const no = (): Promise<never> => Promise.resolve().then(none)
  const roles = { list: () => Promise.resolve([]), add: no, change: no, remove: no, assign: no, unassign: no }
  const groups = { list: () => Promise.resolve([]), change: no }
  return { roles, groups, fans: { choose: no, submit: no, stand: no, run: no }, forwards: { forward: no, carry: no } }
}

function switchedFans(current: () => Pick<Runtime, 'fans'>): Runtime['fans'] {
  return {
    choose: (request) => current().fans.choose(request),
    submit: (request) => current().fans.submit(request),
    stand: (task) => current().fans.stand(task),
    run: (request, link, o) => current().fans.run(request, link, o),
  }
}

async function* nothing(): AsyncGenerator<never> {}

/** Hands every call to whatever runtime is current; trying a short code is the same for all of them. */
export function switchedRuntime(current: () => Omit<Runtime, 'pair'>, pair: (request: PairRequest) => Promise<PairView>): Runtime {
  return {
    getStatus: () => current().getStatus(),
    listDevices: () => current().listDevices(),
    listAgents: () => current().listAgents(),
    listSkills: () => current().listSkills(),
    listTasks: (o) => current().listTasks(o),
    submitTask: (actor, request) => current().submitTask(actor, request),
    getTask: (task, o) => current().getTask(task, o),
    cancelTask: (actor, task) => current().cancelTask(actor, task),
    pauseTask: (actor, task) => current().pauseTask(actor, task),
    resumeTask: (actor, task) => current().resumeTask(actor, task),
    streamTaskUpdates: (o) => current().streamTaskUpdates(o),
    attach: (actor, request, link, o) => current().attach(actor, request, link, o),
    exec: (actor, request, link, o) => current().exec(actor, request, link, o),
    invite: (actor, request) => current().invite(actor, request),
    readOffer: (request) => current().readOffer(request),
    watchInvite: (id, o) => current().watchInvite(id, o),
    answerInvite: (actor, id, answer) => current().answerInvite(actor, id, answer),
    pair: (_actor, request) => pair(request),
    join: (actor, request) => current().join(actor, request),
    listen: (actor, request) => current().listen(actor, request),
    grant: (actor, request) => current().grant(actor, request),
    listGrants: () => current().listGrants(),
    revoke: (actor, request) => current().revoke(actor, request),
    ...switchedOwners(current),
    succession: { rotate: () => current().succession.rotate() },
    orders: { label: (request) => current().orders.label(request), policy: (request) => current().orders.policy(request) },
    devices: {
      remove: (request) => current().devices.remove(request),
      trust: (request) => current().devices.trust(request),
      lockdown: (request) => current().devices.lockdown(request),
    },
    ...switchedMore(current),
    sessions: switchedSessions(current),
    inSession: (session) => current().inSession(session),
    approvals: switchedApprovals(current),
    bridge: { import: (request) => current().bridge.import(request), export: (request) => current().bridge.export(request) },
    why: (actor, request) => current().why(actor, request),
    audit: (query) => current().audit(query),
    verifyAudit: () => current().verifyAudit(),
    shutdown: (actor, request) => current().shutdown(actor, request),
  }
}

function switchedMore(current: () => Pick<Runtime, More>): Pick<Runtime, More> {
  return {
    roles: {
      list: () => current().roles.list(),
      add: (request) => current().roles.add(request),
      change: (request) => current().roles.change(request),
      remove: (request) => current().roles.remove(request),
      assign: (request) => current().roles.assign(request),
      unassign: (request) => current().roles.unassign(request),
    },
    groups: { list: () => current().groups.list(), change: (request) => current().groups.change(request) },
    fans: switchedFans(current),
    forwards: {
      forward: (request, link, o) => current().forwards.forward(request, link, o),
      carry: (request, link, o) => current().forwards.carry(request, link, o),
    },
  }
}

function noOwners(none: () => never): Pick<Runtime, 'owners' | 'recovery'> {
  const no = (): Promise<never> => Promise.resolve().then(none)
  return { owners: { list: no, card: no, change: no, sign: no, protect: no, unlock: no, lock: no }, recovery: { key: no, draft: no, use: no } }
}

function switchedOwners(current: () => Pick<Runtime, 'owners' | 'recovery'>): Pick<Runtime, 'owners' | 'recovery'> {
  return {
    owners: {
      list: () => current().owners.list(),
      card: () => current().owners.card(),
      change: (request) => current().owners.change(request),
      sign: (request) => current().owners.sign(request),
      protect: (request) => current().owners.protect(request),
      unlock: (request) => current().owners.unlock(request),
      lock: () => current().owners.lock(),
    },
    recovery: {
      key: () => current().recovery.key(),
      draft: (request) => current().recovery.draft(request),
      use: (request) => current().recovery.use(request),
    },
  }
}

function noSessions(none: () => never): Runtime['sessions'] {
  const refuse = () => Promise.resolve().then(none)
  return { open: refuse, list: () => Promise.resolve([]), get: refuse, close: refuse, enter: refuse }
}

function switchedSessions(current: () => Pick<Runtime, 'sessions'>): Runtime['sessions'] {
  return {
    open: (request) => current().sessions.open(request),
    list: () => current().sessions.list(),
    get: (session) => current().sessions.get(session),
    close: (session) => current().sessions.close(session),
    enter: (credential) => current().sessions.enter(credential),
  }
}

function noApprovals(none: () => never): ApprovalRoom {
  const refuse = (): Promise<never> => Promise.resolve().then(none)
  return { list: () => Promise.resolve([]), approve: refuse, deny: refuse, request: refuse }
}

function switchedApprovals(current: () => Pick<Runtime, 'approvals'>): ApprovalRoom {
  return {
    list: (o) => current().approvals.list(o),
    approve: (id, request) => current().approvals.approve(id, request),
    deny: (id, request) => current().approvals.deny(id, request),
    request: (request) => current().approvals.request(request),
  }
}
