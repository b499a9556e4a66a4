/** Builds the golden bytes of the exec-host's socket and of its bulk door from fixed values. Made anew only on request; see host-vectors.test.ts. */
import { HOST_TAG } from '../../../protocols/host/messages.ts'
import { encode } from '../../../protocols/wire.ts'
import { offsetBytes } from '../../../src/base/offset.ts'
import { Identity } from '../../../src/identity/identity.ts'

const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
type TagName = keyof typeof HOST_TAG

const device = new Identity(filled(32, 2)).did
const TASK = '019aa3c1-7b2e-7c3d-9f1a-5d2e8c4b9fa2'
const SPEC = { exe: 'git', argv: ['status', '--short'], cwd: '/srv/app', env: { LANG: 'C' }, user: '', timeoutMs: 60_000, maxOutputBytes: 0, stdin: false }
const TERMINAL = { term: 'xterm-256color', columns: 80, rows: 24 }
const WARRANT = { caller: device, challenge: filled(16, 0xc4), invocation: filled(5, 0x11), proofs: [filled(2, 0x22), filled(1, 0x33)] }
const ORDER = { v: 1, task: TASK, spec: SPEC, attached: true, spool: { maxBytes: 64 << 20, policy: 'block' }, warrant: WARRANT }
const TICKET = { task: TASK, id: filled(16, 0xaa), key: filled(32, 0xbb), address: '192.168.1.7' }
const JOB = { task: TASK, pid: 4_711, startTime: 1_763_712_000_123, attached: false }
const ENDED = { exitCode: 0, signal: null, why: 'exit', startTime: 1_763_712_000_123, endTime: 1_763_712_000_456, stdoutBytes: 70_000_000, stderrBytes: 0 }

/** CBOR values as the file shows them. */
function legible(value: unknown): unknown {
  if (value instanceof Uint8Array) return { $hex: hex(value) }
  if (Array.isArray(value)) return value.map(legible)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, legible(inner)]))
}

function varint(value: number): number[] {
  return value > 0x7f ? [(value & 0x7f) | 0x80, ...varint(value >>> 7)] : [value]
}

function framed(tag: TagName, payload: Uint8Array): { payload: string; frame: string } {
  return { payload: hex(payload), frame: hex(Uint8Array.from([...varint(payload.length + 1), HOST_TAG[tag], ...payload])) }
}
const said = (name: string, tag: TagName, value: object): object => ({ name, tag, value: legible(value), ...framed(tag, encode(value)) })
const raw = (name: string, tag: TagName, payload: Uint8Array = new Uint8Array()): object => ({ name, tag, ...framed(tag, payload) })
const bad = (name: string, tag: TagName, bytes: Uint8Array, code = 'BAD_SHAPE'): object => ({ name, tag, code, payload: hex(bytes) })
const text = (words: string): Uint8Array => new TextEncoder().encode(words)

export const hostVectors = {
  protocol: 'host',
  frames: [
    said('order: attached, with a warrant', 'order', ORDER),
    said('order: detached, the oldest output goes', 'order', { ...ORDER, attached: false, spool: { maxBytes: 65_536, policy: 'drop-oldest' } }),
    said('order: on a terminal', 'order', { ...ORDER, spec: { ...SPEC, stdin: true, terminal: TERMINAL } }),
    raw('go', 'go'),
    raw('go: what was looked at, and how long it may take', 'go', encode({ file: '/usr/bin/make', cwd: '/srv/app', timeoutMs: 600_000 })),
    raw('go: there was no such program', 'go', encode({ file: null, cwd: '/srv/app' })),
    said('follow: from an offset', 'follow', { v: 1, task: TASK, from: 70_000_000 }),
    said('follow: only the end', 'follow', { v: 1, task: TASK, from: null }),
    said('follow: what there is now', 'follow', { v: 1, task: TASK, from: 0, now: true }),
    said('attend', 'attend', { v: 1 }),
    said('ticket', 'ticket', TICKET),
    said('expel: the reader of a ticket has lost its right', 'expel', { id: TICKET.id }),
    raw('stdin', 'stdin', text('yes\n')),
    raw('stdinEnd', 'stdinEnd'),
    said('stdinCredit', 'stdinCredit', { bytes: 4 }),
    said('resize', 'resize', { columns: 132, rows: 43 }),
    raw('stdout', 'stdout', text('héllo\n')),
    raw('stderr', 'stderr', text('oh\n')),
    said('at: what lies before was dropped', 'at', { offset: 3_000_000 }),
    raw('progress: one JSON object', 'progress', text('{"percent":50}')),
    said('stop', 'stop', { why: 'cancelled' }),
    raw('pause', 'pause'),
    raw('resume', 'resume'),
    said('ended', 'ended', ENDED),
    said('ended: some of the output was dropped', 'ended', { ...ENDED, droppedBytes: 2_891_136 }),
    said('started', 'started', { pid: 4_711, startTime: 1_763_712_000_123 }),
    said('failed', 'failed', { code: 'COMMAND_NOT_FOUND', message: 'gti: command not found', source: 'device' }),
    said('failed: of a version that this host does not speak', 'failed', { code: 'UNSUPPORTED', message: 'version 1, not 2', fields: { version: 1 } }),
    said('attending: one job', 'attending', { v: 1, pid: 4_700, jobs: [JOB] }),
    said('attending: nothing runs', 'attending', { v: 1, pid: 4_700, jobs: [] }),
    said('ticketed', 'ticketed', { id: TICKET.id, port: 40_123 }),
    said('ticketed: nothing can listen there', 'ticketed', { id: TICKET.id, port: null }),
    raw('hold', 'hold'),
    said('held', 'held', { offset: 1_048_577 }),
    raw('alive', 'alive'),
    said('detach: nobody waits for it any more', 'detach', { policy: 'drop-oldest' }),
  ],
  refused: [
    bad('an order without a warrant', 'order', encode(Object.fromEntries(Object.entries(ORDER).filter(([name]) => name !== 'warrant')))),
    bad('an order with a field too many', 'order', encode({ ...ORDER, shell: true })),
    bad('an order with an id that is a path', 'order', encode({ ...ORDER, task: '../escaped' })),
    bad('an order with a spool of 64 KiB less one', 'order', encode({ ...ORDER, spool: { maxBytes: 65_535, policy: 'block' } })),
    bad('an order with a policy that does not exist', 'order', encode({ ...ORDER, spool: { maxBytes: 1 << 20, policy: 'drop-newest' } })),
    bad('an order with a challenge of 15 bytes', 'order', encode({ ...ORDER, warrant: { ...WARRANT, challenge: filled(15, 1) } })),
    bad('an order on a terminal whose kind is a path', 'order', encode({ ...ORDER, spec: { ...SPEC, terminal: { ...TERMINAL, term: '../x' } } })),
    bad('a terminal without columns', 'resize', encode({ columns: 0, rows: 24 })),
    bad('a follow of version 0', 'follow', encode({ v: 0, task: TASK, from: 0 })),
    bad('a follow from before the beginning', 'follow', encode({ v: 1, task: TASK, from: -1 })),
    bad('a ticket with a short key', 'ticket', encode({ ...TICKET, key: filled(16, 1) })),
    bad('a detach to a policy that does not exist', 'detach', encode({ policy: 'drop-newest' })),
    bad('a stop for no reason', 'stop', encode({ why: 'because' })),
    bad('an attend with a trailing byte', 'attend', new Uint8Array([...encode({ v: 1 }), 0]), 'NOT_CBOR'),
  ],
  /** Over TLS: payloads of follow and ended are offsets of 8 bytes. */
  bulk: [
    raw('follow: from 1 MiB and 1', 'follow', offsetBytes(1_048_577)),
    raw('stdout', 'stdout', text('more\n')),
    raw('stderr', 'stderr', text('oh\n')),
    raw('stdout: nothing was printed, and the host lives', 'stdout'),
    raw('alive: and so does the reader', 'alive'),
    raw('ended: behind the last byte', 'ended', offsetBytes(70_000_000)),
  ],
}
