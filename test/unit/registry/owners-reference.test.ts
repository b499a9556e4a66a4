/** What chain of owners counts, held against a slow and obvious reference: steps as plain data, paths as lists, nothing shared with the code. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { OwnersBody } from '../../../protocols/member/owners.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { ann, ben, chainOf, cleo, dora, otherWords, ownersOf, type Step, words, world } from './owner-world.ts'

interface Node {
  readonly id: number
  readonly parent: Node | undefined
  readonly owners: readonly number[]
  readonly threshold: number
  readonly recovery: number | null
  readonly signers: readonly number[]
}
const KEYS = [ann, ben, cleo, dora, words, otherWords] as const
const GENESIS: Node = { id: 0, parent: undefined, owners: [0], threshold: 1, recovery: null, signers: [] }

const pathOf = (node: Node): Node[] => (node.parent === undefined ? [node] : [...pathOf(node.parent), node])
const usesWords = ({ parent, signers }: Node): boolean => parent !== undefined && parent.recovery !== null && signers.includes(parent.recovery)

function isValid(node: Node): boolean {
  const { parent, owners, threshold, recovery, signers } = node
  if (parent === undefined) return true
  if (!isValid(parent) || threshold * 2 <= owners.length || threshold > owners.length) return false
  if (usesWords(node)) return recovery !== parent.recovery
  const signed = parent.owners.filter((one) => signers.includes(one)).length
  return signed >= (recovery === parent.recovery ? parent.threshold : parent.owners.length)
}

function believe(held: Node[], node: Node): Node[] {
  if (!isValid(node)) return held
  const path = pathOf(node)
  let n = 0
  while (n < held.length && n < path.length && held[n] === path[n]) n++
  if (n === held.length) return path
  const fork = path[n]
  if (fork === undefined || !usesWords(fork)) return held
  return held.slice(n).every(({ recovery }) => recovery === held[n - 1]?.recovery) ? path : held
}

const someStep = fc.record({
  parent: fc.nat(),
  owners: fc.uniqueArray(fc.nat(3), { minLength: 1, maxLength: 4 }),
  threshold: fc.integer({ min: 1, max: 4 }),
  recovery: fc.constantFrom(null, 4, 5, 'same' as const, 'same' as const, 'same' as const),
  signers: fc.uniqueArray(fc.nat(5), { maxLength: 6 }),
})

test('whatever is signed by whomever and heard in whatever order, what counts is what a slow and obvious reference says', () => {
  fc.assert(
    fc.property(fc.array(someStep, { minLength: 1, maxLength: 8 }), fc.infiniteStream(fc.nat()), (drawn, order) => {
      const nodes: Node[] = [GENESIS]
      const bodies = new Map<Node, OwnersBody>()
      for (const { parent: at, owners, threshold, recovery, signers } of drawn) {
        const parent = nodes[at % nodes.length] ?? GENESIS
        const node = { id: nodes.length, parent, owners, threshold, recovery: recovery === 'same' ? parent.recovery : recovery, signers }
        nodes.push(node)
        bodies.set(node, chainOf(pathOf(node).slice(1).map(asStep)))
      }
      const heard = nodes
        .slice(1)
        .map((node) => ({ node, place: order.next().value }))
        .sort((a, b) => a.place - b.place)
      const owners = ownersOf()
      let held = [GENESIS]
      for (const { node } of heard) {
        const body = bodies.get(node)
        if (body !== undefined) owners.admit(body)
        held = believe(held, node)
        const last = held.at(-1)
        expect(owners.list()).toEqual(last?.owners.map((one) => KEYS[one]?.did))
        expect(owners.recovery()).toBe(last?.recovery === null || last === undefined ? null : KEYS[last.recovery]?.did)
        expect(owners.chain.steps.length).toBe(held.length - 1)
      }
    }),
    { numRuns: 300 },
  )
})

/** `at` tells siblings apart, as two people's clocks would. */
function asStep({ id, owners, threshold, recovery, signers }: Node): Step {
  const keys = (ids: readonly number[]): Identity[] => ids.flatMap((one) => KEYS[one] ?? [])
  return {
    owners: keys(owners),
    threshold,
    recovery: recovery === null ? null : (KEYS[recovery] ?? null),
    by: keys(signers),
    at: world.clock.now() + 1_000 * id,
  }
}
