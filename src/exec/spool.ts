/**
 * The output of one task, addressed by offset: what was printed last in memory, all of it (up to a cap) in segment files.
 * Stdout and stderr share one order and one offset. Never synced: the host's death ends its tasks, and a power cut those of the device.
 */
import { close, mkdirSync, openSync, unlink, unlinkSync, writev } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Printed } from '../tasks/ports.ts'
import { Segment } from './segment.ts'
import { headerOf, SEGMENT_BYTES, segmentName } from './spool-files.ts'

/** Goes to the file in one write of about this size. */
const FLUSH_BYTES = 1 << 18
/** Printed and not yet in the file: above this the command has to wait for the disk. */
const UNFLUSHED_BYTES = 1 << 20
/** Kept in memory for readers that are nearly there: as much as an attached command may be ahead of its reader, and a chunk of each stream. */
const NEAR_BYTES = 3 << 18
/** The same two bounds for output in very small pieces. */
const FLUSH_PIECES = 1 << 11
const UNFLUSHED_PIECES = 1 << 13

/** Pieces up to this size become one. */
const SMALL_BYTES = 1 << 13

const write = promisify(writev)

export class Spool {
  /** Ascending and without holes: the newest bytes, those that are not in a file among them. */
  #recent: Printed[] = []
  #end = 0
  #flushed = 0
  #segments: Segment[] = []
  #fd: number | undefined
  #flushing: Promise<void> | undefined
  #room: (() => void)[] = []
  /** The last write failed: memory is all there is. */
  #isFailing = false
  #unflushedPieces = 0
  readonly #segmentBytes: number
  readonly #readers = new Set<() => void>()

  /** @param directory made with the first byte that goes into a file. */
  constructor(
    private readonly directory: string,
    private readonly maxBytes: number,
  ) {
    this.#segmentBytes = Math.max(FLUSH_BYTES, Math.min(SEGMENT_BYTES, maxBytes >> 3))
  }

  /** Offset behind the last byte. */
  get end(): number {
    return this.#end
  }

  /** Offset of the oldest byte that can still be read. */
  get start(): number {
    return this.#segments[0]?.start ?? this.#recent[0]?.offset ?? this.#end
  }

  /** Offset of the oldest byte in the files: what is left when memory is gone. */
  get kept(): number {
    return this.#segments[0]?.start ?? this.#end
  }

  /** Takes a chunk over. A promise means: read the command again only when it resolves. */
  append(fd: 1 | 2, bytes: Uint8Array): Promise<void> | undefined {
    this.#keep(fd, bytes)
    this.#end += bytes.length
    if (this.#end - this.#flushed >= FLUSH_BYTES || this.#unflushedPieces >= FLUSH_PIECES) void this.flush()
    else this.#forget()
    for (const wake of this.#readers) wake()
    if (this.#end - this.#flushed < UNFLUSHED_BYTES && this.#unflushedPieces < UNFLUSHED_PIECES) return undefined
    return new Promise((resolve) => this.#room.push(resolve))
  }

  /** Everything printed so far goes to the files. Never rejects: a full disk costs old output, not the command. */
  flush(): Promise<void> {
    if (this.#flushing === undefined && this.#flushed >= this.#end) return Promise.resolve()
    this.#flushing ??= this.#flushAll()
    return this.#flushing
  }

  /** What follows the offset, from memory when it is there, else from the files; at most some chunks. Empty at the end. */
  async read(from: number): Promise<readonly Printed[]> {
    const near = this.near(from)
    if (near !== undefined) return near
    const segment = this.#segments.findLast(({ start }) => start <= from) ?? this.#segments[0]
    const found = await segment?.read(from).catch(() => undefined) // no descriptor left, or a broken disk
    const [first] = found ?? []
    if (found !== undefined && first !== undefined) return [cut(first, from), ...found.slice(1)]
    const isDropped = segment !== undefined && !this.#segments.includes(segment)
    return isDropped ? this.read(from) : this.#recent // the files lost it: the reader sees a gap, the command sees nothing
  }

  /** The same without waiting: undefined when the files have to be asked. */
  near(from: number): readonly Printed[] | undefined {
    if (from >= this.#end) return []
    const [oldest] = this.#recent
    if (oldest === undefined || from < oldest.offset) return undefined
    let low = 0
    let high = this.#recent.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#recent[middle]?.offset ?? 0) <= from) low = middle
      else high = middle - 1
    }
    const [first, ...rest] = this.#recent.slice(low)
    return first === undefined ? [] : [cut(first, from), ...rest]
  }

  /** Calls back after each chunk; the returned function ends that. */
  onGrowth(wake: () => void): () => void {
    this.#readers.add(wake)
    return () => this.#readers.delete(wake)
  }

  async close(): Promise<void> {
    await this.flush()
    if (this.#isFailing) {
      this.#flushed = this.start // there may be room by now
      await this.flush()
    }
    this.#closeFile()
  }

  /** A command that prints byte by byte must not cost an object for each. */
  #keep(fd: 1 | 2, bytes: Uint8Array): void {
    const last = this.#recent.at(-1)
    if (last === undefined || last.fd !== fd || last.bytes.length + bytes.length > SMALL_BYTES) {
      this.#recent.push({ fd, bytes, offset: this.#end })
      this.#unflushedPieces++
    } else this.#recent[this.#recent.length - 1] = { ...last, bytes: Buffer.concat([last.bytes, bytes]) }
  }

  async #flushAll(): Promise<void> {
    while (this.#flushed < this.#end) {
      // Where nothing is in a file, after a failure too, the first one begins with all that memory has.
      const from = this.#segments.length === 0 ? this.start : this.#flushed
      const batch = this.#recent.filter((one) => one.offset + one.bytes.length > from).map((one) => cut(one, from))
      const end = this.#end
      this.#unflushedPieces = 0
      try {
        await this.#write(batch)
        this.#isFailing = false
      } catch {
        this.#giveUp()
      }
      this.#flushed = end
      this.#forget()
      for (const go of this.#room.splice(0)) go()
    }
    this.#flushing = undefined // in this very turn: whoever prints in the next one has to begin anew
  }

  async #write(batch: readonly Printed[]): Promise<void> {
    const [first] = batch
    if (first === undefined) return
    const last = this.#segments.at(-1)
    if (this.#fd === undefined || last === undefined || first.offset - last.start >= this.#segmentBytes) this.#nextSegment(first.offset)
    const parts = batch.flatMap((printed) => [headerOf(printed), printed.bytes])
    await writeAll(this.#fd ?? -1, parts)
    this.#segments.at(-1)?.wrote(batch)
    this.#dropOldest()
  }

  /** A full disk: the files go, which makes room; what is in memory can still be read, and is written when that works again. */
  #giveUp(): void {
    this.#isFailing = true
    this.#closeFile()
    for (const { path } of this.#segments.splice(0)) {
      try {
        unlinkSync(path) // now: the next one may have the same name
      } catch {
        // It was never there, or the disk is beyond that.
      }
    }
  }

  #nextSegment(start: number): void {
    this.#closeFile()
    mkdirSync(this.directory, { recursive: true, mode: 0o700 })
    const path = join(this.directory, segmentName(start))
    this.#fd = openSync(path, 'ax', 0o600)
    this.#segments.push(new Segment(start, path))
  }

  #dropOldest(): void {
    for (;;) {
      const [oldest, next] = this.#segments
      if (oldest === undefined || next === undefined || this.#end - next.start < this.maxBytes) return
      this.#segments.shift()
      unlink(oldest.path, () => undefined)
    }
  }

  #closeFile(): void {
    if (this.#fd !== undefined) close(this.#fd, () => undefined)
    this.#fd = undefined
  }

  /** What is in a file and not near the end leaves memory. */
  #forget(): void {
    const tooMany = this.#isFailing ? 0 : this.#recent.length - FLUSH_PIECES
    const far = this.#end - NEAR_BYTES
    let gone = 0
    for (const { offset, bytes } of this.#recent) {
      const end = offset + bytes.length
      if (end > this.#flushed || (end > far && gone >= tooMany)) break
      gone++
    }
    if (gone > 0) this.#recent = this.#recent.slice(gone)
  }
}

async function writeAll(fd: number, parts: readonly Uint8Array[]): Promise<void> {
  for (let rest = parts; rest.length > 0; ) {
    const { bytesWritten } = await write(fd, rest)
    rest = behind(rest, bytesWritten)
  }
}

/** What is left of the parts behind so many of their bytes. */
function behind(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let at = 0
  let left = bytes
  for (let part = parts[0]; part !== undefined && left >= part.length; part = parts[at]) {
    left -= part.length
    at++
  }
  const [first, ...rest] = parts.slice(at)
  return first === undefined ? [] : [first.subarray(left), ...rest]
}

function cut(printed: Printed, from: number): Printed {
  return printed.offset >= from ? printed : { ...printed, bytes: printed.bytes.subarray(from - printed.offset), offset: from }
}
