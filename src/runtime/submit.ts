/**
 * The submitter's side of a command: finds the proof, signs the invocation, opens the stream, carries frames both ways.
 * A command for a device that cannot be reached fails; it never runs anywhere else.
 */
import { posix } from 'node:path'
import { Accepted, At, Bulk, Ended, EXEC, Refused, StdinCredit, TAG } from '../../protocols/exec/messages.ts'
import type { BulkOffer, ExecAccepted, ExecOutcome, ExecRequest } from '../../protocols/local/messages.ts'
import { decodeAs, encode, shapeOf } from '../../protocols/wire.ts'
import type { Fact } from '../audit/facts.ts'
import type { ExecRunArgs } from '../authority/commands.ts'
import { sealInvocation } from '../authority/token.ts'
import { type Clock, pause, type Random } from '../base/clock.ts'
import { asErrand, ErrandError, fromWire } from '../base/errors.ts'
import { type Frame, FrameLink } from '../base/frames.ts'
import { memoryLinks } from '../base/memory-link.ts'
import type { Did } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { Board } from '../tasks/board.ts'
import { endOf, type TaskId } from '../tasks/machine.ts'
import type { ExecDoor } from './exec-door.ts'
import { type Keyring, NONCE_BYTES, type Proof } from './keyring.ts'

const INVOCATION_LIFE_SECONDS = 120
const CONTROL_BYTES = 1 << 16
const GRANT_WAIT_MS = 3_000

/** The way to another device's exec door. */
export interface ExecRoute {
  /** @throws NO_ROUTE, LINK_CLOSED, NOT_ADMITTED */
  open(device: Did, o: { signal: AbortSignal }): Promise<Far>
}

export interface SubmitOn {
  readonly keyring: Keyring
  readonly directory: Directory
  readonly route: ExecRoute
  readonly door: ExecDoor
  readonly board: Board
  readonly audit: { append(fact: Fact): Promise<unknown>; refusal(): ErrandError | undefined }
  readonly clock: Clock
  readonly random: Random
  readonly newTaskId: () => string
}

interface Submission {
  readonly task: TaskId
  readonly device: Did
  readonly name: string
  readonly args: ExecRunArgs
  readonly env: Record<string, string>
}

interface Noted extends Submission {
  /** Begins to record the submission, if that has not begun; the promise is its durability in our log. */
  readonly note: () => Promise<unknown>
}

interface Far {
  readonly link: FrameLink
  readonly challenge: Uint8Array
  /** Resolves when the grants that the device knows of are here. */
  readonly synced: Promise<void>
  /** Where the device is, for whoever comes to it directly; null when it is reached through another one. */
  readonly host: string | null
}

export class Submitter {
  constructor(private readonly on: SubmitOn) {}

  /** Serves one request of the local face; errors and outcome travel as frames on `near`. Never rejects. */
  async exec(request: ExecRequest, near: FrameLink, { signal }: { signal: AbortSignal }): Promise<void> {
    let submission: Noted | undefined
    try {
      submission = this.#toNote(this.#read(request))
      const far = await this.#open(submission.device, signal)
      await this.#carry(submission, { near, far }, signal)
    } catch (thrown) {
      await this.#failed(submission, near, asErrand(thrown))
    }
    await near.end().catch(() => undefined)
  }

  #read(request: ExecRequest): Submission {
    const { directory } = this.on
    const device = directory.resolve(request.device)
    const [exe = '', ...argv] = request.command
    const env = request.env ?? {}
    const task = request.id?.toLowerCase() ?? this.on.newTaskId()
    if (this.on.board.get(task as TaskId) !== undefined) {
      throw new ErrandError('TASK_EXISTS', `a task with the id ${task} exists already`, {
        hint: 'errand ps shows it; without --id every run gets an id of its own',
      })
    }
    const args: ExecRunArgs = {
      exe,
      argv,
      cwd: request.cwd === undefined ? '' : plainPath(request.cwd),
      env: Object.keys(env).sort(),
      user: request.user ?? '',
      timeoutMs: request.timeoutMs ?? 0,
      maxOutputBytes: 0,
      tty: false,
      stdin: request.stdin ?? false,
      task,
    }
    return { task: task as TaskId, device, name: directory.nameOf(device) ?? device, args, env }
  }

  /**
   * The record is made in the next turn: over a line that is open the request leaves in this one, half a millisecond earlier,
   * and the record is durable long before the answer comes. A command for this device itself is recorded at once, before its start.
   */
  #toNote(submission: Submission): Noted {
    const { keyring, clock, board, audit } = this.on
    const { task, device, args } = submission
    const me = keyring.device.did
    const command = [args.exe, ...args.argv]
    let noted: Promise<unknown> | undefined
    const note = (): Promise<unknown> => {
      noted ??= audit.append({ actor: me, action: 'task.submit', result: 'ok', subject: device, task, details: { command, device } })
      return noted
    }
    const begin = (): void => void note().catch(() => undefined) // awaited before anybody is told anything
    board.open({ id: task, device, command, submittedBy: me, createdAt: clock.now() })
    if (device === me) begin()
    else clock.after(0, begin)
    return { ...submission, note }
  }

  /**
   * The record and the request are on their way side by side. A log that is known to be broken refuses before anything leaves;
   * nothing of the answer is handed on before the record is durable; and if it fails meanwhile, the command is cut off.
   */
  async #carry(submission: Noted, { near, far }: { near: FrameLink; far: Far }, signal: AbortSignal): Promise<void> {
    const gone = (): void => far.link.abort(new ErrandError('CANCELLED', 'whoever started this command is gone'))
    signal.addEventListener('abort', gone, { once: true })
    try {
      if (signal.aborted) gone()
      const refusal = this.on.audit.refusal()
      if (refusal !== undefined) throw refusal
      if (submission.device !== this.on.keyring.device.did) this.on.board.note(submission.task, { t: 'planned', at: this.on.clock.now() })
      await far.link.write(TAG.open, await this.#invocation(submission, far))
      void this.#carryInput(submission, near, far.link)
      await this.#carryOutput(submission, near, far)
    } catch (thrown) {
      far.link.abort(asErrand(thrown))
      if (signal.aborted) throw new ErrandError('CANCELLED', 'whoever started this command is gone')
      throw asErrand(thrown).code === 'LINK_CLOSED' ? lost(submission.name, thrown) : thrown
    } finally {
      signal.removeEventListener('abort', gone)
      await far.link.end().catch(() => undefined)
    }
  }

  /** Stdin, its end and cancel go on as they are; nothing else comes from this side. */
  async #carryInput({ task, device }: Submission, near: FrameLink, far: FrameLink): Promise<void> {
    try {
      for (let frame = await near.read(); frame !== undefined; frame = await near.read()) {
        if (PASSED_ON.has(frame.tag)) await far.write(frame.tag, frame.payload)
        if (frame.tag === TAG.resumeAt) await far.write(frame.tag, encode(shapeOf(At, JSON.parse(Buffer.from(frame.payload.subarray()).toString()))))
        if (frame.tag === TAG.cancel)
          await this.on.audit.append({ actor: this.on.keyring.device.did, action: 'task.cancel', result: 'ok', subject: device, task })
      }
    } catch {
      // The local socket is gone: the signal of the request cancels the command.
    }
  }

  async #open(device: Did, signal: AbortSignal): Promise<Far> {
    if (device !== this.on.keyring.device.did) return await this.on.route.open(device, { signal })
    const [mine, doors] = memoryLinks()
    const challenge = this.on.random(16)
    const caller = { did: device, challenge, address: 'this device', synced: Promise.resolve() }
    void this.on.door.serve(new FrameLink(doors, EXEC.maxFrameBytes), caller, { signal })
    return { link: new FrameLink(mine, EXEC.maxFrameBytes), challenge, synced: Promise.resolve(), host: '127.0.0.1' }
  }

  async #invocation({ device, args, env }: Submission, { challenge, synced }: Far): Promise<Uint8Array> {
    const { keyring, random } = this.on
    const now = keyring.nowSeconds()
    const { chain } = await this.#prove(device, args, synced)
    const invocation = sealInvocation(keyring.device, {
      sub: device,
      aud: device,
      cmd: '/exec/run',
      args,
      prf: chain.map((link) => link.cid),
      nonce: Buffer.concat([challenge, random(NONCE_BYTES)]),
      exp: now + INVOCATION_LIFE_SECONDS,
      iat: now,
    })
    return encode({ invocation, proofs: chain.map((link) => link.bytes), env })
  }

  /** A device that was met a moment ago may be about to tell of the very grant that is needed. */
  async #prove(device: Did, args: ExecRunArgs, synced: Promise<void>): Promise<Proof> {
    const proof = this.on.keyring.prove(device, '/exec/run', args)
    if (proof.doubt === undefined) return proof
    await Promise.race([synced, pause(this.on.clock, GRANT_WAIT_MS)])
    return this.on.keyring.prove(device, '/exec/run', args)
  }

  /** @throws the far side's refusal; LINK_LOST when it fell silent without an outcome. */
  async #carryOutput(submission: Noted, near: FrameLink, { link: far, host }: Far): Promise<void> {
    const first = await far.read()
    await submission.note()
    for (let frame = first; frame !== undefined; frame = await far.read()) {
      if (frame.tag === TAG.ended) return await this.#ended(submission, near, controlOf(Ended, frame))
      await this.#hand(submission, near, { frame, host })
    }
    throw lost(submission.name)
  }

  async #hand(submission: Noted, near: FrameLink, { frame, host }: { frame: Frame; host: string | null }): Promise<void> {
    const { tag, payload } = frame
    if (tag === TAG.stdout || tag === TAG.stderr) await near.write(tag, payload)
    else if (tag === TAG.stdinCredit) await near.write(tag, json(controlOf(StdinCredit, frame)))
    else if (tag === TAG.bulk) await offer(near, host, controlOf(Bulk, frame))
    else if (tag === TAG.bulkMoved) await near.write(tag, json(controlOf(At, frame)))
    else if (tag === TAG.accepted) await this.#accepted(submission, near, controlOf(Accepted, frame))
    else if (tag === TAG.refused) throw fromWire(controlOf(Refused, frame))
  }

  async #accepted({ task, device, name }: Submission, near: FrameLink, accepted: Accepted): Promise<void> {
    if (device !== this.on.keyring.device.did) this.on.board.note(task, { t: 'started', at: accepted.startTime })
    await near.write(TAG.accepted, json({ task, device: name, startTime: new Date(accepted.startTime).toISOString() } satisfies ExecAccepted))
  }

  async #ended({ task, device, name }: Submission, near: FrameLink, ended: Ended): Promise<void> {
    const { exitCode, signal, why, startTime, endTime, stdoutBytes, stderrBytes } = ended
    if (device !== this.on.keyring.device.did) this.on.board.note(task, { t: 'ended', at: endTime, to: endOf(why, exitCode), why, exitCode })
    const outcome: ExecOutcome = {
      task,
      device: name,
      exitCode,
      signal,
      why,
      ...(ended.message === undefined ? {} : { message: ended.message }),
      source: why === 'exit' ? 'command' : 'device',
      startTime: new Date(startTime).toISOString(),
      endTime: new Date(endTime).toISOString(),
      durationMs: endTime - startTime,
      stdoutBytes,
      stderrBytes,
    }
    await near.write(TAG.ended, json(outcome))
  }

  async #failed(submission: Noted | undefined, near: FrameLink, error: ErrandError): Promise<void> {
    if (submission !== undefined) {
      const { task, device, args } = submission
      this.on.board.note(task, { t: 'ended', at: this.on.clock.now(), to: 'FAILED', why: error.code, exitCode: null })
      const fact: Fact = {
        actor: this.on.keyring.device.did,
        action: 'task.failed',
        result: 'failed',
        subject: device,
        task,
        details: { command: [args.exe, ...args.argv], why: error.code, reason: error.message },
      }
      void submission.note().catch(() => undefined)
      await this.on.audit.append(fact).catch(() => undefined) // the caller is told in any case
    }
    const device = submission === undefined ? {} : { device: submission.name }
    const wire = error.toWire(error.fields['source'] === 'device' ? 'device' : 'errand')
    await Promise.resolve(near.write(TAG.refused, json({ ...wire, fields: { ...wire.fields, ...device } }))).catch(() => undefined)
  }
}

/** Frames of the caller that go on as they are. */
const PASSED_ON: ReadonlySet<number> = new Set([TAG.stdin, TAG.stdinEnd, TAG.cancel, TAG.bulkTake])

async function offer(near: FrameLink, host: string | null, { port, id, key }: Bulk): Promise<void> {
  if (host === null) return
  await near.write(TAG.bulk, json({ host, port, id: Buffer.from(id).toString('hex'), key: Buffer.from(key).toString('hex') } satisfies BulkOffer))
}

function lost(device: string, cause?: unknown): ErrandError {
  const hint = 'the device stops a command whose caller is gone; what it did until then is in its log: errand audit'
  return new ErrandError('LINK_LOST', `the connection to ${device} was lost before the command ended`, { hint, cause })
}

function controlOf<S extends Parameters<typeof decodeAs>[0]>(schema: S, frame: Frame): ReturnType<typeof decodeAs<S>> {
  return decodeAs(schema, frame.payload.subarray(), CONTROL_BYTES)
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

/** People type trailing slashes and dots; the declared path has none, so that a policy on it cannot be walked around. */
function plainPath(path: string): string {
  const plain = posix.normalize(path)
  return plain.length > 1 && plain.endsWith('/') ? plain.slice(0, -1) : plain
}
