/**
 * The law of the wire: strict DAG-CBOR, caps before work, signed envelopes, and the one list of signature domains.
 * Holds no keys and no cryptography; `src/identity` signs and verifies what this file lays out.
 */
import * as dagCbor from '@ipld/dag-cbor'
import * as v from 'valibot'

/** Every signature is over `domain ‖ 0x00 ‖ mesh id ‖ bytes`, so that no signed thing can ever stand for another. */
export const DOMAIN = {
  genesis: 'errand genesis v1',
  membership: 'errand membership v1',
  offer: 'errand invite offer v1',
  address: 'errand address v1',
  announce: 'errand announce v1',
  auditHead: 'errand audit head v1',
  order: 'errand order v1',
  owners: 'errand owners v1',
  ownerCard: 'errand owner card v1',
  succession: 'errand succession v1',
} as const
export type Domain = (typeof DOMAIN)[keyof typeof DOMAIN]

export const MESH_ID_BYTES = 32
/** Stands in for the mesh id where there is none yet: in the genesis document itself. */
export const NO_MESH = new Uint8Array(MESH_ID_BYTES)

/** Why bytes were refused at a door. `TOO_LARGE` is decided before anything is decoded. */
export class BadBytes extends Error {
  constructor(
    readonly code: 'TOO_LARGE' | 'NOT_CBOR' | 'NOT_CANONICAL' | 'BAD_SHAPE',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = code
  }
}

export function encode(value: unknown): Uint8Array {
  return dagCbor.encode(value)
}

/**
 * Decodes one canonical DAG-CBOR value. `@ipld/dag-cbor` accepts unsorted keys and short floats,
 * so whatever does not encode back to the very same bytes is refused.
 * @throws BadBytes
 */
export function decodeStrict(bytes: Uint8Array, maxBytes: number): unknown {
  if (bytes.length > maxBytes) throw new BadBytes('TOO_LARGE', `${bytes.length} bytes where at most ${maxBytes} are allowed`)
  let value: unknown
  let again: Uint8Array
  try {
    value = dagCbor.decode(bytes)
    again = dagCbor.encode(value)
  } catch (cause) {
    throw new BadBytes('NOT_CBOR', 'these bytes are not DAG-CBOR', { cause })
  }
  if (!sameBytes(bytes, again)) throw new BadBytes('NOT_CANONICAL', 'these bytes are not canonical DAG-CBOR')
  return value
}

/**
 * Decodes bytes and checks them against a schema: the one step between a wire and the inside.
 * @throws BadBytes, naming the first field that does not fit.
 */
export function decodeAs<S extends v.GenericSchema>(schema: S, bytes: Uint8Array, maxBytes: number): v.InferOutput<S> {
  return shapeOf(schema, decodeStrict(bytes, maxBytes))
}

/** Checks an already decoded value against a schema. @throws BadBytes with code BAD_SHAPE. */
export function shapeOf<S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> {
  const seen = v.safeParse(schema, value)
  if (seen.success) return seen.output
  const [issue] = seen.issues
  throw new BadBytes('BAD_SHAPE', `${v.getDotPath(issue) ?? 'value'}: ${issue.message}`)
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}

/** What a signer signs for a payload. */
export function signingInput(domain: Domain, mesh: Uint8Array, payload: Uint8Array): Uint8Array {
  if (mesh.length !== MESH_ID_BYTES) throw new TypeError(`a mesh id has ${MESH_ID_BYTES} bytes`)
  return Buffer.concat([Buffer.from(domain), Buffer.of(0), mesh, payload])
}

// Field schemas that many messages share.
export const DidText = v.pipe(v.string(), v.startsWith('did:key:z6Mk'), v.maxLength(64))
const AnyBytes = v.custom<Uint8Array>((value) => value instanceof Uint8Array, 'bytes expected')
export const Bytes = (max: number) => v.pipe(AnyBytes, v.maxLength(max))
export const ExactBytes = (length: number) => v.pipe(AnyBytes, v.length(length))
export const Text = (max: number) => v.pipe(v.string(), v.maxLength(max))
export const Count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER))
export const List = <S extends v.GenericSchema>(item: S, max: number) => v.pipe(v.array(item), v.maxLength(max))

/** A signed record: version, payload bytes, signer, Ed25519 signature. */
export const Envelope = v.strictTuple([v.literal(1), Bytes(65_536), DidText, ExactBytes(64)])
export type Envelope = v.InferOutput<typeof Envelope>
export const MAX_ENVELOPE_BYTES = 65_536 + 256

/** An error as it crosses a wire. */
export const WireFault = v.object({
  code: Text(64),
  message: Text(4_096),
  hint: v.exactOptional(Text(1_024)),
  source: v.exactOptional(v.picklist(['command', 'device', 'errand'])),
  fields: v.exactOptional(v.record(v.string(), v.unknown())),
})
export type WireFault = v.InferOutput<typeof WireFault>
