/** One file of a spool, as its writer knows it: where in it what begins at an offset lies, so that a reader far behind need not read what comes before. */
import type { Printed } from '../tasks/ports.ts'
import { HEADER_BYTES, openPlainly, recordsIn } from './spool-files.ts'

/** A reader gets about this much at once; or so many pieces, of output in very small ones. */
const STRETCH_BYTES = 1 << 18
const STRETCH_PIECES = 1 << 14

/** Whole records: `bytes` of the file from `at` on, the first of which begins at `offset` of the output. */
interface Stretch {
  readonly offset: number
  readonly at: number
  bytes: number
  pieces: number
}

export class Segment {
  readonly #stretches: Stretch[] = []

  constructor(
    /** Offset of its first byte. */
    readonly start: number,
    readonly path: string,
  ) {}

  /** These went behind what was there, each with its header. */
  wrote(batch: readonly Printed[]): void {
    for (const { offset, bytes } of batch) {
      const last = this.#stretches.at(-1)
      const size = HEADER_BYTES + bytes.length
      if (last === undefined || last.bytes >= STRETCH_BYTES || last.pieces >= STRETCH_PIECES)
        this.#stretches.push({ offset, at: last === undefined ? 0 : last.at + last.bytes, bytes: size, pieces: 1 })
      else {
        last.bytes += size
        last.pieces++
      }
    }
  }

  /** What follows the offset (all of it lies here or further on), at least a record; undefined when the file is gone. */
  async read(from: number): Promise<Printed[] | undefined> {
    const stretch = this.#stretches.findLast(({ offset }) => offset <= from) ?? this.#stretches[0]
    const file = stretch === undefined ? undefined : await openPlainly(this.path)
    if (stretch === undefined || file === undefined) return undefined
    try {
      const bytes = Buffer.allocUnsafe(stretch.bytes)
      const { bytesRead } = await file.read(bytes, 0, bytes.length, stretch.at)
      return recordsIn(bytes.subarray(0, bytesRead), stretch.offset).filter(({ offset, bytes }) => offset + bytes.length > from)
    } finally {
      await file.close()
    }
  }
}
