/** A verifier that shares no line with the kernel reads the published cases, and random ones beside it. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { covers, failures, judge, open, policyVerdict } from '../../../scripts/vectors/independent.mjs'
import { coversPath } from '../../../src/authority/commands.ts'
import { evaluate, type Policy, parsePolicy } from '../../../src/authority/policy.ts'
import { Revocations, revoke } from '../../../src/authority/revocations.ts'
import { parseRight } from '../../../src/authority/rights.ts'
import type { Delegation } from '../../../src/authority/token.ts'
import { codeOf, device, EXEC_ARGS, grant, HOUR, invoke, laptop, mallory, NOW, owner, person, verify } from './world.ts'

const file = JSON.parse(readFileSync('protocols/authority/vectors.json', 'utf8'))

test('a second verifier answers every case of the specification as it says', () => expect(failures(file)).toEqual([]))

test('… and notices when a case is wrong', () => {
  for (const kind of ['delegations', 'invocations'] as const) {
    const turned = structuredClone(file)
    const [one] = turned.cases[kind].filter(({ by }: { by: string }) => by === 'spec')
    one.expect = 'REVOKED'
    expect(failures(turned)).toHaveLength(1)
  }
})

const PEOPLE = [device, owner, person('role'), mallory, laptop]
const rarely = <T>(usual: T, ...odd: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...odd) })
const links = fc.integer({ min: 1, max: 4 }).chain((length) =>
  fc.tuple(
    ...Array.from({ length }, (_, i) =>
      fc.record({
        // Nobody twice, and an expiry below the root: those are rules of the profile alone.
        to: rarely(i === length - 1 ? 4 : i + 1, 4),
        sub: rarely<'device' | 'null' | 'owner'>(i === 0 ? 'device' : 'null', 'device', 'owner'),
        cmd: rarely(i === 0 ? '/' : '/exec', '/exec/run', '/exec/run-as-root', '/audit'),
        exp: rarely(NOW + HOUR, NOW, NOW + 1),
        nbf: rarely<number | undefined>(undefined, NOW + 30, NOW + 31),
        right: rarely('exec: *', 'exec: npm', 'exec: git', 'exec: npm run', 'exec: npm test'),
      }),
    ),
  ),
)

test('the kernel and a second verifier admit the same random chains', () => {
  const seen = { admitted: 0, refused: 0 }
  const one = fc.record({ links, revokers: fc.array(fc.tuple(fc.nat(4), fc.nat(3)), { maxLength: 1 }), flip: rarely(-1, 80, 200, 300) })
  fc.assert(
    fc.property(one, ({ links, revokers, flip }) => {
      const at = (i: number): typeof device => PEOPLE[i] ?? device
      const chain: Delegation[] = links.map(({ to, sub, cmd, exp, nbf, right }, i) =>
        grant(at(i), at(to), {
          ...{ cmd, exp, sub: sub === 'null' ? null : sub === 'owner' ? owner.did : device.did },
          ...(nbf === undefined ? {} : { nbf }),
          ...(parseRight(right).pol.length === 0 ? {} : { pol: parseRight(right).pol }),
        }),
      )
      const revoked = revokers.map(([who, i]) => revoke(at(who), chain[i % chain.length]?.cid ?? '').bytes)
      const revocations = new Revocations()
      for (const bytes of revoked) revocations.add(bytes)
      const asked = invoke(laptop, chain, { args: EXEC_ARGS })
      const bytes = Uint8Array.from(asked.bytes, (byte, i) => (i === flip ? byte ^ 1 : byte))
      const proofs = chain.map((link) => link.bytes)
      const ours = codeOf(verify({ ...asked, bytes }, chain, { revocations })) === 'admitted'
      const theirs = outcome(() => judge({ bytes, proofs, revocations: revoked, self: device.did, peer: laptop.did, now: NOW }))
      seen[ours ? 'admitted' : 'refused']++
      expect(theirs).toBe(ours)
    }),
    { numRuns: 250 },
  )
  expect(Math.min(seen.admitted, seen.refused)).toBeGreaterThan(30)
}, 60_000)

function outcome(check: () => unknown): boolean {
  try {
    check()
    return true
  } catch {
    return false
  }
}

test('a token that one of them reads with any byte changed, the other reads as well: none', () => {
  const [link] = [grant(owner, laptop, parseRight('exec: npm test'))]
  for (let at = 0; at < link.bytes.length; at++) {
    const changed = Uint8Array.from(link.bytes, (byte, i) => (i === at ? byte ^ (1 << (at % 8)) : byte))
    expect(outcome(() => open('ucan/dlg@1.0.0', changed))).toBe(false)
  }
})

const selector = fc.constantFrom('.', '.a', '.b', '.a.b', '.a[0]', '.a[-1]', '.b[0:2]', '.c[]', '.a?', '.gone', '.gone?', '.["a"]')
const leaf = fc.oneof(fc.constantFrom<unknown>(0, 1, 2, 'x', 'xy', null, true, [], [1, 2], {}, { b: 1 }))
const { statement } = fc.letrec((tie) => ({
  statement: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.tuple(fc.constantFrom('==', '!='), selector, leaf),
    fc.tuple(fc.constantFrom('<', '<=', '>', '>='), selector, fc.integer({ min: 0, max: 2 })),
    fc.tuple(fc.constant('like'), selector, fc.stringMatching(/^[xy*\\]{0,4}$/)),
    fc.tuple(fc.constantFrom('and', 'or'), fc.array(tie('statement'), { maxLength: 3 })),
    fc.tuple(fc.constant('not'), tie('statement')),
    fc.tuple(fc.constantFrom('all', 'any'), selector, tie('statement')),
  ),
}))
const args = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.oneof(leaf, fc.array(leaf, { maxLength: 4 })), { noNullPrototype: true })

test('the kernel and a second reader judge random policies alike, all three answers', () => {
  fc.assert(
    fc.property(fc.array(statement, { maxLength: 4 }), args, (raw, value) => {
      const policy: Policy = parsePolicy(raw)
      expect(policyVerdict(policy, value)).toBe(evaluate(policy, value).verdict)
    }),
    { numRuns: 1_000 },
  )
}, 60_000)

test('… and what command covers what', () => {
  const path = fc.array(fc.constantFrom('exec', 'run', 'run-as-root', 'ru'), { maxLength: 3 }).map((words) => `/${words.join('/')}`)
  fc.assert(
    fc.property(path, path, (parent, child) => {
      expect(covers(parent, child)).toBe(coversPath(parent, child))
    }),
  )
})
