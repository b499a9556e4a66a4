/** Orders among the golden bytes: what owners decide, each kind once. */

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
