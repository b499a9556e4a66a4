/** The daemon's end of one conversation with the exec-host: a command that runs there, its output, its input and its end. */
import { Ended, type Why } from '../../protocols/exec/messages.ts'
import { At, type Detach, Failed, Held, HOST, HOST_TAG, type SpoolBounds, Started, StdinCredit } from '../../protocols/host/messages.ts'
import type { WindowSize } from '../../protocols/task/messages.ts'
import { decodeAs, encode } from '../../protocols/wire.ts'
import { ErrandError, fromWire } from '../base/errors.ts'
import type { Frame, FrameLink } from '../base/frames.ts'
import type { OutputSink, Printed, RunningCommand } from '../tasks/ports.ts'

export interface RunOn {
  readonly sink: OutputSink
  /** The host died: ends what it had started, and says how that counts. */
  readonly hostLost: (started: Started) => Ended
}

export class HostedRun implements RunningCommand {
  readonly ended: Promise<Ended>
  #resolve: (ended: Ended) => void = () => undefined
  #credits: (() => void)[] = []
  #isOver = false
  #isLost = false
  #lost: () => void = () => undefined
  #held: ((offset: number) => void)[] = []

  private constructor(
    private readonly link: FrameLink,
    private readonly started: Started,
    private readonly on: RunOn,
  ) {
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve
    })
    void this.#read()
  }

  /** Waits for the word that the command runs; undefined when there is none, because the connection was let go before it was heard. @throws ErrandError why it does not. */
  static async begin(link: FrameLink, on: RunOn): Promise<HostedRun | undefined> {
    const first = await link.read().catch(() => undefined)
    if (first === undefined) return undefined
    if (first.tag === HOST_TAG.failed) throw fromWire(bodyOf(Failed, first))
    if (first.tag !== HOST_TAG.started) throw new ErrandError('UNSUPPORTED', `the exec-host said 0x${first.tag.toString(16)} first`)
    return new HostedRun(link, bodyOf(Started, first), on)
  }

  get pid(): number {
    return this.started.pid
  }

  get startTime(): number {
    return this.started.startTime
  }

  stdin(chunk: Uint8Array): Promise<void> {
    if (this.#isOver) return Promise.resolve()
    void this.link.write(HOST_TAG.stdin, chunk)
    return new Promise((resolve) => this.#credits.push(resolve))
  }

  endStdin(): void {
    if (!this.#isOver) void this.link.write(HOST_TAG.stdinEnd)
  }

  resize(size: WindowSize): void {
    if (!this.#isOver) void this.link.write(HOST_TAG.resize, encode(size))
  }

  stop(why: Why): void {
    if (this.#isOver) return
    void this.link.write(HOST_TAG.stop, encode({ why }))
    if (why !== 'lost') return
    this.#isLost = true // nobody is there to take the output
    this.#lost()
  }

  detach(policy: SpoolBounds['policy']): void {
    if (!this.#isOver) void this.link.write(HOST_TAG.detach, encode({ policy } satisfies Detach))
  }

  pause(): void {
    if (!this.#isOver) void this.link.write(HOST_TAG.pause)
  }

  resume(): void {
    if (!this.#isOver) void this.link.write(HOST_TAG.resume)
  }

  hold(): Promise<number | undefined> {
    if (this.#isOver) return Promise.resolve(undefined)
    void this.link.write(HOST_TAG.hold)
    return new Promise((resolve) => {
      this.#held.push(resolve)
      void this.ended.then(() => resolve(undefined))
    })
  }

  async #read(): Promise<void> {
    try {
      for (let frame = await this.link.read(); frame !== undefined; frame = await this.link.read()) {
        if (frame.tag === HOST_TAG.ended) return this.#end(bodyOf(Ended, frame))
        const wait = this.#take(frame)
        if (wait !== undefined) await Promise.race([wait, this.#whenLost()])
      }
    } catch {
      // Cut off: the host is gone.
    }
    this.#end(this.on.hostLost(this.started))
  }

  #take(frame: Frame): Promise<void> | undefined {
    const { tag, payload } = frame
    if (tag === HOST_TAG.stdout || tag === HOST_TAG.stderr) return this.#print(tag === HOST_TAG.stdout ? 1 : 2, payload)
    if (tag === HOST_TAG.stdinCredit) this.#credit(bodyOf(StdinCredit, frame))
    else if (tag === HOST_TAG.at) this.on.sink.skipped?.(bodyOf(At, frame).offset)
    else if (tag === HOST_TAG.progress) this.on.sink.progress?.(payload.subarray())
    else if (tag === HOST_TAG.held) this.#held.shift()?.(bodyOf(Held, frame).offset)
    return undefined
  }

  #print(fd: 1 | 2, payload: Frame['payload']): Promise<void> | undefined {
    if (this.#isLost) return undefined
    try {
      return this.on.sink.output(fd, payload)?.catch(() => this.stop('lost'))
    } catch {
      this.stop('lost')
      return undefined
    }
  }

  #credit(_credit: StdinCredit): void {
    this.#credits.shift()?.()
  }

  #whenLost(): Promise<void> {
    if (this.#isLost) return Promise.resolve()
    return new Promise((resolve) => {
      this.#lost = resolve
    })
  }

  #end(ended: Ended): void {
    this.#isOver = true
    for (const go of this.#credits.splice(0)) go()
    this.#resolve(ended)
    void this.link.end().catch(() => undefined)
  }
}

export function bodyOf<S extends Parameters<typeof decodeAs>[0]>(schema: S, { payload }: Frame): ReturnType<typeof decodeAs<S>> {
  return decodeAs(schema, payload.subarray(), HOST.maxFrameBytes)
}

export function hostGone(): ErrandError {
  return new ErrandError('SPAWN_FAILED', 'the exec-host of this node is gone', { hint: 'try again: the node starts a new one', retryable: true })
}

/** The output that arrives on a conversation, until the host says that this is all for now. */
export async function* printedOn(link: FrameLink, from: number): AsyncGenerator<Printed> {
  let offset = from
  try {
    for (let frame = await link.read(); frame !== undefined; frame = await link.read()) {
      const { tag, payload } = frame
      if (tag === HOST_TAG.failed) throw fromWire(bodyOf(Failed, frame))
      if (tag === HOST_TAG.held) return
      if (tag === HOST_TAG.at) offset = bodyOf(At, frame).offset
      if (tag !== HOST_TAG.stdout && tag !== HOST_TAG.stderr) continue
      yield { fd: tag === HOST_TAG.stdout ? 1 : 2, bytes: payload.subarray(), offset }
      offset += payload.byteLength
    }
  } finally {
    await link.end().catch(() => undefined)
  }
}
