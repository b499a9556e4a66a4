/** What this node's user sees and decides of approvals: commands that wait here and on the devices at hand, and rights that are asked for. */
import type { WaitingCommand } from '../../protocols/approval/messages.ts'
import { APPROVAL } from '../../protocols/approval/messages.ts'
import type { Answer, ApprovalQuestion, Ask } from '../../protocols/call/messages.ts'
import type { ApprovalView, ApproveRequest, DecisionView, DenyRequest, RightRequest } from '../../protocols/local/approvals.ts'
import type { GrantRequest } from '../../protocols/local/messages.ts'
import { digestOf } from '../authority/approval.ts'
import { APPROVAL_GRANT, APPROVAL_LIST } from '../authority/commands.ts'
import { parseRight } from '../authority/rights.ts'
import type { Clock, Random } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { asDid, type Did } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { ApprovalDoor } from './approval-door.ts'
import { argsOf, askedView, commandView, wantedView } from './approval-views.ts'
import type { ExecCaller } from './exec-admission.ts'
import type { FarSide } from './far.ts'
import { type AskedRight, idOf, type RightsAskedHere } from './rights-asked.ts'
import type { RightsDesk } from './rights-desk.ts'
import type { RightsWanted, WantedRight } from './rights-wanted.ts'
import type { CallRoute } from './task-finder.ts'

const MAX_ASKED = 32
const LIST_MS = 3_000
const DECIDE_MS = 10_000
const MIN_ID_CHARS = 6
const RIGHT_FOR_MS = 8 * 3_600_000

export interface ApprovalDeskOn {
  readonly self: Did
  readonly directory: Directory
  readonly side: FarSide
  readonly calls: CallRoute
  /** Of this device itself. */
  readonly door: ApprovalDoor
  readonly asked: RightsAskedHere
  readonly wanted: RightsWanted
  readonly rights: RightsDesk
  /** What a grant would say. @throws CANNOT_GRANT */
  readonly wordsOfGrant: (request: GrantRequest) => string[]
  readonly isOnline: (did: Did) => boolean
  readonly isSamePerson: (a: Did, b: Did) => boolean
  /** Devices that could grant something on that one. */
  readonly granters: (device: Did) => readonly Did[]
  readonly clock: Clock
  readonly random: Random
}

/** For the owner of this device. */
export interface ApprovalRoom {
  /** What this device may decide; with `mine` what it has asked for itself. Oldest first. */
  list(o?: { readonly mine?: boolean }): Promise<ApprovalView[]>
  /** @throws NO_SUCH_REQUEST, AMBIGUOUS_REQUEST, REFUSED_OTHER_INTENT, REFUSED_SELF_APPROVAL, DENIED, CANNOT_GRANT */
  approve(id: string, request: ApproveRequest): Promise<DecisionView>
  deny(id: string, request: DenyRequest): Promise<DecisionView>
  /** @throws UNKNOWN_DEVICE, BAD_RIGHT, TOO_BUSY, and what those refuse it with that could grant it. */
  request(request: RightRequest): Promise<ApprovalView>
}

type Found = { readonly kind: 'command'; readonly at: Did; readonly waiting: WaitingCommand } | { readonly kind: 'right'; readonly asked: AskedRight }

/** A device that shows nothing of what waits there, and why. */
interface Silent {
  readonly at: Did
  readonly error: ErrandError
}

export class ApprovalDesk implements ApprovalRoom {
  constructor(private readonly on: ApprovalDeskOn) {}

  async list({ mine }: { readonly mine?: boolean } = {}): Promise<ApprovalView[]> {
    if (mine === true) {
      await this.on.wanted.look()
      return this.on.wanted.list().map((one) => this.#wantedView(one))
    }
    const { found, refused } = await this.#all()
    const [no] = refused
    if (found.length === 0 && no !== undefined) throw mayNotSee(this.#name(no.at), no.error)
    return found.map((one) => this.#view(one)).sort((a, b) => a.createdAt.localeCompare(b.createdAt))
  }

  async approve(id: string, request: ApproveRequest): Promise<DecisionView> {
    const found = await this.#find(id, request.intent)
    if (found.kind === 'right') return await this.#grant(found.asked, request)
    if (request.forMs !== undefined || request.can !== undefined)
      throw new ErrandError('BAD_REQUEST', 'a command is approved as it is, or not at all', { hint: '--for and --can are for rights that are asked for' })
    const { need, approvedBy } = found.waiting
    const shown = { id: taskOf(found.waiting), grants: [], words: [] }
    if (request.dryRun === true) return { ...shown, decision: 'shown', have: approvedBy.length, need }
    return { ...shown, decision: 'approved', ...(await this.#decide(found, 'approve', '')) }
  }

  async deny(id: string, { intent, reason = '' }: DenyRequest): Promise<DecisionView> {
    const found = await this.#find(id, intent)
    const rest = { decision: 'denied' as const, grants: [], words: [] }
    if (found.kind === 'command') return { id: taskOf(found.waiting), ...rest, ...(await this.#decide(found, 'deny', reason)) }
    await this.on.asked.decide(found.asked, { by: this.on.self, reason })
    return { id: idOf(found.asked.asked.id), ...rest, have: 0, need: 1 }
  }

  async request({ device, can, reason, forMs = RIGHT_FOR_MS }: RightRequest): Promise<ApprovalView> {
    const { directory, granters, wanted, random, clock, self } = this.on
    const did = directory.resolve(device)
    for (const right of can) parseRight(right)
    const at = granters(did).filter((one) => one !== self)
    if (at.length === 0) throw new ErrandError('CANNOT_GRANT', `nobody is known who could grant something on ${device}`)
    const asked = { id: random(APPROVAL.requestBytes), device: did, can, reason, forMs, createdAt: clock.now() }
    return this.#wantedView(await wanted.want(asked, at))
  }

  async #grant({ asked, from, ...rest }: AskedRight, { forMs, can, dryRun }: ApproveRequest): Promise<DecisionView> {
    const { rights } = this.on
    const request = { who: from, on: asked.device, can: can ?? [...asked.can], forMs: forMs ?? asked.forMs }
    const words = this.on.wordsOfGrant(request)
    const id = idOf(asked.id)
    if (dryRun === true) return { id, decision: 'shown', have: 0, need: 1, grants: [], words }
    const grants = await rights.grant(request)
    await this.on.asked.decide({ asked, from, ...rest }, { by: this.on.self, grants: grants.map(({ cid }) => cid) })
    return { id, decision: 'approved', have: 1, need: 1, grants, words }
  }

  async #decide({ at, waiting }: Found & { kind: 'command' }, decision: 'approve' | 'deny', reason: string): Promise<{ have: number; need: number }> {
    const args = { request: waiting.request, intent: digestOf(waiting.intent), decision, reason }
    const { decided } = await this.#ask(at, { question: '/approval/grant', command: APPROVAL_GRANT, args, ms: DECIDE_MS })
    return decided ?? { have: 0, need: waiting.need }
  }

  /** @param intent what was shown: should something else wait under the same id by now, it is not decided on. */
  async #find(id: string, intent: string | undefined): Promise<Found> {
    const text = id.toLowerCase()
    const fits = (one: string): boolean => one === text || (text.length >= MIN_ID_CHARS && (one.startsWith(text) || one.endsWith(text)))
    const { found, refused } = await this.#all()
    const fitting = found.filter((one) => fits(this.#view(one).id))
    const [only] = fitting
    if (only === undefined) throw refused[0] === undefined ? noSuch(id) : mayNotSee(this.#name(refused[0].at), refused[0].error)
    if (fitting.length > 1) throw new ErrandError('AMBIGUOUS_REQUEST', `${fitting.length} requests begin or end with ${id}`, { hint: 'give more of the id' })
    if (intent !== undefined && this.#view(only).intent !== intent)
      throw new ErrandError('REFUSED_OTHER_INTENT', 'what waits under this id is not what was shown', { hint: 'look at it again: errand requests' })
    return only
  }

  async #all(): Promise<{ readonly found: readonly Found[]; readonly refused: readonly Silent[] }> {
    const { self, directory, isOnline, side, asked } = this.on
    const others = directory.members().map(({ device }) => asDid(device))
    const askable = others.filter((did) => did !== self && isOnline(did) && side.may(did, APPROVAL_LIST, {})).slice(0, MAX_ASKED)
    const lists = await Promise.all([self, ...askable].map((did) => this.#listOf(did)))
    const found = [...lists.flatMap((list) => list.found), ...asked.waiting().map((one): Found => ({ kind: 'right', asked: one }))]
    return { found, refused: lists.flatMap(({ refused }) => refused ?? []) }
  }

  /** What a device shows counts only for itself. One that says no is heard; one that says nothing is as good as away. */
  async #listOf(at: Did): Promise<{ readonly found: readonly Found[]; readonly refused?: Silent }> {
    try {
      const { waiting = [] } = await this.#ask(at, { question: '/approval/list', command: APPROVAL_LIST, args: {}, ms: LIST_MS })
      return { found: waiting.filter(({ intent }) => intent.device === at && isCommand(intent)).map((one) => ({ kind: 'command', at, waiting: one })) }
    } catch (thrown) {
      const error = asErrand(thrown)
      return error.code === 'DENIED' ? { found: [], refused: { at, error } } : { found: [] }
    }
  }

  async #ask(at: Did, o: { question: ApprovalQuestion; command: string; args: Readonly<Record<string, unknown>>; ms: number }): Promise<Answer> {
    const { self, side, door, calls, random } = this.on
    const { question, command, args, ms } = o
    const ask = async (far: { challenge: Uint8Array; synced: Promise<void> }): Promise<Ask & { question: ApprovalQuestion }> => ({
      ...{ question, task: '', ...(await side.sign(at, command, args, far)) },
    })
    if (at !== self) return await calls.call(at, ask, { signal: AbortSignal.timeout(ms) })
    const caller: ExecCaller = { did: self, challenge: random(16), address: 'this device', synced: Promise.resolve() }
    return await door.answer(await ask(caller), caller)
  }

  #view(found: Found): ApprovalView {
    const name = this.#name
    if (found.kind === 'right') return askedView(found.asked, name)
    const mayDecide = !this.on.isSamePerson(this.on.self, asDid(found.waiting.intent.requester))
    return commandView(found.waiting, { name, mayDecide })
  }

  #wantedView(one: WantedRight): ApprovalView {
    return wantedView(one, { name: this.#name, self: this.on.self })
  }

  readonly #name = (did: string): string => this.on.directory.nameOf(did) ?? did
}

function isCommand(intent: WaitingCommand['intent']): boolean {
  try {
    argsOf(intent)
    return intent.command === '/exec/run'
  } catch {
    return false
  }
}

function taskOf({ intent }: WaitingCommand): string {
  return argsOf(intent).task
}

function mayNotSee(device: string, { message, hint, fields }: ErrandError): ErrandError {
  return new ErrandError('DENIED', `${device} does not show what waits there: ${message}`, { ...(hint === undefined ? {} : { hint }), fields })
}

function noSuch(id: string): ErrandError {
  return new ErrandError('NO_SUCH_REQUEST', `no request ${id.slice(0, 64)} waits for this device`, {
    hint: 'errand requests lists those that do; somebody may have decided, or its device may be away',
  })
}
