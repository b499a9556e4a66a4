/** Caps and names of the local API. Numbers only: a client that starts fast takes them without the schemas. */

export const LOCAL = {
  /** Bumped when a field changes its meaning; a client refuses a node that is newer than it knows. */
  version: 1,
  maxBodyBytes: 1 << 20,
  maxFrameBytes: (1 << 18) + 16,
  /** What the exec face is called in `Upgrade:`. */
  upgrade: 'errand-exec',
  /** The WebSocket face: its path, and the subprotocol it answers with when a client offers it. */
  webSocketPath: '/api/runtime/ws',
  subprotocol: 'errand.v1',
} as const

/** Tags of the local exec face and of the WebSocket face. Control payloads are JSON here; output, stdin and their tags are those of /errand/exec/1. */
export const LOCAL_TAG = {
  request: 0x00,
  attach: 0x06,
  /** On the WebSocket face only, as are those below. */
  watch: 0x07,
  update: 0x08,
  /** A forward, and one connection of one; behind them the tags are those of /errand/forward/1. */
  forward: 0x0b,
  carry: 0x0c,
  /** So many more bytes of a connection may be sent to the node. */
  credit: 0x12,
} as const

/** Narrows a request to a session: an id or a name, by whoever is in already. */
export const SESSION_HEADER = 'x-errand-session'
/** What a session's token begins with; it goes where the API's token goes, and lets its bearer into that session alone. */
export const SESSION_TOKEN = 'errs_'
