/** Caps and names of the local API. Numbers only: a client that starts fast takes them without the schemas. */

export const LOCAL = {
  /** Bumped when a field changes its meaning; a client refuses a node that is newer than it knows. */
  version: 1,
  maxBodyBytes: 1 << 20,
  maxFrameBytes: (1 << 18) + 16,
  /** What the exec face is called in `Upgrade:`. */
  upgrade: 'errand-exec',
} as const

/** Tags of the local exec face. Control payloads are JSON here; output, stdin and their tags are those of /errand/exec/1. */
export const LOCAL_TAG = { request: 0x00, attach: 0x06 } as const
