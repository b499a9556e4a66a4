/** Caps, words and tags of fan-outs. No schemas, and apart from frames.ts: a client that runs one command needs none of it. */

/** `lost`: nobody knows how it ended. `unreachable`: it never began there. `not-started`: the fan-out was stopped first. */
export const FAN_RESULTS = ['ok', 'failed', 'denied', 'unreachable', 'lost', 'cancelled', 'not-started'] as const
export type FanResult = (typeof FAN_RESULTS)[number]

export const FAN = {
  /** One fan-out: its children stand in one record. */
  maxDevices: 512,
  maxExpressionChars: 1_024,
  /** Without `maxParallel`. Each is a stream to another device, and a process there. */
  parallel: 64,
  /** Conversations at a time on one connection. */
  maxPieces: 256,
  results: FAN_RESULTS,
} as const

/** Tags of the exec face beside those in frames.ts, for whoever asks for many commands at once. */
export const FAN_TAG = {
  /** One command on many devices: `FanRequest`, in place of a request. */
  fan: 0x50,
  fanned: 0x51,
  /** A frame of one of its commands: its index as a varint, then tag and payload. */
  child: 0x52,
  settled: 0x53,
  fanEnded: 0x54,
  /** Many conversations on one connection, in place of a request; then pieces of them, both ways. */
  many: 0x58,
  piece: 0x59,
  pieceEnd: 0x5a,
  pieceGone: 0x5b,
} as const
