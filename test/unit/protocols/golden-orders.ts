/** Orders among the golden bytes: what owners decide, each kind once. */
import type { Identity } from '../../../src/identity/identity.ts'
import { genesisChain, keptOf, lastOf, type OwnedMesh, readStep, signStep, stepAfter } from '../../../src/registry/owner-chain.ts'

const AT_MS = 1_800_000_000_000

/** @param on DIDs of two devices. */
export function orderValues(on: { readonly founder: string; readonly joiner: string }): readonly (readonly [name: string, value: object])[] {
  const order = (kind: string, subject: string, body: object): object => ({ v: 1, kind, subject, at: AT_MS, body })
  const baker = { did: on.joiner, salt: new Uint8Array(16).fill(9), can: ['exec: npm test …'], inherits: ['readonly'], maxMs: 3_600_000, removed: false }
  return [
    ['labels that the owner gives a device', order('label', on.joiner, { labels: { gpu: 'h200' } })],
    ['a policy that the owner gives the mesh', order('policy', '', { text: 'exec: { deniedCommands: [rm] }\n' })],
    ['a role that an owner made', order('role', 'baker', baker)],
    ['two devices under one name', order('group', 'lab', { devices: [on.founder, on.joiner] })],
  ]
}

/** A second owner, who agrees with the first one that there are recovery words; and the consent that came before. */
export function ownerValues(
  mesh: OwnedMesh,
  { first, second, words }: { first: Identity; second: Identity; words: Identity },
): readonly (readonly [string, object])[] {
  const genesis = lastOf(genesisChain(mesh))
  const owners = [first.did, second.did]
  const kept = keptOf([Uint8Array.of(1), Uint8Array.of(2)])
  const one = stepAfter(genesis, { owners, threshold: 2, recovery: null, at: AT_MS, kept: keptOf([]) })
  const read = readStep(genesis, one)
  if (!read.ok) throw new Error(read.why)
  const two = stepAfter(read.standing, { owners, threshold: 2, recovery: words.did, at: AT_MS + 1, kept })
  const signed = (step: Uint8Array, by: readonly Identity[]): object => ({ step, sigs: by.map((key) => [key.did, signStep(mesh.id, key, step)]) })
  const consent = { step: two, sig: signStep(mesh.id, first, two), kept }
  const subject = `${Buffer.from(read.standing.hash).toString('hex')} ${first.did}`
  return [
    ['an owner agrees to a change of the owners', { v: 1, kind: 'consent', subject, at: AT_MS, body: consent }],
    [
      'who owns the mesh, after two changes',
      { v: 1, kind: 'owners', subject: '', at: AT_MS, body: { steps: [signed(one, [first]), signed(two, [first, second])], kept } },
    ],
  ]
}
