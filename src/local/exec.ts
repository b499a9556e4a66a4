/** One command through the node: frames to stdout, stderr and outcome; stdin under the node's credit. Client side only. */

import { EXEC, TAG } from '../../protocols/exec/frames.ts'
import { LOCAL_TAG } from '../../protocols/local/frames.ts'
import type { AttachRequest, BulkOffer, ExecAccepted, ExecOutcome, ExecRequest, ExecWaits } from '../../protocols/local/messages.ts'
import type { WireError } from '../base/errors.ts'
import { ErrandError } from '../base/errors.ts'
import { BulkReader } from './bulk.ts'
import type { AttachOptions, ExecOptions, Faces, OutputTaker } from './exec-options.ts'
import { cancelled, connectionFault, gone, wireFault } from './fault.ts'
import type { QuickFrame, QuickLink } from './quick-link.ts'

/** The device needs 5 s from SIGTERM to SIGKILL, its answer a way back; whoever waits longer than this waits for nothing. */
const CANCEL_GRACE_MS = 15_000
const STDIN_FRAME_BYTES = 1 << 16

/** @throws ErrandError what the node or the device refused with; NO_NODE, NODE_GONE; CANCELLED. Anything a taker throws cancels the command. */
export async function exec(face: Faces, request: Omit<ExecRequest, 'stdin'>, o: ExecOptions): Promise<ExecOutcome> {
  const outcome = await converse(face, { tag: LOCAL_TAG.request, body: { ...request, stdin: o.stdin !== undefined }, from: 0 }, o)
  if (outcome === undefined) throw connectionFault(gone(), face.socketPath)
  return outcome
}

/** As `exec`, for a task that was begun before. @returns undefined when it goes on and only what there is now was asked for. */
export async function attach(face: Faces, request: AttachRequest, o: AttachOptions): Promise<ExecOutcome | undefined> {
  return await converse(face, { tag: LOCAL_TAG.attach, body: request, from: request.from ?? 0 }, o)
}

interface Opening {
  readonly tag: number
  readonly body: ExecRequest | AttachRequest
  readonly from: number
}

async function converse(face: Faces, opening: Opening, o: ExecOptions): Promise<ExecOutcome | undefined> {
  if (o.signal?.aborted === true || o.abandon?.aborted === true) throw cancelled()
  const { link, socket } = face.take()
  const call = new ExecCall(link, o, opening)
  try {
    void link.write(opening.tag, json(opening.body))
    return await call.run()
  } catch (error) {
    throw call.takerFailed ? (call.stdinError ?? error) : call.abandoned ? cancelled() : connectionFault(error, face.socketPath)
  } finally {
    socket.destroy()
    face.prepare()
  }
}

class ExecCall {
  takerFailed = false
  stdinError: unknown
  abandoned = false
  #credit: number = EXEC.stdinWindowBytes
  #creditCame: (() => void) | undefined
  #over = false
  /** Bytes of output that were handed on. */
  #received: number
  #bulk: BulkReader | undefined
  /** One way beside this one, however often the device offers it. */
  #isBeside = false
  #bulkRead: Promise<void> = Promise.resolve()
  #hasEnded = false
  #isAccepted = false

  constructor(
    private readonly link: QuickLink,
    private readonly o: ExecOptions,
    private readonly opening: Opening,
  ) {
    this.#received = opening.from
  }

  async run(): Promise<ExecOutcome | undefined> {
    const unhook = this.#hookSignals()
    try {
      for (;;) {
        const frame = await this.link.read()
        if (frame === undefined && this.#isForNow()) return undefined
        if (frame === undefined) throw gone()
        const outcome = await this.#take(frame)
        if (outcome !== undefined) return outcome
      }
    } finally {
      unhook()
      this.#bulk?.close()
      this.#over = true
      this.#creditCame?.()
    }
  }

  async #take({ tag, payload }: QuickFrame): Promise<ExecOutcome | undefined> {
    switch (tag) {
      case TAG.stdout:
        return await this.#hand(this.o.onStdout, payload)
      case TAG.stderr:
        return await this.#hand(this.o.onStderr, payload)
      case TAG.stdinCredit:
        this.#credit += parse<{ bytes: number }>(payload).bytes
        this.#creditCame?.()
        return undefined
      case TAG.accepted:
        return this.#begin(parse<ExecAccepted>(payload))
      case TAG.queued:
        this.o.onQueued?.(parse<{ task: string; place: number }>(payload))
        return undefined
      case TAG.waits:
        return this.o.onWaits?.(parse<ExecWaits>(payload)) as undefined
      case TAG.at:
        this.#skip(parse<{ offset: number }>(payload).offset)
        return undefined
      case TAG.refused:
        throw wireFault(parse<WireError>(payload))
      case TAG.bulk:
        void this.#comeForBulk(parse<BulkOffer>(payload))
        return undefined
      case TAG.bulkMoved:
        this.#bulkRead = this.#readBulk()
        return undefined
      case TAG.lineDown:
        this.o.onLineDown?.(parse<{ waitMs: number }>(payload).waitMs)
        return undefined
      case TAG.lineBack:
        this.#bulk?.close() // its reader then asks for the rest here
        return undefined
      case TAG.detached:
        return this.#leave(parse<{ task: string; fault?: WireError }>(payload))
      case TAG.ended:
        return await this.#whole(parse<ExecOutcome>(payload))
      default:
        throw new ErrandError('UNSUPPORTED', `the node sent a frame 0x${tag.toString(16)} that this client does not know`)
    }
  }

  #begin(accepted: ExecAccepted): undefined {
    this.#isAccepted = true
    this.o.onAccepted?.(accepted)
    if (this.o.stdin !== undefined) void this.#pump(this.o.stdin)
    this.o.onTerminal?.(
      (size) => void this.link.write(TAG.resize, json(size)),
      () => void this.link.write(TAG.detach),
    )
  }

  /** @throws DETACHED: it goes on by itself, and there is no outcome to wait for. */
  #leave({ task, fault }: { task: string; fault?: WireError }): undefined {
    if (fault === undefined) throw new ErrandError('DETACHED', 'it goes on by itself', { fields: { task } })
    this.o.onMustStay?.(wireFault(fault))
  }

  /** What there is by now was asked for, and there is no more: the node hangs up. */
  #isForNow(): boolean {
    return 'follow' in this.opening.body && this.opening.body.follow === false && this.#isAccepted
  }

  #skip(to: number): void {
    this.o.onSkipped?.(to - this.#received)
    this.#received = to
  }

  async #hand(taker: OutputTaker | undefined, payload: Iterable<Uint8Array>): Promise<undefined> {
    try {
      for (const chunk of payload) {
        this.#received += chunk.length
        const taken = taker?.(chunk)
        if (taken !== undefined) await taken
      }
    } catch (error) {
      this.takerFailed = true
      throw error
    }
  }

  /** Takes the other way for what is a lot; without it everything goes on arriving here. */
  async #comeForBulk(offer: BulkOffer): Promise<void> {
    if (this.#isBeside) return
    this.#isBeside = true
    const bulk = await BulkReader.connect(offer)
    this.#isBeside = bulk !== undefined
    if (bulk === undefined) return
    if (this.#over) return bulk.close()
    this.#bulk = bulk
    this.o.onBulk?.()
    await this.link.write(TAG.bulkTake)
  }

  async #readBulk(): Promise<void> {
    try {
      for await (const { tag, payload } of this.#bulk?.read(this.#received) ?? [])
        await this.#hand(tag === TAG.stderr ? this.o.onStderr : this.o.onStdout, payload)
    } catch {
      if (this.takerFailed) this.link.abort(gone())
      else if (!this.#hasEnded) await this.link.write(TAG.resumeAt, json({ offset: this.#received }))
    } finally {
      this.#bulk?.close()
      this.#isBeside = false
    }
  }

  /** The outcome counts when all that was printed is here. */
  async #whole(outcome: ExecOutcome): Promise<ExecOutcome> {
    this.#hasEnded = true
    await this.#bulkRead
    const printed = outcome.stdoutBytes + outcome.stderrBytes
    if (outcome.why === 'lost' || this.#received >= printed || this.takerFailed) return outcome
    throw new ErrandError('LINK_LOST', `the connection to ${outcome.device} was lost: ${this.#received} of ${printed} bytes of output arrived`, {
      hint: `the rest is kept there: errand logs ${outcome.task} --from ${this.#received}`,
      fields: { task: outcome.task },
    })
  }

  /** Feeds stdin until it ends or the command has; never more than the credit is on its way. */
  async #pump(stdin: AsyncIterable<Uint8Array>): Promise<void> {
    const chunks = stdin[Symbol.asyncIterator]()
    try {
      for (let next = await chunks.next(); next.done !== true && !this.#over; next = await chunks.next()) await this.#feed(next.value)
      if (!this.#over) await this.link.write(TAG.stdinEnd)
    } catch (error) {
      this.stdinError = error
      this.takerFailed = true
      this.link.abort(error instanceof Error ? error : gone()) // over memory the reader hears this very error, over a socket its end
    } finally {
      // Not awaited: a source that waits for input would answer only with its next byte.
      if (this.#over) void chunks.return?.()
    }
  }

  async #feed(chunk: Uint8Array): Promise<void> {
    let rest = chunk
    while (rest.length > 0 && !this.#over) {
      const bytes = Math.min(rest.length, this.#credit, STDIN_FRAME_BYTES)
      if (bytes === 0) {
        await new Promise<void>((resolve) => {
          this.#creditCame = resolve
        })
        continue
      }
      this.#credit -= bytes
      await this.link.write(TAG.stdin, rest.subarray(0, bytes))
      rest = rest.subarray(bytes)
    }
  }

  #hookSignals(): () => void {
    const { signal, abandon } = this.o
    const grace = new AbortController()
    const hangUp = (): void => {
      this.abandoned = true
      this.link.abort(cancelled())
    }
    const ask = (): void => {
      void this.link.write(TAG.cancel)
      AbortSignal.timeout(CANCEL_GRACE_MS).addEventListener('abort', hangUp, { signal: grace.signal })
    }
    signal?.addEventListener('abort', ask, { once: true })
    abandon?.addEventListener('abort', hangUp, { once: true })
    return () => {
      grace.abort()
      signal?.removeEventListener('abort', ask)
      abandon?.removeEventListener('abort', hangUp)
    }
  }
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

/** The decoder of control frames: the node's own words under a known API version. */
function parse<T>(payload: QuickFrame['payload']): T {
  return JSON.parse(Buffer.concat(payload).toString()) as T
}
