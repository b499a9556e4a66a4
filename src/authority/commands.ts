/**
 * The closed registry of commands, what covers what, and the closed argument schema of each command that exists.
 * Declare, bound, enforce: every field is required, policies bound the declared values, and the executor enforces exactly those.
 */
import * as v from 'valibot'
import { ApprovalArgs } from '../../protocols/approval/messages.ts'
import { CommandPath, isMap, TokenLink } from '../../protocols/authority/messages.ts'
import { Limits } from '../../protocols/task/limits.ts'
import { DidText, List, Text } from '../../protocols/wire.ts'
import { NetForwardArgs } from './net-args.ts'

export const ARGV_LIMITS = { items: 1_024, bytes: 131_072 } as const
const MAX_PATH_CHARS = 4_096
const MAX_NAME_CHARS = 256

/** Control and format characters (zero width, direction), and what is not NFC: two texts a person cannot tell apart must not both be rights. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u
const noNul = v.check((text: string) => !text.includes('\0'), 'NUL is not allowed')
const Visible = (max: number) =>
  v.pipe(
    Text(max),
    v.check((text) => !UNPRINTABLE.test(text), 'control and invisible characters are not allowed'),
    v.check((text) => text.normalize('NFC') === text, 'only NFC text is allowed'),
  )
const Milliseconds = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

/** '' or an absolute path without `.`, `..`, doubled or trailing slashes: a policy on a prefix must not be walked around. */
const WorkDir = v.pipe(
  Text(MAX_PATH_CHARS),
  noNul,
  v.check(
    (path) =>
      path === '' ||
      path === '/' ||
      (path.startsWith('/') &&
        path
          .slice(1)
          .split('/')
          .every((part) => !['', '.', '..'].includes(part))),
    'cwd is empty or a plain absolute path',
  ),
)

const EnvName = v.pipe(Text(MAX_NAME_CHARS), v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'not a name of an environment variable'))
const Argv = v.pipe(
  List(v.pipe(v.string(), noNul), ARGV_LIMITS.items),
  v.check(
    (argv) => argv.reduce((sum, arg) => sum + Buffer.byteLength(arg), 0) <= ARGV_LIMITS.bytes,
    `arguments have at most ${ARGV_LIMITS.bytes} bytes together`,
  ),
)

export const ExecRunArgs = v.strictObject({
  /** A name to look up, or a path. */
  exe: v.pipe(Visible(MAX_PATH_CHARS), v.minLength(1)),
  argv: Argv,
  /** '' is the home of the node's user. */
  cwd: WorkDir,
  /** Names only; the values travel beside the invocation. Ascending, each once. */
  env: v.pipe(
    List(EnvName, MAX_NAME_CHARS),
    v.check((names) => isAscending(names), 'names are sorted and unique'),
  ),
  /** '' is the node's user. */
  user: Visible(MAX_NAME_CHARS),
  /** 0 is none. */
  timeoutMs: Milliseconds,
  /** 0 is none. */
  maxOutputBytes: Milliseconds,
  tty: v.boolean(),
  stdin: v.boolean(),
  /** Absent: none of its own; those of the right hold in any case. */
  limits: v.exactOptional(Limits),
  task: v.pipe(v.string(), v.regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, 'not a UUID in lower case')),
})
export type ExecRunArgs = v.InferOutput<typeof ExecRunArgs>

export const MeshJoinArgs = v.strictObject({ device: DidText, name: v.pipe(Visible(64), v.minLength(1)) })
export type MeshJoinArgs = v.InferOutput<typeof MeshJoinArgs>

export const RevokeArgs = v.strictObject({ ucan: TokenLink })
export type RevokeArgs = v.InferOutput<typeof RevokeArgs>

const NoArgs = v.strictObject({})

/** About one task; '' is all of them. */
export const TaskArgs = v.strictObject({ task: v.union([v.literal(''), ExecRunArgs.entries.task]) })
export type TaskArgs = v.InferOutput<typeof TaskArgs>

/** What waits for a yes here, and nothing else. */
export const APPROVAL_LIST = '/approval/grant/list'
export const APPROVAL_GRANT = '/approval/grant'

interface Registered {
  /** False: only the device itself may do it; no chain reaches it. */
  readonly delegable: boolean
  /** Absent: the name is reserved, nothing executes it yet. */
  readonly args?: v.GenericSchema<unknown, Readonly<Record<string, unknown>>>
}

const RESERVED: Registered = { delegable: true }
const OWN: Registered = { delegable: false }

const REGISTRY: ReadonlyMap<string, Registered> = new Map<string, Registered>([
  ['/exec/run', { delegable: true, args: ExecRunArgs }],
  ['/net/forward', { delegable: true, args: NetForwardArgs }],
  ['/mesh/join', { delegable: true, args: MeshJoinArgs }],
  ['/ucan/revoke', { delegable: true, args: RevokeArgs }],
  [APPROVAL_GRANT, { delegable: true, args: ApprovalArgs }],
  [APPROVAL_LIST, { delegable: true, args: NoArgs }],
  ['/audit/read', { delegable: true, args: NoArgs }],
  ['/device/info', { delegable: true, args: NoArgs }],
  ...['/task/read', '/task/logs', '/task/cancel', '/task/pause', '/task/resume'].map((name): [string, Registered] => [
    name,
    { delegable: true, args: TaskArgs },
  ]),
  ...[
    ...['/exec/tty', '/exec/signal', '/task/submit', '/agent/list', '/agent/invoke', '/agent/configure'],
    ...['/skill/list', '/skill/execute', '/skill/install', '/file/read', '/file/write', '/file/delete', '/file/list', '/net/relay'],
    ...['/config/read', '/config/write', '/audit/export', '/session/open'],
  ].map((name): [string, Registered] => [name, RESERVED]),
  ...['/mesh/rotate-root', '/device/set-trust', '/audit/purge'].map((name): [string, Registered] => [name, OWN]),
])

/** True when a right to `parent` is a right to `child`, segment by segment: `/exec` covers `/exec/run`, `/exec/run` never `/exec/run-as-root`. Any commands. */
export function coversPath(parent: string, child: string): boolean {
  return parent === '/' || parent === child || child.startsWith(`${parent}/`)
}

/** As `coversPath`, and the child can be handed on at all: it leads to a registered delegable command. */
export function covers(parent: string, child: string): boolean {
  return coversPath(parent, child) && isDelegable(child)
}

/** A registered command or a path above some, none of them reserved to the device itself when named outright. */
export function isDelegable(command: string): boolean {
  const exact = REGISTRY.get(command)
  if (exact !== undefined) return exact.delegable
  return isCommandPath(command) && [...REGISTRY].some(([name, { delegable }]) => delegable && coversPath(command, name))
}

export function isCommandPath(text: string): boolean {
  return v.is(CommandPath, text)
}

export type CheckedArgs = { readonly ok: true } | { readonly ok: false; readonly code: 'UNKNOWN_COMMAND' | 'BAD_ARGS'; readonly detail: string }

/** Checks arguments against the closed schema of their command. */
export function checkArgs(command: string, args: unknown): CheckedArgs {
  const schema = REGISTRY.get(command)?.args
  if (schema === undefined) return { ok: false, code: 'UNKNOWN_COMMAND', detail: `this device does not know the command ${command}` }
  if (!isMap(args)) return { ok: false, code: 'BAD_ARGS', detail: 'arguments are a map' }
  const seen = v.safeParse(schema, args)
  if (seen.success) return { ok: true }
  const [issue] = seen.issues
  return { ok: false, code: 'BAD_ARGS', detail: `${command} ${v.getDotPath(issue) ?? 'arguments'}: ${issue.message}` }
}

function isAscending(names: readonly string[]): boolean {
  return names.every((name, i) => i === 0 || name > (names[i - 1] ?? ''))
}
