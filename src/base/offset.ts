/** An offset as 8 bytes, most significant first: for frames that a client reads without a CBOR decoder. */

export function offsetBytes(offset: number): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(offset))
  return bytes
}

/** @throws RangeError for anything but 8 bytes of a safe integer. */
export function offsetIn(bytes: Uint8Array): number {
  const offset = Number(Buffer.from(bytes).readBigUInt64BE())
  if (bytes.length !== 8 || !Number.isSafeInteger(offset)) throw new RangeError('not an offset')
  return offset
}
