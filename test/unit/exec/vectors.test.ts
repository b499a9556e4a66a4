/** The golden bytes of /errand/exec/1: every frame as it lies on the wire, and what must be refused. */
import { readFileSync } from 'node:fs'
import { Uint8ArrayList } from 'uint8arraylist'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { Accepted, Ended, EXEC, Open, Refused, StdinCredit, TAG, WHY } from '../../../protocols/exec/messages.ts'
import { decodeAs, encode, sameBytes } from '../../../protocols/wire.ts'
import { type ByteLink, FrameLink } from '../../../src/base/frames.ts'

const Vectors = v.strictObject({
  protocol: v.string(),
  frames: v.array(v.strictObject({ name: v.string(), tag: v.string(), value: v.optional(v.unknown()), payload: v.string(), frame: v.string() })),
  refused: v.array(v.strictObject({ name: v.string(), tag: v.string(), code: v.string(), payload: v.string() })),
})
const vectors = v.parse(Vectors, JSON.parse(readFileSync('protocols/exec/vectors.json', 'utf8')))
const SCHEMA = { open: Open, accepted: Accepted, refused: Refused, stdinCredit: StdinCredit, ended: Ended } as const

const isStructured = (tag: string): tag is keyof typeof SCHEMA => tag in SCHEMA
const tagNamed = (name: string): number => new Map<string, number>(Object.entries(TAG)).get(name) ?? -1

/** Bytes are written `{"$hex": "…"}` in the file. */
function revive(value: unknown): unknown {
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

test('every tag has golden bytes', () => {
  expect(vectors.protocol).toBe(EXEC.ids[0])
  expect(new Set(vectors.frames.map(({ tag }) => tag))).toEqual(new Set(Object.keys(TAG)))
})

test('every reason for an end has golden bytes', () => {
  const reasons = vectors.frames.filter(({ tag }) => tag === 'ended').map(({ value }) => v.parse(v.object({ why: v.string() }), value).why)
  expect(new Set(reasons)).toEqual(new Set(WHY))
})

test.each(vectors.frames)('$name: the bytes are what we write', async ({ tag, value, payload, frame }) => {
  const bytes = isStructured(tag) ? encode(revive(value)) : Buffer.from(payload, 'hex')
  expect(Buffer.from(bytes).toString('hex')).toBe(payload)
  const { link: out, written } = link([])
  await new FrameLink(out, EXEC.maxFrameBytes).write(tagNamed(tag), bytes)
  expect(Buffer.concat(written).toString('hex')).toBe(frame)
})

test.each(vectors.frames)('$name: we read the bytes, however they are cut', async ({ tag, value, payload, frame }) => {
  const bytes = Buffer.from(frame, 'hex')
  const read = await new FrameLink(link([...bytes].map((byte) => Uint8Array.of(byte))).link, EXEC.maxFrameBytes).read()
  expect(read?.tag).toBe(tagNamed(tag))
  expect(sameBytes(read?.payload.subarray() ?? new Uint8Array(), Buffer.from(payload, 'hex'))).toBe(true)
  if (isStructured(tag)) expect(decodeAs(SCHEMA[tag], Buffer.from(payload, 'hex'), EXEC.maxFrameBytes)).toEqual(revive(value))
})

test.each(vectors.refused)('$name is refused with $code', ({ tag, code, payload }) => {
  const schema = isStructured(tag) ? SCHEMA[tag] : expect.unreachable(tag)
  expect(() => decodeAs(schema, Buffer.from(payload, 'hex'), EXEC.maxFrameBytes)).toThrow(expect.objectContaining({ code }))
})

test('a frame longer than the cap is refused before it is buffered', async () => {
  const length = Buffer.from('9180' + '10', 'hex') // varint of maxFrameBytes + 1
  await expect(new FrameLink(link([length, new Uint8Array(16)]).link, EXEC.maxFrameBytes).read()).rejects.toMatchObject({
    code: 'BAD_FRAME',
    message: expect.stringContaining('too long'),
  })
  const allowed = Buffer.from('9080' + '10', 'hex') // the cap itself, cut short: not refused for its length
  await expect(new FrameLink(link([allowed, new Uint8Array(16)]).link, EXEC.maxFrameBytes).read()).rejects.toMatchObject({
    code: 'BAD_FRAME',
    message: expect.not.stringContaining('too long'),
  })
})
