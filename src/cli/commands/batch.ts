/** `errand batch`: command after command, a line each, over one warm connection. What they print and how they end comes as they end. */
import { asErrand, ErrandError, type WireError } from '../../base/errors.ts'
import { socketPathOf } from '../../base/paths.ts'
import { type ExecOutcome, warm } from '../../local/client.ts'
import { linesIn, MAX_LINE_BYTES } from '../batch/input.ts'
import { type Job, type LineId, readLine } from '../batch/line.ts'
import type { Context } from '../context.ts'
import { EXIT, exitCodeOfError, exitCodeOfOutcome, exitCodeOfSignal } from '../exitcodes.ts'
import { clean } from '../render.ts'
import { drained, Unread } from '../writer.ts'

export interface BatchOptions {
  readonly maxParallel?: number
  readonly maxOutput?: number
}

/** Of what one command prints. Every command that runs may hold so much here. */
const MAX_OUTPUT_BYTES = 1 << 20

type Warm = ReturnType<typeof warm>

export async function batch(context: Context, device: string | undefined, options: BatchOptions): Promise<number> {
  const to = { socketPath: socketPathOf(context.home), ...(context.session === undefined ? {} : { session: context.session }) }
  await context.client.status() // a node that is not there is told once, and not of every line
  const batch = new Batch(context, warm(to), options)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => batch.stop(exitCodeOfSignal(signal)))
  try {
    return await batch.run(process.stdin, device)
  } catch (thrown) {
    if (thrown instanceof Unread) return EXIT.unread
    throw thrown
  }
}

class Batch {
  readonly #going = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  readonly #abandon = new AbortController()
  #stopped: number | undefined
  #worst = 0
  #written: Promise<void> = Promise.resolve()

  constructor(
    private readonly context: Context,
    private readonly warm: Warm,
    private readonly options: BatchOptions,
  ) {}

  /** The first time asks for the end of what runs and reads on no more, the second leaves. */
  stop(exitCode: number): void {
    if (this.#stop.signal.aborted) this.#abandon.abort()
    this.#stopped ??= exitCode
    this.#stop.abort()
    process.stdin.destroy()
  }

  /** Reads a line only when there is room for its command. */
  async run(input: AsyncIterable<Uint8Array>, device: string | undefined): Promise<number> {
    let n = 0
    const lines = linesIn(input)
    for (;;) {
      const next = await lines.next().catch(() => ({ done: true as const, value: undefined })) // stdin that was taken away is at its end
      if (next.done === true || this.#stop.signal.aborted) break
      await this.#take(next.value, { n: ++n, device })
    }
    await Promise.all(this.#going)
    await this.#written
    this.warm.close()
    return this.#stopped ?? this.#worst
  }

  async #take(text: string | undefined, at: { readonly n: number; readonly device: string | undefined }): Promise<void> {
    const read = text === undefined ? { id: at.n, fault: `a line of more than ${MAX_LINE_BYTES} bytes` } : readLine(text, at)
    if (read === undefined) return
    if ('fault' in read) return await this.#failed(read.id, at.n, new ErrandError('BAD_LINE', `line ${at.n}: ${read.fault}`))
    while (this.#going.size >= (this.options.maxParallel ?? 1)) await Promise.race(this.#going)
    const going: Promise<void> = this.#one(read.job, at.n).finally(() => this.#going.delete(going))
    going.catch(() => this.stop(EXIT.unread)) // whoever read the results has gone
    this.#going.add(going)
  }

  async #one(job: Job, n: number): Promise<void> {
    const { id, stdin, device, command, ...place } = job
    const kept = { 1: [] as Uint8Array[], 2: [] as Uint8Array[] }
    const isLive = !this.context.json && (this.options.maxParallel ?? 1) === 1
    const taker = (fd: 1 | 2) => (chunk: Uint8Array) => (isLive ? drained(fd === 1 ? process.stdout : process.stderr, chunk) : void kept[fd].push(chunk))
    const bound = this.options.maxOutput ?? (isLive ? undefined : MAX_OUTPUT_BYTES)
    try {
      const outcome = await this.warm.exec(
        { ...place, device, command: [...command], ...(bound === undefined ? {} : { maxOutputBytes: bound }) },
        {
          onStdout: taker(1),
          onStderr: taker(2),
          signal: this.#stop.signal,
          abandon: this.#abandon.signal,
          ...(stdin === undefined ? {} : { stdin: once(stdin) }),
        },
      )
      await this.#ended({ id, n }, outcome, kept)
    } catch (thrown) {
      if (thrown instanceof Unread) throw thrown
      await this.#failed(id, n, asErrand(thrown), device)
    }
  }

  async #ended({ id, n }: { id: LineId; n: number }, outcome: ExecOutcome, kept: Record<1 | 2, Uint8Array[]>): Promise<void> {
    const exitCode = exitCodeOfOutcome(outcome)
    this.#worst = Math.max(this.#worst, exitCode)
    const [stdout, stderr] = [Buffer.concat(kept[1]), Buffer.concat(kept[2])]
    if (this.context.json) return await this.#line({ id, ...outcome, exitCode, ...textOf('stdout', stdout), ...textOf('stderr', stderr) })
    await this.#write(process.stdout, stdout)
    await this.#write(process.stderr, stderr)
    if (exitCode !== 0) this.context.say(`errand: line ${n}: ${clean(outcome.device)}: ${outcome.message ?? `${outcome.why} ${exitCode}`}`)
  }

  async #failed(id: LineId, n: number, error: ErrandError, device?: string): Promise<void> {
    const exitCode = error.code === 'BAD_LINE' ? EXIT.usage : exitCodeOfError(error.code)
    this.#worst = Math.max(this.#worst, exitCode)
    if (this.context.json) return await this.#line({ id, line: n, ...(device === undefined ? {} : { device }), exitCode, error: wireOf(error) })
    const where = error.code === 'BAD_LINE' ? '' : `line ${n}: ${device === undefined ? '' : `${clean(device)}: `}`
    this.context.say(`errand: ${where}${error.message}${error.hint === undefined ? '' : `\nhint: ${error.hint}`}`)
  }

  #line(value: object): Promise<void> {
    return this.#write(process.stdout, Buffer.from(`${JSON.stringify(value)}\n`))
  }

  /** One after the other, at the pace of whoever reads. */
  #write(stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return this.#written
    const before = this.#written.catch(() => undefined)
    this.#written = before.then(() => drained(stream, bytes))
    return this.#written
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** Text where the bytes are text, else base64, and which. */
function textOf(name: 'stdout' | 'stderr', bytes: Uint8Array): Readonly<Record<string, string>> {
  try {
    return { [name]: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) }
  } catch {
    return { [name]: Buffer.from(bytes).toString('base64'), [`${name}Encoding`]: 'base64' }
  }
}

function wireOf(error: ErrandError): WireError {
  const { source } = error.fields
  return error.toWire(source === 'device' || source === 'command' ? source : 'errand')
}
