/** CBOR by hand, for bytes that no encoder of ours would make. */
const BREAK = Uint8Array.of(0xff)

export const joined = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts))

/** The head of an item; `wide` takes more bytes for its number than it needs. */
export function head(major: number, n: number, wide = false): Uint8Array {
  if (wide) return Uint8Array.of((major << 5) | 25, n >> 8, n & 0xff)
  if (n < 24) return Uint8Array.of((major << 5) | n)
  return n < 256 ? Uint8Array.of((major << 5) | 24, n) : Uint8Array.of((major << 5) | 25, n >> 8, n & 0xff)
}

export const rawText = (text: string, wide = false): Uint8Array => joined(head(3, Buffer.byteLength(text), wide), Buffer.from(text))
export const rawBytes = (bytes: Uint8Array): Uint8Array => joined(head(2, bytes.length), bytes)
export const rawList = (...items: readonly Uint8Array[]): Uint8Array => joined(head(4, items.length), ...items)
/** Entries stay in the order given, also twice. */
export const rawMap = (...entries: readonly (readonly [string, Uint8Array])[]): Uint8Array =>
  joined(head(5, entries.length), ...entries.flatMap(([key, value]) => [rawText(key), value]))
export const openList = (...items: readonly Uint8Array[]): Uint8Array => joined(Uint8Array.of(0x9f), ...items, BREAK)
/** A double; NaN and whole numbers included. */
export function rawDouble(value: number): Uint8Array {
  const bytes = new Uint8Array(9)
  bytes[0] = 0xfb
  new DataView(bytes.buffer).setFloat64(1, value)
  return bytes
}
/** 2.0 in two bytes. */
export const HALF_TWO = Uint8Array.of(0xf9, 0x40, 0x00)
export const UNDEFINED = Uint8Array.of(0xf7)
