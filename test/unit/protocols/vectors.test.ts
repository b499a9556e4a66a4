/** The golden bytes of hello, join, sync, member, announce and task: what we write today, what we read, and what must be refused. */
import { readFileSync, writeFileSync } from 'node:fs'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { DOMAIN, decodeAs, Envelope, encode } from '../../../protocols/wire.ts'
import { open } from '../../../src/identity/envelope.ts'
import { Identity } from '../../../src/identity/identity.ts'
import { readCode } from '../../../src/runtime/invite-code.ts'
import { filled, golden, SEEDS } from './golden.ts'
import { RECORD_SCHEMA, revived, SCHEMAS } from './shapes.ts'

const FOLDERS = ['member', 'announce', 'hello', 'join', 'sync', 'task', 'call'] as const
const fileOf = (folder: string): URL => new URL(`../../../protocols/${folder}/vectors.json`, import.meta.url)
// The one way to make a file: ERRAND_WRITE_VECTORS=hello npx vitest run test/unit/protocols
const rewritten = FOLDERS.filter((folder) => folder === process.env['ERRAND_WRITE_VECTORS'])
for (const folder of rewritten) writeFileSync(fileOf(folder), `${JSON.stringify(golden[folder], null, 2)}\n`)

const Hex = v.pipe(
  v.string(),
  v.transform((text) => new Uint8Array(Buffer.from(text, 'hex'))),
)
const AnyDomain = v.picklist([DOMAIN.genesis, DOMAIN.membership, DOMAIN.offer, DOMAIN.address, DOMAIN.announce, DOMAIN.order])
const SchemaName = v.pipe(
  v.string(),
  v.check((name) => name in SCHEMAS),
  v.transform((name) => name as keyof typeof SCHEMAS),
)
const Vectors = v.object({
  protocol: v.string(),
  records: v.optional(v.array(v.object({ name: v.string(), domain: AnyDomain, mesh: Hex, signer: v.string(), value: v.unknown(), bytes: Hex })), []),
  badRecords: v.optional(v.array(v.object({ name: v.string(), domain: AnyDomain, mesh: Hex, bytes: Hex, code: v.string() })), []),
  messages: v.optional(v.array(v.object({ name: v.string(), schema: SchemaName, value: v.unknown(), bytes: Hex })), []),
  badMessages: v.optional(v.array(v.object({ name: v.string(), schema: SchemaName, bytes: Hex, code: v.string() })), []),
  badCodes: v.optional(v.array(v.object({ name: v.string(), text: v.string(), code: v.string() })), []),
  code: v.optional(v.object({ text: v.string(), inviter: v.string(), seed: Hex })),
})
const files = FOLDERS.map((folder) => ({ folder, written: JSON.parse(readFileSync(fileOf(folder), 'utf8')) as unknown }))
const all = files.map(({ folder, written }) => ({ folder, ...v.parse(Vectors, written) }))
const each = <T>(pick: (one: (typeof all)[number]) => readonly T[]): (T & { readonly folder: string })[] =>
  all.flatMap((one) => pick(one).map((item) => ({ ...item, folder: one.folder })))

test.each(files)('$folder: what we write today is byte for byte what we wrote when the vectors were made', ({ folder, written }) => {
  expect(JSON.parse(JSON.stringify(golden[folder]))).toEqual(written)
})

test.each(each((one) => one.messages))('$folder: $name is read as it was meant, and written back to the same bytes', ({ schema, value, bytes }) => {
  const { schema: shape, max } = SCHEMAS[schema]
  expect(decodeAs<v.GenericSchema>(shape, bytes, max)).toEqual(revived(value))
  expect(new Uint8Array(encode(revived(value)))).toEqual(bytes) // the encoder makes a Buffer of some lengths
})

test.each(each((one) => one.records))('$folder: $name holds for its domain and mesh, and says what was signed', ({ domain, mesh, value, bytes }) => {
  const { schema } = SCHEMAS[RECORD_SCHEMA[domain]]
  expect(open<v.GenericSchema>(schema, domain, mesh, bytes).value).toEqual(revived(value))
})

test.each(each((one) => one.badMessages))('$folder: refused: $name', ({ schema, bytes, code }) => {
  const { schema: shape, max } = SCHEMAS[schema]
  expect(() => decodeAs<v.GenericSchema>(shape, bytes, max)).toThrowError(expect.objectContaining({ name: code }))
})

test.each(each((one) => one.badRecords))('$folder: refused as a record: $name', ({ domain, mesh, bytes, code }) => {
  const { schema } = SCHEMAS[RECORD_SCHEMA[domain]]
  expect(() => open<v.GenericSchema>(schema, domain, mesh, bytes)).toThrowError(expect.objectContaining({ name: code }))
})

test('the golden invite code carries mesh, key and offer', () => {
  const { code, records } = all.find(({ folder }) => folder === 'join') ?? {}
  expect(readCode(code?.text ?? '')).toMatchObject({ inviter: code?.inviter, offer: revived(records?.[0]?.value), inviteKey: { seed: code?.seed } })
})

test.each(each((one) => one.badCodes))('$folder: no invite code: $name', ({ text, code }) => {
  expect(() => readCode(text)).toThrowError(expect.objectContaining({ code }))
})

test('a message above its cap is refused before it is looked at', () => {
  for (const { schema, max } of Object.values(SCHEMAS)) {
    expect(() => decodeAs<v.GenericSchema>(schema, new Uint8Array(max + 1), max)).toThrowError(expect.objectContaining({ name: 'TOO_LARGE' }))
  }
})

test('what is too large inside a message is refused too: a record of 64 KiB and a byte, a list of held records that no set can have', () => {
  const refused = (schema: v.GenericSchema, value: unknown): void => {
    expect(() => decodeAs(schema, encode(value), 1 << 20)).toThrowError(expect.objectContaining({ name: 'BAD_SHAPE' }))
  }
  refused(Envelope, [1, filled(65_537, 0), new Identity(SEEDS.owner).did, filled(64, 0)])
  refused(SCHEMAS.Pull.schema, { t: 'pull', set: 'members', have: filled((1 << 18) + 1, 0) })
})

test('an unknown field of a message is ignored, so that a minor version can add one', () => {
  for (const { schema, value } of each((one) => one.messages).filter(({ folder }) => folder !== 'task')) {
    const more = encode({ ...(revived(value) as object), later: 1 })
    expect(decodeAs<v.GenericSchema>(SCHEMAS[schema].schema, more, more.length)).toEqual(revived(value))
  }
})
