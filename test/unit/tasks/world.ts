/** Tasks and changes for the tests of this room: made by hand, and by fast-check. */
import * as fc from 'fast-check'
import { TASK_WHYS, type TaskEvent } from '../../../protocols/task/messages.ts'
import { Identity } from '../../../src/identity/identity.ts'
import type { Change, Submitted, TaskId } from '../../../src/tasks/machine.ts'

const didOf = (n: number): string => new Identity(new Uint8Array(32).fill(n)).did
export const [bob, alice] = [didOf(1), didOf(2)] as const
export const T0 = 1_800_000_000_000

/** UUIDv7 in shape: time first, then what makes it unique. */
export const idOf = (n: number): TaskId => `019aa3c1-0000-7000-8000-${n.toString(16).padStart(12, '0')}` as TaskId
export const submission = (n = 1, over: Partial<Submitted> = {}): Submitted => ({
  ...{ id: idOf(n), device: bob, command: ['make', 'test'], submittedBy: alice, createdAt: T0 + n, detached: false },
  ...over,
})

export const planned = (at = T0): Change => ({ t: 'planned', at })
export const started = (at = T0): Change => ({ t: 'started', at })
export const ended = (at = T0, exitCode = 0): Change => ({ t: 'ended', at, to: exitCode === 0 ? 'COMPLETED' : 'FAILED', why: 'exit', exitCode, signal: null })
export const failed = (at = T0): Change => ({ t: 'ended', at, to: 'FAILED', why: 'unreachable', exitCode: null, signal: null, code: 'NO_ROUTE' })

const at = fc.integer({ min: T0, max: T0 + 1e9 })
const count = fc.nat(1e6)
const optional = <T>(name: string, value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined }).map((one) => (one === undefined ? {} : { [name]: one }))
const exit = { exitCode: fc.option(fc.nat(255)), signal: fc.option(fc.constantFrom('SIGTERM', 'SIGKILL')) }
const endOf = <S extends 'COMPLETED' | 'FAILED' | 'CANCELLED'>(to: S) =>
  fc.record({ t: fc.constant('ended' as const), at, to: fc.constant(to), why: fc.constantFrom(...TASK_WHYS[to]), ...exit })

export const change = fc.oneof(
  fc.record({ t: fc.constant('planned' as const), at }),
  fc.record({ t: fc.constant('started' as const), at }),
  fc
    .tuple(fc.record({ t: fc.constant('waiting' as const), at, why: fc.constantFrom(...TASK_WHYS.WAITING) }), optional('place', count))
    .map(([one, more]) => ({ ...one, ...more })),
  fc.record({ t: fc.constant('resumed' as const), at }),
  fc.record({ t: fc.constant('progressed' as const), at, progress: fc.record({ percent: fc.nat(100), text: fc.string({ maxLength: 20 }) }) }),
  fc.record({ t: fc.constant('printed' as const), at, stdoutBytes: count, stderrBytes: count }),
  fc.record({ t: fc.constant('reattached' as const), at }),
  fc.record({ t: fc.constant('detached' as const), at }),
  fc.record({ t: fc.constant('asked' as const), at, what: fc.constantFrom('cancel', 'pause', 'resume'), by: fc.constant(alice) }),
  endOf('COMPLETED'),
  endOf('FAILED'),
  endOf('CANCELLED'),
) as fc.Arbitrary<Change>

/** Every kind of change once, ends by where they lead. */
export const KINDS: readonly Change[] = [
  planned(),
  started(),
  { t: 'waiting', at: T0, why: 'queue', place: 3 },
  { t: 'resumed', at: T0 },
  { t: 'progressed', at: T0, progress: { percent: 1 } },
  { t: 'printed', at: T0, stdoutBytes: 1, stderrBytes: 2 },
  { t: 'reattached', at: T0 },
  { t: 'detached', at: T0 },
  { t: 'asked', at: T0, what: 'cancel', by: alice },
  ended(),
  failed(),
  { t: 'ended', at: T0, to: 'CANCELLED', why: 'cancelled', exitCode: null, signal: 'SIGTERM' },
]

export const numbered = (one: Change, seq: number): TaskEvent => ({ ...one, seq })
