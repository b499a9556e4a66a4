/** What a command writes to descriptor 3: JSON lines, the newest of each moment handed on. A line that is none is ignored, as is one too long. */
import type { Readable } from 'node:stream'
import type { Clock } from '../base/clock.ts'

const MAX_LINE_BYTES = 4_096
/** Ten reports a second are more than anybody reads; a command may write as many as it likes. */
const EVERY_MS = 100

export function readProgress(source: Readable, clock: Clock, report: (line: Uint8Array) => void): void {
  let rest = Buffer.alloc(0)
  let newest: Buffer | undefined
  let cancel: (() => void) | undefined
  const tell = (): void => {
    cancel = undefined
    if (newest === undefined) return
    report(newest)
    newest = undefined
    cancel = clock.after(EVERY_MS, tell)
  }
  source.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    const end = rest.lastIndexOf(0x0a)
    if (end >= 0) {
      const line = rest.subarray(rest.lastIndexOf(0x0a, end - 1) + 1, end)
      if (line.length <= MAX_LINE_BYTES && isObject(line)) newest = Buffer.from(line)
      rest = Buffer.from(rest.subarray(end + 1))
    }
    if (rest.length > MAX_LINE_BYTES) rest = Buffer.alloc(0)
    if (newest !== undefined && cancel === undefined) tell()
  })
  source.on('error', () => undefined)
  source.on('end', () => {
    cancel?.()
    tell()
    cancel?.()
  })
}

function isObject(line: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(line.toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}
