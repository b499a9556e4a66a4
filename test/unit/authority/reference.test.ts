import fc from 'fast-check'
import { expect, test } from 'vitest'
import { coversPath } from '../../../src/authority/commands.ts'
import { Revocations, revoke } from '../../../src/authority/revocations.ts'
import { parseRight } from '../../../src/authority/rights.ts'
import type { Delegation } from '../../../src/authority/token.ts'
import { codeOf, device, EXEC_ARGS, grant, HOUR, invoke, laptop, mallory, NOW, owner, person, verify } from './world.ts'

const PEOPLE = [device, owner, person('role'), mallory, laptop]
const COMMANDS = ['/', '/exec', '/exec/run', '/exec/run-as-root', '/audit', '/audit/read']
/** Rights, and what each allows of the two commands `npm test` and `git test`. */
const RIGHTS = {
  'exec: *': ['npm', 'git'],
  'exec: npm': ['npm'],
  'exec: npm test': ['npm'],
  'exec: git': ['git'],
  'exec: git, npm': ['npm', 'git'],
  'exec: npm run': [],
  'exec: npm test; tty': ['npm'],
} as const
type RightText = keyof typeof RIGHTS
const TEXTS: readonly RightText[] = ['exec: *', 'exec: npm', 'exec: npm test', 'exec: git', 'exec: git, npm', 'exec: npm run', 'exec: npm test; tty']

interface Scene {
  readonly chain: readonly Delegation[]
  readonly rights: readonly (RightText | null)[]
  readonly command: string
  readonly exe: string
  readonly revoked: readonly { readonly by: string; readonly of: string }[]
}

/** The rules of protocols/authority/README.md, each on its own, without order, cache or haste. */
function reference({ chain, rights, command, exe, revoked }: Scene): boolean {
  const everyLink = (holds: (link: Delegation, i: number) => boolean): boolean => chain.every(holds)
  const allows = (right: RightText): boolean => command === '/exec/run' && RIGHTS[right].some((allowed) => allowed === exe)
  return (
    chain.length > 0 &&
    chain.length <= 8 &&
    chain[0]?.iss === device.did &&
    chain[0]?.sub === device.did &&
    chain.at(-1)?.aud === laptop.did &&
    everyLink((link) => link.sub === null || link.sub === device.did) &&
    everyLink((link, i) => i === 0 || chain[i - 1]?.aud === link.iss) &&
    everyLink((link, i) => chain.findIndex((other) => other.iss === link.iss) === i) &&
    everyLink((link, i) => i === 0 || link.exp !== null) &&
    everyLink((link) => (link.exp === null || NOW < link.exp) && (link.nbf === undefined || link.nbf <= NOW + 30)) &&
    everyLink((link, i) =>
      [...chain.slice(i + 1).map(({ cmd }) => cmd), command].every((below) => below !== '/exec/run-as-root' && coversPath(link.cmd, below)),
    ) &&
    everyLink((link, i) => !revoked.some(({ by, of }) => of === link.cid && chain.slice(0, i + 1).some(({ iss }) => iss === by))) &&
    rights.every((right) => right === null || allows(right))
  )
}

/** Mostly right links with single faults, so that both answers are common. */
const rarely = <T>(usual: T, ...odd: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 14, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...odd) })
const links = fc.integer({ min: 1, max: 4 }).chain((length) =>
  fc.tuple(
    ...Array.from({ length }, (_, i) =>
      fc.record({
        from: rarely(i, 3, 0),
        to: rarely(i === length - 1 ? 4 : i + 1, 1, 4),
        sub: rarely<'device' | 'null' | 'owner'>(i === 0 ? 'device' : 'null', 'device', 'null', 'owner'),
        cmd: rarely(i === 0 ? '/' : '/exec', ...COMMANDS),
        exp: rarely<number | null>(NOW + HOUR, null, NOW, NOW + 1, NOW - 1),
        nbf: rarely<number | undefined>(undefined, NOW + 30, NOW + 31),
        right: fc.option(fc.constantFrom(...TEXTS), { freq: 3 }),
      }),
    ),
  ),
)
const scene = fc.record({
  links,
  command: rarely('/exec/run', '/audit/read', '/exec/run-as-root'),
  exe: fc.constantFrom('npm', 'npm', 'git'),
  revokers: fc.array(fc.tuple(fc.nat(4), fc.nat(3)), { maxLength: 1 }),
})

test('a random chain is admitted if and only if every rule holds by itself', () => {
  const seen = { admitted: 0, refused: 0 }
  fc.assert(
    fc.property(scene, ({ links, command, exe, revokers }) => {
      const at = (i: number): typeof device => PEOPLE[i] ?? device
      const chain = links.map(({ from, to, sub, cmd, exp, nbf, right }) =>
        grant(at(from), at(to), {
          cmd,
          exp,
          sub: sub === 'null' ? null : sub === 'owner' ? owner.did : device.did,
          pol: right === null ? [] : parseRight(right).pol,
          ...(nbf === undefined ? {} : { nbf }),
        }),
      )
      const revocations = new Revocations()
      const revoked = revokers.map(([who, i]) => ({ by: at(who), of: chain[i % chain.length]?.cid ?? '' }))
      for (const { by, of } of revoked) revocations.add(revoke(by, of).bytes)
      const args = command === '/exec/run' ? { ...EXEC_ARGS, exe } : {}
      const verified = codeOf(verify(invoke(laptop, chain, { cmd: command, args }), chain, { revocations }))
      const expected = reference({ chain, rights: links.map(({ right }) => right), command, exe, revoked: revoked.map(({ by, of }) => ({ by: by.did, of })) })
      seen[expected ? 'admitted' : 'refused']++
      expect(verified === 'admitted', verified).toBe(expected)
    }),
    { numRuns: 600 },
  )
  expect(Math.min(seen.admitted, seen.refused)).toBeGreaterThan(60)
}, 30_000)

test('a longer chain never allows what a shorter one refused', () => {
  const policies = fc.array(fc.constantFrom(...TEXTS), { minLength: 2, maxLength: 5 })
  fc.assert(
    fc.property(policies, fc.constantFrom('npm', 'git', 'rm'), (rights, exe) => {
      const people = [device, ...rights.slice(1).map((_, i) => person(`hop ${i}`))]
      const admitted = rights.map((_, last) => {
        const holders = [...people.slice(0, last + 1), laptop]
        const chain = rights.slice(0, last + 1).map((right, i) => grant(holders[i] ?? device, holders[i + 1] ?? laptop, parseRight(right)))
        return verify(invoke(laptop, chain, { args: { ...EXEC_ARGS, exe } }), chain).ok
      })
      expect(admitted).toEqual([...admitted].sort((a, b) => Number(b) - Number(a)))
    }),
    { numRuns: 100 },
  )
}, 30_000)
