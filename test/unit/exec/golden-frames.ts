/** What every protocol of tagged frames promises of its vectors: each tag has bytes, we write them, we read them however they are cut, and refuse the bad ones. */
import { readFileSync } from 'node:fs'
import { Uint8ArrayList } from 'uint8arraylist'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { decodeAs, encode, sameBytes } from '../../../protocols/wire.ts'
import { type ByteLink, FrameLink } from '../../../src/base/frames.ts'

const Vectors = v.object({
  protocol: v.string(),
  frames: v.array(v.strictObject({ name: v.string(), tag: v.string(), value: v.optional(v.unknown()), payload: v.string(), frame: v.string() })),
  refused: v.array(v.strictObject({ name: v.string(), tag: v.string(), code: v.string(), payload: v.string() })),
})
type FrameVectors = v.InferOutput<typeof Vectors>

export interface Framed {
  readonly vectors: unknown
  readonly protocol: string
  readonly tags: Readonly<Record<string, number>>
  /** Of the tags whose payload is DAG-CBOR; the others are bytes. */
  readonly schemas: Readonly<Record<string, v.GenericSchema>>
  readonly maxFrameBytes: number
}

export function readVectors(file: string): FrameVectors {
  return v.parse(Vectors, JSON.parse(readFileSync(`protocols/${file}`, 'utf8')))
}

/** Bytes are written `{"$hex": "…"}` in the file. */
export function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive)
  if (typeof value !== 'object' || value === null) return value
  if ('$hex' in value) return Uint8Array.from(Buffer.from(String(value.$hex), 'hex'))
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revive(inner)]))
}

/** A link whose written bytes are kept and whose source is given. */
function link(source: Uint8Array[]): { link: ByteLink; written: Uint8Array[] } {
  const written: Uint8Array[] = []
  const bytes = async function* (): AsyncGenerator<Uint8ArrayList> {
    for (const chunk of source) yield new Uint8ArrayList(chunk)
  }
  return { written, link: { source: bytes(), write: (chunk) => void written.push(chunk.subarray()), end: async () => undefined, abort: () => undefined } }
}

/** Defines the tests. */
export function holdsItsVectors({ vectors: given, protocol, tags, schemas, maxFrameBytes }: Framed): void {
  const vectors = v.parse(Vectors, given)

  test('every tag has golden bytes', () => {
    expect(vectors.protocol).toBe(protocol)
    expect(new Set(vectors.frames.map(({ tag }) => tag))).toEqual(new Set(Object.keys(tags)))
  })

  test.each(vectors.frames)('$name: the bytes are what we write', async ({ tag, value, payload, frame }) => {
    const bytes = schemas[tag] === undefined ? Buffer.from(payload, 'hex') : encode(revive(value))
    expect(Buffer.from(bytes).toString('hex')).toBe(payload)
    const { link: out, written } = link([])
    await new FrameLink(out, maxFrameBytes).write(tags[tag] ?? -1, bytes)
    expect(Buffer.concat(written).toString('hex')).toBe(frame)
  })

  test.each(vectors.frames)('$name: we read the bytes, however they are cut', async ({ tag, value, payload, frame }) => {
    const bytes = Buffer.from(frame, 'hex')
    const read = await new FrameLink(link([...bytes].map((byte) => Uint8Array.of(byte))).link, maxFrameBytes).read()
    expect(read?.tag).toBe(tags[tag])
    expect(sameBytes(read?.payload.subarray() ?? new Uint8Array(), Buffer.from(payload, 'hex'))).toBe(true)
    const schema = schemas[tag]
    if (schema !== undefined) expect(decodeAs(schema, Buffer.from(payload, 'hex'), maxFrameBytes)).toEqual(revive(value))
  })

  test.each(vectors.refused)('$name is refused with $code', ({ tag, code, payload }) => {
    const schema = schemas[tag] ?? expect.unreachable(tag)
    expect(() => decodeAs(schema, Buffer.from(payload, 'hex'), maxFrameBytes)).toThrow(expect.objectContaining({ code }))
  })

  test('a frame longer than the cap is refused before it is buffered', async () => {
    const read = (length: number): Promise<unknown> => new FrameLink(link([varint(length), new Uint8Array(16)]).link, maxFrameBytes).read()
    await expect(read(maxFrameBytes + 1)).rejects.toMatchObject({ code: 'BAD_FRAME', message: expect.stringContaining('too long') })
    // The cap itself, cut short: not refused for its length.
    await expect(read(maxFrameBytes)).rejects.toMatchObject({ code: 'BAD_FRAME', message: expect.not.stringContaining('too long') })
  })
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Uint8Array.from([...bytes, rest])
}
