/**
 * The files of a spool: segments named by the offset of their first byte, each a row of records `fd ‖ length ‖ bytes`.
 * Reads them whoever wrote them: the host for a late reader, the daemon when the host is long gone. Writes nothing.
 */
import { constants } from 'node:fs'
import { type FileHandle, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Printed } from '../tasks/ports.ts'
import { errnoOf } from './resolve.ts'

/** A segment is dropped whole, so the cap of a spool is kept to this. */
export const SEGMENT_BYTES = 1 << 22
export const HEADER_BYTES = 5
const READ_BYTES = 1 << 18
const NAME = /^\d{16}$/

export function segmentName(start: number): string {
  return String(start).padStart(16, '0')
}

export function headerOf({ fd, bytes }: Printed): Uint8Array {
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  header[0] = fd
  header.writeUInt32LE(bytes.length, 1)
  return header
}

/**
 * What the files hold from an offset on, in order; ends at the last whole record. Output that is no longer there is skipped: the
 * first piece then has a higher offset than was asked for.
 */
export async function* readSpool(directory: string, from: number): AsyncGenerator<Printed> {
  let at = from
  for (let start = await segmentFor(directory, at); start !== undefined; start = await segmentAfter(directory, start)) {
    const file = await openPlainly(join(directory, segmentName(start)))
    if (file === undefined) continue // dropped since it was listed
    try {
      at = Math.max(at, start)
      for await (const printed of recordsOf(file, start)) {
        if (printed.offset + printed.bytes.length <= at) continue
        yield printed.offset >= at ? printed : { ...printed, bytes: printed.bytes.subarray(at - printed.offset), offset: at }
        at = printed.offset + printed.bytes.length
      }
    } finally {
      await file.close()
    }
  }
}

async function* recordsOf(file: FileHandle, start: number): AsyncGenerator<Printed> {
  let rest: Buffer = Buffer.alloc(0)
  let offset = start
  for (;;) {
    for (const printed of recordsIn(rest, offset)) {
      yield printed
      offset += printed.bytes.length
      rest = rest.subarray(HEADER_BYTES + printed.bytes.length)
    }
    const more = Buffer.allocUnsafe(READ_BYTES)
    const { bytesRead } = await file.read(more, 0, READ_BYTES)
    // A record longer than a segment is none of ours: what follows cannot be told apart.
    if (bytesRead === 0 || rest.length > SEGMENT_BYTES) return
    rest = rest.length === 0 ? more.subarray(0, bytesRead) : Buffer.concat([rest, more.subarray(0, bytesRead)])
  }
}

/** The records that are there whole, the first of which begins at an offset of the output. They share the memory of what they are read from. */
export function recordsIn(bytes: Buffer, start: number): Printed[] {
  const found: Printed[] = []
  for (let at = 0, offset = start; at + HEADER_BYTES <= bytes.length; ) {
    const end = at + HEADER_BYTES + bytes.readUInt32LE(at + 1)
    if (end > bytes.length) break
    const printed: Printed = { fd: bytes[at] === 2 ? 2 : 1, bytes: bytes.subarray(at + HEADER_BYTES, end), offset }
    found.push(printed)
    offset += printed.bytes.length
    at = end
  }
  return found
}

/** A pipe would hold the reader up for ever, and a link leads to a file that the host did not write. */
const PLAINLY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** undefined for what is no file, or none any more. */
export async function openPlainly(path: string): Promise<FileHandle | undefined> {
  try {
    const file = await open(path, PLAINLY)
    if ((await file.stat()).isFile()) return file
    await file.close()
    return undefined
  } catch (cause) {
    if (['ENOENT', 'ELOOP'].includes(errnoOf(cause))) return undefined
    throw cause
  }
}

/** The segment that holds the offset, or else the first one behind it. */
async function segmentFor(directory: string, offset: number): Promise<number | undefined> {
  const starts = await segments(directory)
  return starts.findLast((start) => start <= offset) ?? starts[0]
}

async function segmentAfter(directory: string, start: number): Promise<number | undefined> {
  return (await segments(directory)).find((one) => one > start)
}

async function segments(directory: string): Promise<number[]> {
  try {
    return (await readdir(directory))
      .filter((name) => NAME.test(name))
      .map(Number)
      .sort((a, b) => a - b)
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return []
    throw cause
  }
}
