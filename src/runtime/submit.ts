/**
 * The submitter's side of a command: writes down what was asked, opens the stream, carries frames both ways, keeps the task's history here.
 * A command for a device that cannot be reached fails; it never runs anywhere else.
 */
import { type Ended, TAG } from '../../protocols/exec/messages.ts'
import type { ExecRequest } from '../../protocols/local/messages.ts'
import type { About, Terminal } from '../../protocols/task/messages.ts'
import { encode } from '../../protocols/wire.ts'
import type { Fact } from '../audit/facts.ts'
import type { ExecRunArgs } from '../authority/commands.ts'
import type { Clock } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { FrameLink } from '../base/frames.ts'
import type { Op } from '../base/op.ts'
import type { Did } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { TaskBook } from '../tasks/book.ts'
import { type Change, endedBy, endedByError, type Task, type TaskId } from '../tasks/machine.ts'
import { carryAll } from './carried.ts'
import { declare } from './declared.ts'
import type { ExecWith } from './exec-with.ts'
import { type FarOn, FarSide, type Mandate } from './far.ts'
import { NearHearer, type News, NO_NEWS, QuietHearer } from './hearers.ts'
import { Line, type LineFor } from './line.ts'
import { endOf } from './live.ts'
import type { Session } from './session.ts'
import { aboutOf, submissionFor } from './submission.ts'

/** How much later than it is known something may be on the disk, on this side: the executor has it for sure. */
const WITHIN_MS = 1_000

export interface SubmitOn extends FarOn {
  readonly directory: Directory
  readonly book: TaskBook
  readonly audit: { append(fact: Fact, along?: readonly Op[]): Promise<unknown>; refusal(): ErrandError | undefined }
  readonly clock: Clock
  readonly newTaskId: () => string
}

interface Submission extends LineFor {
  readonly task: TaskId
  readonly args: ExecRunArgs
  readonly env: Record<string, string>
  readonly terminal: Terminal | undefined
  readonly about: About
  /** The caller chose the id: it may be known already. */
  readonly isGiven: boolean
  /** In which session it acts. */
  readonly scope: Session | undefined
}

interface Noted extends Submission {
  /** Begins to write the submission into our log; resolves when it is durable. */
  readonly note: () => Promise<unknown>
}

export class Submitter {
  readonly #side: FarSide
  readonly #stopping = new AbortController()

  constructor(private readonly on: SubmitOn) {
    this.#side = new FarSide(on)
  }

  /** Serves one request of the local face; errors and outcome travel as frames on `near`. Never rejects. */
  async exec(request: ExecRequest, near: FrameLink, { signal, scope, isFresh }: ExecWith): Promise<void> {
    let submission: Noted | undefined
    try {
      const read = this.#read(request, false, scope)
      submission = this.#toNote(isFresh === true ? { ...read, isGiven: false } : read)
      await this.#attached(submission, near, signal)
    } catch (thrown) {
      const error = asErrand(thrown)
      if (submission !== undefined) await this.#failed(submission, error)
      await new NearHearer(near, submission ?? NOBODY, SILENT).failed(error)
    }
    await near.end().catch(() => undefined)
  }

  /** Hands a task over and returns when its device has taken it on. The same id with the same request is the same task. @throws TASK_EXISTS, NO_ROUTE, … */
  async submit(request: ExecRequest, scope?: Session): Promise<Task> {
    const submission = this.#toNote(this.#read(request, true, scope))
    const known = submission.isGiven ? await this.#known(submission) : undefined
    if (known !== undefined) return known
    try {
      const hearer = new QuietHearer(this.#news(submission))
      const line = await this.#open(submission, hearer, this.#untilStop())
      const over = line.hear()
      await Promise.race([hearer.taken, over])
      await submission.note()
      void this.#await(over, submission)
    } catch (thrown) {
      await this.#failed(submission, asErrand(thrown))
      throw thrown
    }
    return (await this.on.book.get(submission.task)) ?? unknownTask(submission.task)
  }

  /** Waits for the end of a task that goes on somewhere else, however often the link breaks. */
  watchEnd(at: LineFor & { readonly task: TaskId }): void {
    const signal = this.#untilStop()
    void this.#side
      .open(at.device, signal)
      .then(async (far) => {
        const line = new Line(far, at, { side: this.#side, clock: this.on.clock, hearer: new QuietHearer(this.#news(at)), signal, from: 0 })
        const signed = await this.#side.sign(at.device, '/task/logs', { task: at.task }, far)
        await line.open(TAG.attach, encode({ task: at.task, from: null, follow: true, ...signed }))
        const ended = await line.hear()
        if (ended !== undefined) this.#ended(at, ended)
      })
      .catch((thrown: unknown) => {
        if (asErrand(thrown).code === 'NO_SUCH_TASK') return this.#gone(at)
        if (!signal.aborted) this.on.clock.after(AGAIN_MS, () => this.watchEnd(at))
      })
  }

  stop(): void {
    this.#stopping.abort(new ErrandError('STOPPING', 'this node is stopping'))
  }

  /** One for each task: a signal that many listen to is a leak to Node, and it says so on the terminal. */
  #untilStop(): AbortSignal {
    return AbortSignal.any([this.#stopping.signal])
  }

  async #await(over: Promise<Ended | undefined>, submission: Submission): Promise<void> {
    try {
      const ended = await over
      if (ended !== undefined) this.#ended(submission, ended)
    } catch {
      this.watchEnd(submission)
    }
  }

  #read(request: ExecRequest, detached: boolean, scope: Session | undefined): Submission {
    const { directory } = this.on
    const named = (text: string): Did => directory.resolve(text, this.on.keyring.device.did)
    const device = scope === undefined ? named(request.device) : scope.deviceNamed(request.device, named)
    const task = (request.id?.toLowerCase() ?? this.on.newTaskId()) as TaskId
    const { args: plain } = declare({ ...request, env: Object.keys(request.env ?? {}) }, task)
    const env = scope?.dress(device, plain, request.env ?? {}) ?? request.env ?? {}
    const args = { ...plain, env: Object.keys(env).sort() }
    scope?.tasks.add(task)
    const about = aboutOf(request, { detached, session: scope?.id })
    const terminal = args.tty ? request.terminal : undefined
    return { task, device, name: directory.nameOf(device) ?? device, args, env, terminal, about, isGiven: request.id !== undefined, scope }
  }

  /**
   * The record is made in the next turn: over a line that is open the request leaves in this one, half a millisecond earlier,
   * and the record is durable long before the answer comes. A command for this device itself is recorded at once, before its start.
   */
  #toNote(submission: Submission): Noted {
    const { keyring, clock, book, audit } = this.on
    const { task, device, args, about } = submission
    const me = keyring.device.did
    const createdAt = clock.now()
    const record = submissionFor(args, about, { device, submittedBy: me, createdAt })
    const fact: Fact = {
      actor: me,
      action: 'task.submit',
      result: 'ok',
      subject: device,
      task,
      session: about.session ?? null,
      details: { command: record.command, device },
    }
    const changes: Change[] = device === me ? [] : [{ t: 'planned', at: createdAt }]
    let noted: Promise<unknown> | undefined
    const note = (): Promise<unknown> => {
      noted ??= book.submit(record, { changes, carry: (ops) => audit.append(fact, ops), fresh: !submission.isGiven })
      return noted
    }
    const begin = (): void => void note().catch(() => undefined) // awaited before anybody is told anything
    if (device === me || submission.isGiven) begin()
    else clock.after(0, begin)
    return { ...submission, note }
  }

  /** A submission that was made before. @throws TASK_EXISTS for another request under its id. */
  async #known(submission: Noted): Promise<Task | undefined> {
    const { task, isNew } = (await submission.note()) as { task: Task; isNew: boolean }
    return isNew ? undefined : task
  }

  /**
   * The record and the request are on their way side by side. A log that is known to be broken refuses before anything leaves;
   * nothing of the answer is handed on before the record is durable; and if it fails meanwhile, the command is cut off.
   */
  async #attached(submission: Noted, near: FrameLink, signal: AbortSignal): Promise<void> {
    if (submission.isGiven && (await this.#known(submission)) !== undefined) {
      throw new ErrandError('TASK_EXISTS', `a task with the id ${submission.task} exists already`, {
        hint: `errand attach ${submission.task} --from 0 shows what it prints`,
        fields: { task: submission.task },
      })
    }
    const hearer = new NearHearer(near, submission, { before: submission.note, ...this.#news(submission) })
    const line = await this.#open(submission, hearer, signal)
    const gone = (): void => line.leave()
    signal.addEventListener('abort', gone, { once: true })
    try {
      if (signal.aborted) gone()
      let wrong: ErrandError | undefined
      void carryAll(near, line, () => this.#cancelled(submission)).then((found) => {
        wrong = found
        if (found !== undefined) line.leave()
      })
      const ended = await line.hear()
      await submission.note()
      if (ended === undefined) return await this.#detached(submission, hearer)
      this.#ended(submission, ended)
      await (wrong === undefined ? hearer.ended(ended) : hearer.failed(wrong))
    } finally {
      signal.removeEventListener('abort', gone)
    }
  }

  /** Its caller has left it to itself, and its device knows. */
  async #detached(submission: Submission, hearer: NearHearer): Promise<void> {
    const { task, device } = submission
    if (device !== this.on.keyring.device.did) {
      await this.on.book.note(task, [{ t: 'detached', at: this.on.clock.now() }])
      this.watchEnd(submission)
    }
    await hearer.detached()
  }

  /** Opens the line and asks for the command. */
  async #open(submission: Submission, hearer: NearHearer | QuietHearer, signal: AbortSignal): Promise<Line> {
    const far = await this.#side.open(submission.device, signal)
    const refusal = this.on.audit.refusal()
    if (refusal !== undefined) throw refusal
    const { args, env, terminal, about, scope } = submission
    const side = this.#side.in(scope)
    const isPlain = !about.detached && Object.keys(about).length === 1
    const signed = await side.sign(submission.device, '/exec/run', args, far)
    const mandate = (): Mandate => side.mandate(submission.device, '/exec/run', args, signed)
    const line = new Line(far, submission, { side, clock: this.on.clock, hearer, signal, ...(about.detached ? {} : { mandate }) })
    await line.open(
      TAG.open,
      encode({ ...signed, ...(about.detached ? mandate() : {}), env, ...(terminal === undefined ? {} : { terminal }), ...(isPlain ? {} : { about }) }),
    )
    return line
  }

  #cancelled({ task, device, about }: Submission): Promise<unknown> {
    const actor = this.on.keyring.device.did
    return this.on.audit.append({ actor, action: 'task.cancel', result: 'ok', subject: device, task, session: about.session ?? null })
  }

  /** This device's own tasks are written down by its own door. */
  #news({ task, device }: Pick<Submission, 'task' | 'device'>): News {
    const { keyring, book, clock } = this.on
    if (device === keyring.device.did) return NO_NEWS
    const note = (change: Change): void => void book.note(task, [change], { withinMs: WITHIN_MS }).catch(() => undefined)
    return {
      started: (at) => note({ t: 'started', at }),
      queued: (place) => note({ t: 'waiting', at: clock.now(), why: 'queue', place }),
      waits: (message) => note({ t: 'waiting', at: clock.now(), why: 'approval', message }),
    }
  }

  /** A start that was not heard of goes before; one that was is left out. */
  #ended({ task, device }: Pick<Submission, 'task' | 'device'>, ended: Ended): void {
    if (device === this.on.keyring.device.did) return
    const changes: Change[] = [{ t: 'started', at: ended.startTime }, endOf(ended)]
    void this.on.book.note(task, changes, { withinMs: WITHIN_MS }).catch(() => undefined)
  }

  /** The device has forgotten the task: whatever it did, nobody can say any more. */
  #gone({ task }: { task: TaskId }): void {
    const end = endedBy({ at: this.on.clock.now(), why: 'lost', exitCode: null, signal: null, message: 'its device knows nothing of it' })
    void this.on.book.note(task, [end]).catch(() => undefined)
  }

  async #failed(submission: Noted, error: ErrandError): Promise<void> {
    if (error.code === 'TASK_EXISTS' && error.fields['source'] !== 'device') return // it is another one's record
    const { task, device, args, about } = submission
    const me = this.on.keyring.device.did
    const end = endedByError(error, this.on.clock.now())
    const details = { command: [args.exe, ...args.argv], why: error.code, reason: error.message }
    const fact: Fact = { actor: me, action: 'task.failed', result: 'failed', subject: device, task, session: about.session ?? null, details }
    try {
      await submission.note()
      await this.on.book.note(task, [end], { carry: (ops) => this.on.audit.append(fact, ops) })
    } catch {
      // The caller is told in any case.
    }
  }
}

const AGAIN_MS = 5_000
const NOBODY: LineFor = { task: '', device: '' as Did, name: '' }
const SILENT = { before: () => Promise.resolve(), ...NO_NEWS }

function unknownTask(task: string): never {
  throw new ErrandError('NO_SUCH_TASK', `task ${task} is not known any more`)
}
