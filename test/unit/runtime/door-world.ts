/** One device with the shipped exec door, a scripted executor behind it and a recording log: what a caller sees, what runs, what is written down. */
import { Accepted, type Ended, Ended as EndedSchema, EXEC, Refused, TAG } from '../../../protocols/exec/messages.ts'
import { decodeAs, encode } from '../../../protocols/wire.ts'
import type { Fact } from '../../../src/audit/facts.ts'
import type { ExecRunArgs } from '../../../src/authority/commands.ts'
import { signMandate } from '../../../src/authority/mandate.ts'
import { Revocations } from '../../../src/authority/revocations.ts'
import { type AnyRecord, type Delegation, type DelegationFields, signDelegation, signInvocation } from '../../../src/authority/token.ts'
import { ErrandError } from '../../../src/base/errors.ts'
import { FrameLink } from '../../../src/base/frames.ts'
import { memoryLinks } from '../../../src/base/memory-link.ts'
import type { Op } from '../../../src/base/op.ts'
import { type Did, Identity } from '../../../src/identity/identity.ts'
import { ApprovalCheck } from '../../../src/runtime/approval-check.ts'
import { ApprovalGate } from '../../../src/runtime/approval-gate.ts'
import { ApprovalWait } from '../../../src/runtime/approval-wait.ts'
import { Approvals } from '../../../src/runtime/approvals.ts'
import { Attachments } from '../../../src/runtime/attachments.ts'
import { type Check, OthersCheck } from '../../../src/runtime/checks.ts'
import { Detacher } from '../../../src/runtime/detaching.ts'
import type { ExecCaller } from '../../../src/runtime/exec-admission.ts'
import { ExecDoor } from '../../../src/runtime/exec-door.ts'
import { GrantRates } from '../../../src/runtime/grant-rates.ts'
import { LiveCommands } from '../../../src/runtime/live.ts'
import { Mandates } from '../../../src/runtime/mandates.ts'
import { Places } from '../../../src/runtime/places.ts'
import { RateGate } from '../../../src/runtime/rates.ts'
import { TaskGate } from '../../../src/runtime/task-gate.ts'
import { TaskSteward } from '../../../src/runtime/task-steward.ts'
import { WaitingList } from '../../../src/runtime/waiting-list.ts'
import { Store } from '../../../src/store/level.ts'
import { TaskBook } from '../../../src/tasks/book.ts'
import { countingRandom, HandClock } from '../base/hand-clock.ts'
import { MemoryDisk } from '../store/disks.ts'
import { ScriptedExecutor } from './scripted-executor.ts'

export { Scripted } from './scripted-executor.ts'

export const keyOf = (n: number): Identity => new Identity(new Uint8Array(32).fill(n))
export const [device, owner, laptop, mallory] = [keyOf(1), keyOf(2), keyOf(3), keyOf(4)] as const
export const APPROVAL_WAIT_MS = 600_000
export const CHALLENGE = new Uint8Array(16).fill(0xc4)
export const taskId = (n: number): string => `019aa3c1-0000-7000-8000-${String(n).padStart(12, '0')}`

/** The arguments of the request number `n`. */
export const declaredAs = (n: number, args: Partial<ExecRunArgs> = {}): ExecRunArgs => ({
  ...{ exe: 'make', argv: ['test'], cwd: '', env: [], user: '', timeoutMs: 0, maxOutputBytes: 0, tty: false, stdin: false, task: taskId(n) },
  ...args,
})

export class RecordingAudit {
  readonly facts: Fact[] = []
  /** What an append waits for before it is durable. */
  wait: Promise<void> = Promise.resolve()

  constructor(private readonly commit: (ops: readonly Op[]) => Promise<void>) {}

  async append(fact: Fact, along: readonly Op[] = []): Promise<void> {
    await this.wait
    await this.commit(along)
    this.facts.push(fact)
  }

  actions(): string[] {
    return this.facts.map((fact) => fact.action)
  }
}

export type Answer = { readonly t: 'refused'; readonly code: string; readonly message: string } | { readonly t: 'ended'; readonly ended: Ended }

interface WorldOptions {
  /** The daemon that was here before, on the same disk. */
  readonly before?: World
  readonly laterMs?: number
  readonly slots?: number
  readonly queue?: number
  readonly allowsOthers?: boolean
  readonly checks?: readonly Check[]
  /** Requests that one caller may make. */
  readonly perMinute?: number
  /** Devices of one person each. */
  readonly persons?: readonly (readonly Did[])[]
}

export class World {
  readonly random = countingRandom()
  readonly executor = new ScriptedExecutor()
  readonly revocations = new Revocations()
  readonly audit: RecordingAudit
  readonly live: LiveCommands
  readonly places: Places
  readonly door: ExecDoor
  readonly gate: TaskGate
  readonly steward: TaskSteward
  readonly waiting: WaitingList
  readonly approvals: Approvals
  readonly approvalGate: ApprovalGate
  readonly disk: MemoryDisk
  readonly store: Store
  #tasks = 0

  private constructor(
    o: WorldOptions,
    readonly clock: HandClock,
    readonly book: TaskBook,
    at: { readonly disk: MemoryDisk; readonly store: Store },
  ) {
    const { store } = at
    this.disk = at.disk
    this.store = store
    const { executor, revocations, random } = this
    const { slots = 4, queue = 0, allowsOthers = true, checks = [], perMinute = 6_000 } = o
    const named = (text: string): string => text
    this.audit = new RecordingAudit((ops) => store.commit(ops))
    const on = { self: device.did, executor, audit: this.audit, revocations, book, clock, random, named, besideDoor: () => null }
    this.live = new LiveCommands(on)
    this.places = new Places({ clock, bounds: { atOnce: slots, queueSize: queue, queueTimeoutMs: 60_000 } })
    const mandates = new Mandates({ ...on, device })
    const spool = { maxBytes: 1 << 20, policy: 'block' } as const
    const session = { ...on, live: this.live, detacher: new Detacher({ ...on, mandates, live: this.live, spool }) }
    const rates = new RateGate({ clock, self: device.did, perMinute: () => perMinute })
    const uses = new GrantRates(clock)
    this.gate = new TaskGate({ ...on, checks, rates, uses })
    this.steward = new TaskSteward({ ...on, live: this.live, gate: this.gate })
    const attachments = new Attachments({ ...session, gate: this.gate })
    this.waiting = new WaitingList({ clock, mandates, shelf: store.shelf('waiting') })
    const allChecks = [new OthersCheck({ self: device.did, allowsOthers }), uses, new ApprovalCheck(), ...checks]
    const isSamePerson = (a: Did, b: Did): boolean => a === b || o.persons?.some((person) => person.includes(a) && person.includes(b)) === true
    this.approvals = new Approvals({ ...on, shelf: store.shelf('approvals'), isSamePerson, waitMs: APPROVAL_WAIT_MS })
    this.approvalGate = new ApprovalGate({ ...on, approvals: this.approvals, checks: allChecks, isSamePerson })
    const approval = new ApprovalWait({ ...on, approvals: this.approvals, approvers: () => ['carol'] })
    this.door = new ExecDoor({
      ...session,
      approvals: this.approvals,
      approval,
      attachments,
      places: this.places,
      waiting: this.waiting,
      mandates,
      uses,
      rates,
      spool,
      checks: allChecks,
    })
  }

  static async open(o: WorldOptions = {}): Promise<World> {
    const [clock, disk] = [new HandClock(), o.before?.disk ?? new MemoryDisk()]
    clock.advance(o.laterMs ?? 0)
    const store = await Store.on(disk, 'memory')
    return new World(o, clock, await TaskBook.open({ store: store.shelf('tasks'), clock }), { disk, store })
  }

  grant(to: Identity, fields: Partial<DelegationFields> = {}): Delegation {
    const exp = Math.floor(this.clock.now() / 1_000) + 3_600
    return signDelegation(device, { aud: to.did, sub: device.did, cmd: '/exec/run', pol: [], exp, nonce: this.random(16), ...fields })
  }

  /** The first frame of a caller who may. */
  open(
    by: Identity,
    chain: readonly Delegation[],
    args: Partial<ExecRunArgs> = {},
    o: { challenge?: Uint8Array; env?: Record<string, string>; detached?: boolean; mandate?: Uint8Array | null; claims?: string } = {},
  ): Uint8Array {
    const now = Math.floor(this.clock.now() / 1_000)
    const declared = declaredAs(++this.#tasks, args)
    const nonce = Buffer.concat([o.challenge ?? CHALLENGE, this.random(16)])
    const invocation = signInvocation(by, {
      sub: device.did,
      aud: device.did,
      cmd: '/exec/run',
      args: declared,
      prf: chain.map(({ cid }) => cid),
      nonce,
      exp: now + 60,
      iat: now,
    })
    const isMandated = o.detached === true && by.did !== device.did
    const mandate = o.mandate === undefined && isMandated ? this.mandate(by, chain, declared).bytes : o.mandate
    return encode({
      invocation: invocation.bytes,
      proofs: chain.map(({ bytes }) => bytes),
      env: o.env ?? {},
      ...(mandate === undefined || mandate === null ? {} : { mandate }),
      ...(o.detached === true ? { about: { detached: true } } : {}),
      ...(o.claims === undefined ? {} : { about: { detached: false, session: o.claims } }),
    })
  }

  /** What lets the device run it without its asker. */
  mandate(by: Identity, chain: readonly Delegation[], args: AnyRecord): Delegation {
    const now = Math.floor(this.clock.now() / 1_000)
    return signMandate(by, { subject: device.did, command: '/exec/run', args }, { chain, now, nonce: this.random(16) })
  }

  /** What somebody shows who asks about a task. */
  asks(
    by: Identity,
    cmd: string,
    task: string,
    o: { chain?: readonly Delegation[]; challenge?: Uint8Array; args?: AnyRecord } = {},
  ): { invocation: Uint8Array; proofs: Uint8Array[] } {
    const now = Math.floor(this.clock.now() / 1_000)
    const { chain = [], challenge = CHALLENGE, args = { task } } = o
    const { bytes } = signInvocation(by, {
      ...{ sub: device.did, aud: device.did, cmd, args, prf: chain.map(({ cid }) => cid) },
      ...{ nonce: Buffer.concat([challenge, this.random(16)]), exp: now + 60, iat: now },
    })
    return { invocation: bytes, proofs: chain.map((link) => link.bytes) }
  }

  /** The connection of a caller. */
  caller(by: Identity): ExecCaller {
    return { did: by.did, challenge: CHALLENGE, address: '/ip4/127.0.0.1/tcp/9', synced: Promise.resolve() }
  }

  /** Opens a stream as `by`; `first` is its open frame. */
  call(by: Identity, first: Uint8Array, o: { tag?: number; signal?: AbortSignal } & Partial<Pick<ExecCaller, 'synced' | 'patience'>> = {}): Call {
    const [near, far] = memoryLinks()
    const { tag = TAG.open, signal = new AbortController().signal, ...more } = o
    const caller = { ...this.caller(by), ...more }
    const served = this.door.serve(new FrameLink(far, EXEC.maxFrameBytes), caller, { signal })
    const link = new FrameLink(near, EXEC.maxFrameBytes)
    void link.write(tag, first)
    return new Call(link, served)
  }
}

/** The caller's side of one stream. */
export class Call {
  accepted: Accepted | undefined
  readonly tags: number[] = []

  constructor(
    readonly link: FrameLink,
    readonly served: Promise<void>,
  ) {}

  /** Reads to the last frame. */
  async answer(): Promise<Answer> {
    for (let frame = await this.link.read(); frame !== undefined; frame = await this.link.read()) {
      const bytes = frame.payload.subarray()
      this.tags.push(frame.tag)
      if (frame.tag === TAG.accepted) this.accepted = decodeAs(Accepted, bytes, bytes.length)
      if (frame.tag === TAG.ended) return { t: 'ended', ended: decodeAs(EndedSchema, bytes, bytes.length) }
      if (frame.tag === TAG.refused) {
        const { code, message } = decodeAs(Refused, bytes, bytes.length)
        return { t: 'refused', code, message }
      }
    }
    throw new ErrandError('NO_ANSWER', 'the door closed without an answer')
  }
}
