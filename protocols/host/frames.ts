/** Tags and caps of the exec-host's socket. Numbers only. Tags that `/errand/exec/1` has too mean the same here. */

export const HOST = {
  /** Of the words below. A daemon speaks to hosts of this version and of those before it; a host refuses a version that it does not know. */
  version: 1,
  /** A request of `/errand/exec/1` and the command read out of it fit; output comes in pieces of 64 KiB. */
  maxFrameBytes: 1 << 19,
  /** How long a host waits for the first frame of a connection, and for `go` after an order. */
  openMs: 30_000,
  /** Without a reader an attached command blocks on its output; after this it is ended. Longer than a daemon waits for the caller: the host decides where there is none. */
  graceMs: 130_000,
} as const

export const HOST_TAG = {
  order: 0x01,
  go: 0x02,
  follow: 0x03,
  attend: 0x04,
  ticket: 0x05,
  expel: 0x06,
  stdin: 0x10,
  stdinEnd: 0x11,
  stdinCredit: 0x12,
  resize: 0x13,
  stdout: 0x20,
  stderr: 0x21,
  at: 0x22,
  progress: 0x23,
  stop: 0x30,
  pause: 0x31,
  resume: 0x32,
  ended: 0x3f,
  started: 0x41,
  failed: 0x42,
  attending: 0x43,
  ticketed: 0x44,
  hold: 0x45,
  held: 0x46,
  alive: 0x47,
  detach: 0x48,
} as const

/**
 * The bulk door: TLS 1.3 with a pre-shared key for one reader of one task. Offsets there are 8 bytes, most significant first. Both sides
 * show every second that they live: the host by an empty `stdout` frame when it sends nothing else, the reader by `alive`.
 */
export const BULK = {
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256',
  maxFrameBytes: 1 << 19,
  /** From the ticket to the reader's first byte. */
  ticketMs: 10_000,
  handshakeMs: 5_000,
  maxTickets: 256,
  maxConnections: 512,
  /** A stream is moved there when a command has printed this much. */
  afterBytes: 1 << 20,
} as const
