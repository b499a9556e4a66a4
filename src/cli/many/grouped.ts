/**
 * The output of each device in one piece, when it has ended, under its name. What is more than may be held here is read again from the device
 * when its turn comes: a device keeps what its tasks print.
 */
import type { FanEnd, FanOutcome, FanView } from '../../local/client.ts'
import type { Context } from '../context.ts'
import { clean } from '../render.ts'
import { drained } from '../writer.ts'
import { Lines } from './lines.ts'
import type { Report } from './report.ts'
import { shownLine } from './shown.ts'

const HELD_BYTES = 64 << 20
const HELD_BYTES_EACH = 1 << 20
const STREAMS = { 1: process.stdout, 2: process.stderr } as const

type Fd = 1 | 2

interface Held {
  readonly pieces: { readonly fd: Fd; readonly bytes: Uint8Array }[]
  bytes: number
  /** More came than is held. */
  isCut: boolean
}

/** What else is on the terminal, and has to make room. */
export interface Beside {
  fanned(view: FanView): void
  news(index: number, news: string): void
  settled(end: FanEnd): void
  ended(outcome: FanOutcome): void
  /** Takes itself away until the promise is done. */
  aside(write: () => Promise<void>): Promise<void>
}

export class Grouped implements Report {
  readonly #held = new Map<number, Held>()
  #eachBytes = HELD_BYTES_EACH
  #turn: Promise<void> = Promise.resolve()

  constructor(
    private readonly context: Pick<Context, 'client' | 'say' | 'paint'>,
    private readonly beside: Beside,
  ) {}

  fanned(view: FanView): void {
    this.#eachBytes = Math.min(HELD_BYTES_EACH, Math.floor(HELD_BYTES / Math.max(1, view.children.length)))
    this.beside.fanned(view)
  }

  output(index: number, fd: Fd, bytes: Uint8Array): undefined {
    const held = this.#held.get(index) ?? { pieces: [], bytes: 0, isCut: false }
    this.#held.set(index, held)
    held.isCut ||= held.bytes + bytes.length > this.#eachBytes
    if (held.isCut) return
    held.pieces.push({ fd, bytes })
    held.bytes += bytes.length
  }

  news(index: number, news: string): void {
    this.beside.news(index, news)
  }

  settled(end: FanEnd): Promise<void> {
    this.beside.settled(end)
    const held = this.#held.get(end.index)
    this.#held.delete(end.index)
    if (held === undefined || (held.bytes === 0 && !held.isCut)) return this.#turn
    this.#turn = this.#turn.then(() => this.beside.aside(() => this.#show(end, held)))
    return this.#turn
  }

  async ended(outcome: FanOutcome): Promise<void> {
    await this.#turn
    this.beside.ended(outcome)
  }

  async #show({ device, task }: FanEnd, held: Held): Promise<void> {
    const block = new Block(clean(device), this.context.paint.dim)
    for (const { fd, bytes } of held.pieces) await block.write(fd, bytes)
    if (held.isCut) await this.#showRest(task, held, block)
    await block.end()
  }

  async #showRest(task: string, held: Held, block: Block): Promise<void> {
    const onSkipped = (bytes: number): void => this.context.say(`errand: ${bytes} bytes of output are not kept any more (deployment.spoolBytes)`)
    await this.context.client.attach(
      { task, from: held.bytes },
      { onStdout: (chunk) => block.write(1, chunk), onStderr: (chunk) => block.write(2, chunk), onSkipped },
    )
  }
}

/** One device's output: its name above it, once on each stream, and an end of line behind it. */
class Block {
  readonly #headed = new Set<unknown>()
  readonly #open: Record<Fd, boolean> = { 1: false, 2: false }
  readonly #lines: Record<Fd, Lines> = { 1: new Lines(), 2: new Lines() }

  constructor(
    private readonly name: string,
    private readonly dim: (text: string) => string,
  ) {}

  async write(fd: Fd, bytes: Uint8Array): Promise<void> {
    const stream = STREAMS[fd]
    await this.#head(fd)
    if (stream.isTTY !== true) {
      this.#open[fd] = bytes.at(-1) !== 0x0a
      return await drained(stream, bytes)
    }
    for (const line of this.#lines[fd].push(bytes)) await this.#line(fd, line)
  }

  async end(): Promise<void> {
    for (const fd of [1, 2] as const) {
      const rest = this.#lines[fd].rest()
      if (rest !== undefined) await this.#line(fd, rest)
      if (this.#open[fd]) await drained(STREAMS[fd], '\n')
    }
  }

  async #line(fd: Fd, line: Uint8Array): Promise<void> {
    await drained(STREAMS[fd], `${shownLine(Buffer.from(line).toString())}\n`)
  }

  async #head(fd: Fd): Promise<void> {
    const stream = STREAMS[fd]
    const place = stream.isTTY === true ? 'terminal' : fd // on a terminal both are one place
    if (this.#headed.has(place)) return
    this.#headed.add(place)
    const head = `── ${this.name} ──`
    await drained(stream, `${stream.isTTY === true ? this.dim(head) : head}\n`)
  }
}
