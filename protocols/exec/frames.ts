/** Ids, caps and frame tags of `/errand/exec/1`. Numbers only: a client that starts fast takes them without the schemas. */

export const EXEC = {
  ids: ['/errand/exec/1'],
  /** 256 KiB of output and the tag fit one frame. */
  maxFrameBytes: (1 << 18) + 16,
  /** How long an executor waits for the first frame of a stream. */
  openMs: 10_000,
  /** Bytes of stdin that may be on their way before the executor has consumed them. */
  stdinWindowBytes: 1 << 18,
  streamsPerPeer: 256,
} as const

/** Frame tags. A tag once used is never given a second meaning. */
export const TAG = {
  open: 0x01,
  accepted: 0x02,
  refused: 0x03,
  attach: 0x04,
  queued: 0x05,
  waits: 0x09,
  mandate: 0x0a,
  stdin: 0x10,
  stdinEnd: 0x11,
  stdinCredit: 0x12,
  resize: 0x13,
  detach: 0x14,
  detached: 0x15,
  stdout: 0x20,
  stderr: 0x21,
  at: 0x22,
  cancel: 0x30,
  ended: 0x3f,
  bulk: 0x40,
  bulkTake: 0x41,
  bulkMoved: 0x42,
  resumeAt: 0x43,
  /** From a node to its own client only: the line was cut and is back; what is read elsewhere may be dead without a word. */
  lineBack: 0x44,
  /** The same: the line was cut just now, and is dialled anew. */
  lineDown: 0x45,
} as const
