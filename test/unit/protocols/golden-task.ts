/** What of the vocabulary of a task gets golden bytes: commands, submissions, events and ends. */
import { encode } from '../../../protocols/wire.ts'
import { Identity } from '../../../src/identity/identity.ts'
import type { SchemaName } from './shapes.ts'

const NOW_MS = 1_800_000_000_000
const didOf = (fill: number): string => new Identity(new Uint8Array(32).fill(fill)).did
const without = (value: object, key: string): object => Object.fromEntries(Object.entries(value).filter(([name]) => name !== key))

const COMMAND = { exe: 'git', argv: ['status', '--short'], cwd: '/srv/app', env: { LANG: 'C' }, user: '', timeoutMs: 60_000, maxOutputBytes: 0, stdin: false }
const WHEN = { seq: 7, at: NOW_MS }
const SHORT = {
  ...{
    id: '019aa3c1-0000-7000-8000-000000000001',
    device: didOf(2),
    command: ['git', 'status'],
    submittedBy: didOf(3),
    createdAt: NOW_MS,
    detached: false,
  },
}
const SUBMISSION = {
  ...{ ...SHORT, detached: true, idempotent: true, description: 'nightly', input: 'in', prompt: 'fix the build', agent: 'coder', session: 's-1' },
  ...{ parent: '019aa3c1-0000-7000-8000-000000000002', metadata: { team: 'core' }, context: { files: ['a.ts', 1, null, { deep: true }] } },
  ...{ cwd: '/srv/app', user: 'ci', env: ['LANG'], timeoutMs: 60_000, grant: 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy' },
}
const STANDING = {
  ...{
    state: 'FAILED',
    why: 'lost',
    code: 'LINK_LOST',
    message: 'the link was cut',
    place: null,
    startedAt: NOW_MS,
    endedAt: NOW_MS + 9,
    exitCode: null,
    signal: null,
  },
  ...{ progress: { percent: 40 }, attempts: 1, stdoutBytes: 5, stderrBytes: 0, seq: 7, updatedAt: NOW_MS + 9 },
}

export const TASK_MESSAGES: readonly (readonly [name: string, schema: SchemaName, value: object])[] = [
  ['a command', 'CommandSpec', COMMAND],
  ['a submission with all that one may say', 'Submission', SUBMISSION],
  ['a submission with what every one says', 'Submission', SHORT],
  ['submitted', 'TaskEvent', { t: 'submitted', ...WHEN }],
  ['planned', 'TaskEvent', { t: 'planned', ...WHEN }],
  ['started', 'TaskEvent', { t: 'started', ...WHEN }],
  ['third in the queue', 'TaskEvent', { t: 'waiting', ...WHEN, why: 'queue', place: 3 }],
  ['waiting for input', 'TaskEvent', { t: 'waiting', ...WHEN, why: 'input', message: 'Overwrite? [y/n]' }],
  ['resumed', 'TaskEvent', { t: 'resumed', ...WHEN }],
  ['progressed', 'TaskEvent', { t: 'progressed', ...WHEN, progress: { percent: 40, text: '12 of 30', data: { files: 12 } } }],
  ['printed', 'TaskEvent', { t: 'printed', ...WHEN, stdoutBytes: 65_536, stderrBytes: 0 }],
  ['reattached', 'TaskEvent', { t: 'reattached', ...WHEN }],
  ['left to itself', 'TaskEvent', { t: 'detached', ...WHEN }],
  ['asked to cancel', 'TaskEvent', { t: 'asked', ...WHEN, what: 'cancel', by: SHORT.submittedBy }],
  ['completed', 'TaskEvent', { t: 'ended', ...WHEN, to: 'COMPLETED', why: 'exit', exitCode: 0, signal: null, stdoutBytes: 5, stderrBytes: 0 }],
  ['refused', 'TaskEvent', { t: 'ended', ...WHEN, to: 'FAILED', why: 'refused', exitCode: null, signal: null, code: 'DENIED', message: 'no' }],
  ['cancelled', 'TaskEvent', { t: 'ended', ...WHEN, to: 'CANCELLED', why: 'cancelled', exitCode: null, signal: 'SIGTERM' }],
  ['where a task stood at its end', 'Standing', STANDING],
]

export const BAD_TASK_MESSAGES: readonly (readonly [name: string, schema: SchemaName, bytes: Uint8Array, code: string])[] = [
  ['no program', 'CommandSpec', encode({ ...COMMAND, exe: '' }), 'BAD_SHAPE'],
  ['one text in the place of arguments', 'CommandSpec', encode({ ...COMMAND, argv: 'status --short' }), 'BAD_SHAPE'],
  ['a field missing', 'CommandSpec', encode(without(COMMAND, 'user')), 'BAD_SHAPE'],
  ['a field too many', 'CommandSpec', encode({ ...COMMAND, shell: true }), 'BAD_SHAPE'],
  ['an id in upper case', 'Submission', encode({ ...SHORT, id: SHORT.id.toUpperCase().replace('0', 'A') }), 'BAD_SHAPE'],
  ['a submission of nothing', 'Submission', encode({ ...SHORT, command: [] }), 'BAD_SHAPE'],
  ['a submission with a field too many', 'Submission', encode({ ...SHORT, priority: 1 }), 'BAD_SHAPE'],
  ['a context of 64 KiB and some', 'Submission', encode({ ...SHORT, context: { long: 'x'.repeat(65_536) } }), 'BAD_SHAPE'],
  ['completed by a time-out', 'TaskEvent', encode({ t: 'ended', ...WHEN, to: 'COMPLETED', why: 'timeout', exitCode: 0, signal: null }), 'BAD_SHAPE'],
  ['waiting for nothing that is known', 'TaskEvent', encode({ t: 'waiting', ...WHEN, why: 'weather' }), 'BAD_SHAPE'],
  ['101 %', 'TaskEvent', encode({ t: 'progressed', ...WHEN, progress: { percent: 101 } }), 'BAD_SHAPE'],
  ['a state that is none', 'Standing', encode({ ...STANDING, state: 'DONE' }), 'BAD_SHAPE'],
  ['1,025 arguments', 'CommandSpec', encode({ ...COMMAND, argv: Array(1_025).fill('') }), 'BAD_SHAPE'],
]
