/** Who owns a mesh: enough owners decide it, whoever was taken out does not, and the words break the glass once. */
import { expect, test } from 'vitest'
import type { OwnersBody } from '../../../protocols/member/owners.ts'
import { DOMAIN } from '../../../protocols/wire.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { Orders } from '../../../src/registry/orders.ts'
import { signStep, stepAfter } from '../../../src/registry/owner-chain.ts'
import { Owners } from '../../../src/registry/owners.ts'
import { bob, MeshWorld, mallory } from '../runtime/mesh-world.ts'
import { ann, ben, chainOf, cleo, dora, listed, otherWords, ownersOf, type Step, words, world } from './owner-world.ts'

const three: OwnersBody = chainOf([{ owners: [ann, ben, cleo], by: [ann] }])

function believing(...bodies: readonly OwnersBody[]): Owners {
  const owners = ownersOf()
  for (const body of bodies) owners.admit(body)
  return owners
}

test('the founder makes others owners, and more than half of them decide from then on', () => {
  const owners = believing(three)
  expect(listed(owners)).toEqual(['ann', 'ben', 'cleo'])
  expect(owners.standing.threshold).toBe(2)
  expect(owners.admit(chainOf([{ owners: [ben, cleo, dora], by: [ben, cleo] }], three))).toBe('new')
  expect(listed(owners)).toEqual(['ben', 'cleo', 'dora'])
})

const refused: readonly (readonly [string, readonly Step[]])[] = [
  ['signed by one of three', [{ owners: [ben, cleo], by: [ben] }]],
  ['signed by one of three twice', [{ owners: [ben, cleo], by: [ben, ben] }]],
  ['signed by an owner and by strangers', [{ owners: [ben, cleo], by: [ben, mallory, dora] }]],
  ['signed by those who become owners by it', [{ owners: [dora, mallory], by: [dora, mallory] }]],
  ['signed by nobody', [{ owners: [ben], by: [] }]],
  ['signed by words that were never agreed to', [{ owners: [dora], by: [words] }]],
  ['that lets fewer than half decide', [{ owners: [ann, ben, cleo], by: [ann, ben], threshold: 1 }]],
  ['that asks for more owners than there are', [{ owners: [ann, ben, cleo], by: [ann, ben], threshold: 4 }]],
  ['that names an owner twice', [{ owners: [ann, ann, ben], by: [ann, ben] }]],
  ['that makes the words an owner', [{ owners: [ann, words], by: [ann, ben, cleo], recovery: words }]],
  ['for new words that not all have signed', [{ owners: [ann, ben, cleo], by: [ann, ben], recovery: words }]],
  ['no later than what it follows', [{ owners: [ann, ben], by: [ann, ben], at: 0 }]],
]
test.each(refused)('a change %s does not count', (_name, steps) => {
  const chain = chainOf(steps, three)
  const owners = believing(three)
  const { at } = owners.standing
  const late = steps[0]?.at === 0 ? backdated(chain, at) : chain
  expect(owners.admit(late)).toBe('refused')
  expect(listed(owners)).toEqual(['ann', 'ben', 'cleo'])
})

/** `stepAfter` never signs an older one; an attacker does. */
function backdated(chain: OwnersBody, at: number): OwnersBody {
  const before = believing(three).standing
  const step = stepAfter({ ...before, at: at - 10 }, { owners: [ann.did, ben.did], threshold: 2, recovery: null, at: at - 5, kept: new Uint8Array() })
  return { ...chain, steps: [...three.steps, { step, sigs: [ann, ben].map((key) => [key.did, signStep(world.mesh.id, key, step)]) }] }
}

test('a signature for another mesh, another step or another purpose is none', () => {
  const [first] = three.steps
  const elsewhere = new MeshWorld()
  const good = chainOf([{ owners: [ben, cleo], by: [ben, cleo] }], three)
  const step = good.steps[1]?.step ?? new Uint8Array()
  const forged = (sigs: [Identity, Uint8Array][]): OwnersBody => ({
    ...good,
    steps: first === undefined ? [] : [first, { step, sigs: sigs.map(([{ did }, sig]) => [did, sig]) }],
  })
  expect(
    believing(three).admit(
      forged([
        [ben, signStep(world.mesh.id, ben, step)],
        [cleo, signStep(world.mesh.id, cleo, step)],
      ]),
    ),
  ).toBe('new')
  const others = [
    signStep(new Uint8Array(32).fill(9), cleo, step),
    signStep(world.mesh.id, cleo, first?.step ?? step),
    cleo.sign(step),
    signStep(world.mesh.id, ben, step),
  ]
  for (const sig of others)
    expect(
      believing(three).admit(
        forged([
          [ben, signStep(world.mesh.id, ben, step)],
          [cleo, sig],
        ]),
      ),
    ).toBe('refused')
  expect(new Owners({ ...elsewhere.mesh, id: new Uint8Array(32).fill(7) }).admit(three)).toBe('refused')
})

test('a chain with a step left out, doubled or moved does not count', () => {
  const whole = chainOf(
    [
      { owners: [ann, ben], by: [ann, ben] },
      { owners: [ann], by: [ann, ben] },
    ],
    three,
  )
  const [a, b, c] = whole.steps
  if (a === undefined || b === undefined || c === undefined) throw new Error('three steps')
  for (const steps of [[a, c], [b, c], [a, a, b, c], [a, c, b], [b]]) expect(ownersOf().admit({ ...whole, steps })).toBe('refused')
  expect(ownersOf().admit(whole)).toBe('new')
})

test('an old chain that is shown again changes nothing', () => {
  const later = chainOf([{ owners: [ben, cleo], by: [ben, cleo] }], three)
  const owners = believing(later)
  expect(owners.admit(three)).toBe('known')
  expect(listed(owners)).toEqual(['ben', 'cleo'])
  expect(owners.conflict).toBeUndefined()
})

test('who was taken out cannot come back by going back to before it, alone or with friends who are no owners', () => {
  const without = chainOf([{ owners: [ben, cleo], by: [ben, cleo] }], three)
  const owners = believing(without)
  for (const from of [undefined, three]) {
    for (const by of [[ann], [ann, mallory, dora]]) {
      const back = chainOf(
        [
          { owners: [ann, mallory], by },
          { owners: [ann], by: [ann, mallory] },
        ],
        from,
      )
      expect(['known', 'refused']).toContain(owners.admit(back))
    }
  }
  expect(listed(owners)).toEqual(['ben', 'cleo'])
})

test('a founder who handed the mesh on, and whose key was stolen later, does not get it back; the others are told', () => {
  const handed = chainOf([
    { owners: [ann, ben], by: [ann] },
    { owners: [ben], by: [ann, ben] },
  ])
  const owners = believing(handed)
  expect(owners.admit(chainOf([{ owners: [ann], by: [ann], recovery: otherWords }]))).toBe('known')
  expect(listed(owners)).toEqual(['ben'])
  expect(owners.conflict).toBeDefined()
})

const withWords = chainOf([{ owners: [ann], by: [ann], recovery: words }])

test('the words make another owner alone, once', () => {
  const used = chainOf([{ owners: [ben], by: [words], recovery: null }], withWords)
  const owners = believing(used)
  expect([listed(owners), owners.standing.by, owners.recovery()]).toEqual([['ben'], 'recovery', null])
  expect(owners.admit(chainOf([{ owners: [dora], by: [words] }], used))).toBe('refused')
  expect(believing(withWords).admit(chainOf([{ owners: [ben], by: [words] }], withWords))).toBe('refused') // they would be good for another time
  expect(believing(used).admit(chainOf([{ owners: [dora], by: [words], recovery: null }], withWords))).toBe('known')
})

test('the words undo what somebody did with a stolen owner’s key, also when it was done before', () => {
  const stolen = chainOf(
    [
      { owners: [ann, mallory], by: [ann] },
      { owners: [mallory], by: [ann, mallory] },
    ],
    withWords,
  )
  const owners = believing(stolen)
  expect(owners.admit(chainOf([{ owners: [ben], by: [words], recovery: null }], withWords))).toBe('new')
  expect(listed(owners)).toEqual(['ben'])
  expect(owners.admit(chainOf([{ owners: [mallory], by: [mallory] }], stolen))).toBe('known')
  expect(owners.admit(chainOf([{ owners: [ann], by: [ann], recovery: otherWords }], withWords))).toBe('known')
  expect(listed(owners)).toEqual(['ben'])
})

test('words that the owners replaced are worth nothing, from whatever point they are used', () => {
  const replaced = chainOf(
    [
      { owners: [ann, ben], by: [ann] },
      { owners: [ann, ben], by: [ann, ben], recovery: otherWords },
    ],
    withWords,
  )
  const owners = believing(replaced)
  for (const from of [withWords, chainOf([{ owners: [ann, ben], by: [ann] }], withWords)]) {
    expect(owners.admit(chainOf([{ owners: [mallory], by: [words], recovery: null }], from))).toBe('known')
  }
  expect(listed(owners)).toEqual(['ann', 'ben'])
})

test('of those who were taken out only what the change named counts', () => {
  const order = (value: string, at: number): Uint8Array =>
    world.sign(ann, DOMAIN.order, { v: 1, kind: 'label', subject: bob.did, at, body: { labels: { gpu: value } } })
  const [kept, late, early] = [order('kept', 5), order('late', 9), order('early', 1)]
  const wrap = (body: OwnersBody): Uint8Array => world.sign(ben, DOMAIN.order, { v: 1, kind: 'owners', subject: '', at: 1, body })
  const change = wrap(chainOf([{ owners: [ben, cleo], by: [ben, cleo], kept: [kept] }], three))
  const orders = new Orders(ownersOf())
  expect([orders.admit(wrap(three)), orders.admit(kept), orders.admit(late), orders.admit(change)]).toEqual(['new', 'new', 'new', 'new'])
  expect(orders.get('label', bob.did)).toBeUndefined() // what displaced it was not named; whoever has it hands it on
  expect([orders.admit(kept), orders.admit(late), orders.admit(early)]).toEqual(['new', 'known', 'known'])
  expect(orders.get('label', bob.did)).toEqual({ labels: { gpu: 'kept' } })
})

test('a list of what is kept that is not the one that was signed makes the change none', () => {
  const change = chainOf([{ owners: [ben, cleo], by: [ben, cleo], kept: [Uint8Array.of(1)] }], three)
  for (const kept of [new Uint8Array(), new Uint8Array(16), new Uint8Array(15), new Uint8Array([...change.kept, ...change.kept])]) {
    expect(ownersOf().admit({ ...change, kept })).toBe('refused')
  }
})

test('nobody agrees to a change for somebody else, and no device for an owner', () => {
  const orders = new Orders(believing(three))
  const subject = (of: Identity): string => `${Buffer.from(orders.owners.standing.hash).toString('hex')} ${of.did}`
  const body = { step: Uint8Array.of(1), sig: new Uint8Array(64), kept: new Uint8Array() }
  const consent = (by: Identity, of: Identity): Uint8Array => world.sign(by, DOMAIN.order, { v: 1, kind: 'consent', subject: subject(of), at: 5, body })
  expect([orders.admit(consent(ben, ben)), orders.admit(consent(ben, cleo)), orders.admit(consent(bob, bob)), orders.admit(consent(bob, ben))]).toEqual([
    'new',
    'refused',
    'refused',
    'refused',
  ])
})
