/** What a command writes to descriptor 3: JSON lines, the newest of each moment handed on. A line that is none is ignored, as is one too long. */
import { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'

const MAX_LINE_BYTES = 4_096
/** Ten reports a second are more than anybody reads; a command may write as many as it likes. */
const EVERY_MS = 100
const [NEWLINE, OPEN, CLOSE] = [0x0a, 0x7b, 0x7d]

export interface Progress {
  /** Resolves when nobody can write any more: the last report is handed on by then. */
  readonly over: Promise<void>
  /** Reads no more. */
  close(): void
}

/** @param fd owned from here on. */
export function readProgress(fd: number, clock: Clock, report: (line: Uint8Array) => void): Progress {
  const source = new Socket({ fd, readable: true, writable: false })
  const lines = new Lines()
  let newest: Uint8Array | undefined
  let cancel: (() => void) | undefined
  const tell = (): void => {
    cancel = undefined
    if (newest === undefined) return
    report(newest)
    newest = undefined
    cancel = clock.after(EVERY_MS, tell)
  }
  source.on('data', (chunk: Buffer) => {
    newest = lines.newestIn(chunk) ?? newest
    if (newest !== undefined && cancel === undefined) tell()
  })
  source.on('error', () => undefined) // 'close' follows
  const over = new Promise<void>((resolve) => source.once('end', resolve).once('close', resolve)).then(() => {
    cancel?.()
    tell()
    cancel?.()
  })
  return { over, close: () => void source.destroy() }
}

class Lines {
  #rest: Buffer = Buffer.alloc(0)
  /** In the middle of a line that is too long already. */
  #isSkipping = false

  /** The last line that ends in the chunk and is a report. */
  newestIn(chunk: Buffer): Uint8Array | undefined {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const first = this.#isSkipping ? bytes.indexOf(NEWLINE) + 1 : 0
    const end = bytes.lastIndexOf(NEWLINE)
    this.#isSkipping = bytes.length - end > MAX_LINE_BYTES || (this.#isSkipping && end < 0)
    this.#rest = this.#isSkipping ? Buffer.alloc(0) : Buffer.from(bytes.subarray(end + 1))
    for (let last = end; last > first; ) {
      const start = bytes.lastIndexOf(NEWLINE, last - 1) + 1
      const line = bytes.subarray(start, last)
      if (start >= first && isReport(line)) return Uint8Array.from(line)
      last = start - 1
    }
    return undefined
  }
}

/** The first look costs nothing: a flood of anything else is not worth a parser. */
function isReport(line: Buffer): boolean {
  if (line.length > MAX_LINE_BYTES || line[0] !== OPEN || line.at(-1) !== CLOSE) return false
  try {
    JSON.parse(line.toString())
    return true // what begins with { and can be parsed is an object
  } catch {
    return false
  }
}
