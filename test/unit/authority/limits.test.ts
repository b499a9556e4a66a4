/** Limits of rights: said in words and back, combined so that nothing widens, and refused where they cannot be read. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LIMITS_META } from '../../../protocols/authority/messages.ts'
import { LIMITS, type Limits } from '../../../protocols/task/limits.ts'
import { rightMeta } from '../../../src/authority/approval.ts'
import { badLimits, limitBeyond, limitsOf, narrowest } from '../../../src/authority/limits.ts'
import { parseRight, sayRight } from '../../../src/authority/rights.ts'

const levels = fc.constantFrom('privileges', 'processes', 'files' as const)
/** What a person can type is not every number of bytes or thousandths, but every one of these. */
const some: fc.Arbitrary<Limits> = fc.record(
  {
    memoryBytes: fc.integer({ min: LIMITS.minMemoryBytes, max: 2 ** 45 }),
    cpuMillis: fc.integer({ min: LIMITS.minCpuMillis, max: LIMITS.maxCpuMillis }),
    processes: fc.integer({ min: 1, max: LIMITS.maxProcesses }),
    network: fc.constant(false as const),
    sandbox: levels as fc.Arbitrary<NonNullable<Limits['sandbox']>>,
  },
  { requiredKeys: [] },
)
const meta = (limits: Limits): ReturnType<typeof rightMeta> => rightMeta({ limits })

test('whatever limits a right has, its words say all of them and make the same right again', () => {
  fc.assert(
    fc.property(some, (limits) => {
      const words = sayRight('/exec/run', parseRight('exec: make').pol, meta(limits))
      const again = parseRight(words)
      expect(narrowest([again.limits])).toEqual(limits)
      expect(sayRight(again.cmd, again.pol, rightMeta(again))).toBe(words)
    }),
  )
})

test('a person writes them so, and reads them so', () => {
  const right = parseRight('exec: make; cwd /srv/app; memory 512M; cpu 1.5; processes 64; no-network; sandbox files; rate 10/m')
  expect(right.limits).toEqual({ memoryBytes: 512 << 20, cpuMillis: 1_500, processes: 64, network: false, sandbox: 'files' })
  expect(sayRight(right.cmd, right.pol, rightMeta(right))).toBe(
    'exec: make …; cwd /srv/app; memory 512MiB; cpu 1.5; processes 64; no-network; sandbox files; rate 10/m',
  )
})

test.each([
  'memory',
  'memory 1MiB',
  'memory lots',
  'cpu 0',
  'cpu -1',
  'cpu 2 3',
  'processes 0',
  'processes 1.5',
  'no-network please',
  'sandbox none',
  'sandbox strong',
  'sandbox',
  'memory 1GiB; memory 2GiB',
])('a limit that means nothing is refused with what to write: %s', (clause) => {
  expect(() => parseRight(`exec: make; ${clause}`)).toThrow(expect.objectContaining({ code: 'BAD_RIGHT', hint: expect.any(String) }))
})

test('a chain holds to the narrowest of its links, in whatever order they come, and a longer chain never to less', () => {
  fc.assert(
    fc.property(fc.array(some, { maxLength: 6 }), some, (all, more) => {
      const links = all.map((limits) => ({ meta: meta(limits) ?? {} }))
      const held = limitsOf(links)
      expect(limitsOf([...links].reverse())).toEqual(held)
      const longer = limitsOf([...links, { meta: meta(more) ?? {} }])
      expect(limitBeyond(longer, held)).toBeUndefined()
      expect(limitBeyond(longer, more)).toBeUndefined()
    }),
  )
})

test('going beyond is said in words, bound by bound; saying nothing is beyond everything', () => {
  const held: Limits = { memoryBytes: 512 << 20, cpuMillis: 2_000, processes: 8, network: false, sandbox: 'files' }
  expect(limitBeyond(held, held)).toBeUndefined()
  expect(limitBeyond({ ...held, memoryBytes: 1 << 30 }, held)).toBe('memory 1GiB, and it has memory 512MiB')
  expect(limitBeyond({ ...held, cpuMillis: 2_001 }, held)).toBe('cpu 2.001, and it has cpu 2')
  expect(limitBeyond({ ...held, sandbox: 'processes' }, held)).toBe('sandbox processes, and it has sandbox files')
  const { network: _, ...online } = held
  expect(limitBeyond(online, held)).toBe('the network, and it has no-network')
  expect(limitBeyond({}, held)).toBe('any memory, and it has memory 512MiB')
})

test.each([{ memoryBytes: 1 }, { gpu: 1 }, { network: true }, { sandbox: 'none' }, ['list'], 'memory', null, { processes: 1.5 }].map((said) => ({ said })))(
  'a link whose limits cannot be read whole refuses: $said',
  ({ said }) => {
    expect(badLimits({ [LIMITS_META]: said })).toContain(LIMITS_META)
    expect(badLimits({})).toBeUndefined()
  },
)
