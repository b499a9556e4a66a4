/** Ids, caps and frame tags of `/errand/forward/1`. Numbers only: a client takes them without the schemas. */

export const FORWARD = {
  ids: ['/errand/forward/1'],
  /** An invocation and eight proofs fit one frame. */
  maxFrameBytes: 1 << 17,
  maxDataBytes: 1 << 16,
  /** How long a device waits for the first frame of a stream. */
  openMs: 10_000,
  /** How long an executor tries to connect, and a dialer may take to answer what came in. */
  connectMs: 10_000,
  streamsPerPeer: 256,
  /** Forwards of one peer that stay. */
  forwardsPerPeer: 32,
  /** Connections at once: of one forward, and of all on one device. */
  connectionsPerForward: 64,
  connectionsPerDevice: 1_024,
} as const

/** A tag once used is never given a second meaning. */
export const FORWARD_TAG = {
  open: 0x01,
  accepted: 0x02,
  refused: 0x03,
  connect: 0x04,
  incoming: 0x05,
  connected: 0x06,
  data: 0x10,
  end: 0x11,
  ended: 0x3f,
} as const

export const FORWARD_WHY = ['closed', 'reset', 'revoked', 'lost', 'stopped'] as const
export type ForwardWhy = (typeof FORWARD_WHY)[number]
