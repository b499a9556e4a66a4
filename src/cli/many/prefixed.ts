/** `device | line`, as lines come. Into a pipe exactly as they came; on a terminal without what could repaint it. */
import type { FanEnd, FanOutcome, FanView } from '../../local/client.ts'
import { clean } from '../render.ts'
import { drained } from '../writer.ts'
import { Lines } from './lines.ts'
import type { Report } from './report.ts'
import { shownLine } from './shown.ts'

const STREAMS = { 1: process.stdout, 2: process.stderr } as const

export class Prefixed implements Report {
  #names: readonly string[] = []
  readonly #lines = new Map<string, Lines>()

  constructor(private readonly after: { settled(end: FanEnd): void; ended(outcome: FanOutcome): void; fanned(view: FanView): void }) {}

  fanned(view: FanView): void {
    const names = view.children.map(({ device }) => clean(device))
    const width = Math.max(0, ...names.map((name) => name.length))
    this.#names = process.stdout.isTTY === true ? names.map((name) => name.padEnd(width)) : names
    this.after.fanned(view)
  }

  output(index: number, fd: 1 | 2, bytes: Uint8Array): Promise<void> | undefined {
    const lines = this.#of(index, fd).push(bytes)
    return lines.length === 0 ? undefined : this.#write(index, fd, lines)
  }

  news(): void {}

  async settled(end: FanEnd): Promise<void> {
    for (const fd of [1, 2] as const) {
      const rest = this.#of(end.index, fd).rest()
      if (rest !== undefined) await this.#write(end.index, fd, [rest])
    }
    this.after.settled(end)
  }

  async ended(outcome: FanOutcome): Promise<void> {
    this.after.ended(outcome)
  }

  #of(index: number, fd: 1 | 2): Lines {
    const key = `${index}/${fd}`
    const held = this.#lines.get(key) ?? new Lines()
    this.#lines.set(key, held)
    return held
  }

  #write(index: number, fd: 1 | 2, lines: readonly Uint8Array[]): Promise<void> | undefined {
    const stream = STREAMS[fd]
    const head = Buffer.from(`${this.#names[index] ?? index} | `)
    const end = Buffer.from('\n')
    const shown = (line: Uint8Array): Uint8Array => (stream.isTTY === true ? Buffer.from(shownLine(Buffer.from(line).toString())) : line)
    return drained(stream, Buffer.concat(lines.flatMap((line) => [head, shown(line), end])))
  }
}
