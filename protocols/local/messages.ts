/** The local API's words: requests, checked at the door. Answers are in answers.ts and come from here too. See README.md beside this file. */
import * as v from 'valibot'
import { Limits } from '../task/limits.ts'
import { Context, Terminal } from '../task/messages.ts'
import { Count, List, Text } from '../wire.ts'

export type * from './answers.ts'
export { LOCAL, LOCAL_TAG } from './frames.ts'

export const Duration = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(3_650 * 86_400_000))

export const InviteRequest = v.strictObject({
  name: v.optional(Text(64)),
  mine: v.optional(v.boolean()),
  ask: v.optional(List(Text(1_024), 16)),
  give: v.optional(List(Text(1_024), 16)),
  role: v.optional(Text(64)),
  /** It becomes a guest: it meets the devices that its grants name and learns of no others; it ends with the last of its rights. */
  guest: v.optional(v.boolean()),
  /** The devices on which a guest gets what is given; this one, where none is named. */
  on: v.optional(List(Text(128), 16)),
  /** How long the asked and given rights last. */
  forMs: v.optional(Duration),
  /** How long the code can be used. */
  expiresMs: v.optional(Duration),
  /** A short code as well, for a person to type; this device can be found by it until it expires or is tried. */
  short: v.optional(v.boolean()),
  /** Whoever comes waits until somebody on this device has said yes. */
  approve: v.optional(v.boolean()),
})
export type InviteRequest = v.InferOutput<typeof InviteRequest>

export const JoinRequest = v.strictObject({ code: Text(16_384), name: v.optional(Text(64)), via: v.optional(List(Text(512), 16)) })
export type JoinRequest = v.InferOutput<typeof JoinRequest>

/** A short code, as it was typed. Without `via` the inviter is looked for on the local network. */
export const PairRequest = v.strictObject({ code: Text(256), name: v.optional(Text(64)), via: v.optional(List(Text(512), 16)) })
export type PairRequest = v.InferOutput<typeof PairRequest>

/** To whoever waits to be let in. */
export const InviteAnswer = v.strictObject({ allow: v.boolean() })
export type InviteAnswer = v.InferOutput<typeof InviteAnswer>

const Label = v.pipe(v.string(), v.minLength(1), v.maxLength(128))

export const ExecRequest = v.strictObject({
  device: Text(128),
  command: v.pipe(v.array(Text(131_072)), v.minLength(1), v.maxLength(1_024)),
  cwd: v.optional(Text(4_096)),
  env: v.optional(v.record(Text(256), Text(32_768))),
  user: v.optional(Text(256)),
  timeoutMs: v.optional(Duration),
  /** Bytes of stdout and stderr together, after which it is ended. */
  maxOutputBytes: v.optional(v.pipe(Count, v.minValue(1))),
  /** What it is held to, beside what its right says: these can only be narrower. */
  limits: v.optional(Limits),
  stdin: v.optional(v.boolean()),
  /** A terminal for the command; `terminal` says which, else it is a plain one. */
  tty: v.optional(v.boolean()),
  terminal: v.optional(Terminal),
  id: v.optional(v.pipe(v.string(), v.uuid())),
  // What comes back with the task.
  idempotent: v.optional(v.boolean()),
  description: v.optional(Text(4_096)),
  input: v.optional(Text(65_536)),
  prompt: v.optional(Text(65_536)),
  agent: v.optional(Label),
  session: v.optional(Label),
  parent: v.optional(v.pipe(v.string(), v.uuid())),
  metadata: v.optional(v.pipe(v.record(Text(128), Text(1_024)), v.maxEntries(64))),
  context: v.optional(Context),
})
export type ExecRequest = v.InferOutput<typeof ExecRequest>

/** Whether a command would run, and why. Without a command: what there is of the way to the device, and of rights on it. */
export const WhyRequest = v.strictObject({
  device: Text(128),
  command: v.optional(v.pipe(v.array(Text(131_072)), v.minLength(1), v.maxLength(1_024))),
  cwd: v.optional(Text(4_096)),
  /** Names only: values decide nothing. */
  env: v.optional(List(Text(256), 256)),
  user: v.optional(Text(256)),
  timeoutMs: v.optional(Duration),
  tty: v.optional(v.boolean()),
  stdin: v.optional(v.boolean()),
  limits: v.optional(Limits),
})
export type WhyRequest = v.InferOutput<typeof WhyRequest>

/** Output of a task: on the exec face, in place of a request. */
export const AttachRequest = v.strictObject({
  task: Text(64),
  /** Offset of the first byte that is wanted; stdout and stderr share one. Default 0. */
  from: v.optional(Count),
  /** False: what there is by now. Default true. */
  follow: v.optional(v.boolean()),
  /** What is typed goes to its terminal; only from the device that submitted it. */
  input: v.optional(v.boolean()),
})
export type AttachRequest = v.InferOutput<typeof AttachRequest>

/** Updates of tasks: on the WebSocket face, in place of a request. */
export const WatchRequest = v.strictObject({
  /** Of the last update that was seen; without it the state comes first. */
  cursor: v.optional(Count),
})
export type WatchRequest = v.InferOutput<typeof WatchRequest>

export const GrantRequest = v.strictObject({
  who: Text(128),
  on: Text(128),
  can: v.pipe(v.array(Text(1_024)), v.minLength(1), v.maxLength(16)),
  forMs: Duration,
  /** Not before this time; milliseconds since the epoch. */
  fromMs: v.optional(Count),
  /** False: whoever gets the grant may not hand it on. Default true. */
  passOn: v.optional(v.boolean()),
  /** How old the device's knowledge of revocations may be for the grant to count there. Default: by what is done. */
  maxStalenessMs: v.optional(Duration),
  /** True: nothing is signed; the answer says in words what would be, with an empty CID. */
  whatIf: v.optional(v.boolean()),
})
export type GrantRequest = v.InferOutput<typeof GrantRequest>

/** A UCAN 0.8 JWT. Without `agreed` it is read, proven and shown, and nothing is signed. */
export const ImportGrantRequest = v.strictObject({ token: Text(20_000), agreed: v.optional(v.boolean()) })
export type ImportGrantRequest = v.InferOutput<typeof ImportGrantRequest>

/** A grant by its CID, or 6 characters at least of its beginning or end. */
export const ExportGrantRequest = v.strictObject({ grant: Text(128), format: v.literal('jwt') })
export type ExportGrantRequest = v.InferOutput<typeof ExportGrantRequest>

export const RevokeRequest = v.strictObject({
  grant: v.optional(Text(128)),
  on: v.optional(Text(128)),
  can: v.optional(Text(1_024)),
  to: v.optional(Text(128)),
  /** True: nothing is revoked; the answer says what would be. */
  whatIf: v.optional(v.boolean()),
})
export type RevokeRequest = v.InferOutput<typeof RevokeRequest>

/** Where the node listens from now on; kept in its config. */
export const ListenRequest = v.strictObject({ preset: v.picklist(['local', 'lan', 'internet']) })
export type ListenRequest = v.InferOutput<typeof ListenRequest>

export const DownRequest = v.strictObject({ drainMs: v.optional(Duration) })
export type DownRequest = v.InferOutput<typeof DownRequest>

const Timestamp = v.pipe(v.string(), v.isoTimestamp())
export const AuditQuery = v.strictObject({
  device: v.optional(Text(128)),
  actor: v.optional(Text(128)),
  action: v.optional(Text(64)),
  task: v.optional(Text(64)),
  session: v.optional(Text(64)),
  since: v.optional(Timestamp),
  until: v.optional(Timestamp),
  limit: v.optional(Count),
})
export type AuditQuery = v.InferOutput<typeof AuditQuery>
