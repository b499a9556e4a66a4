/** protocols/bridge/vectors.json: tokens that are taken, and tokens that are not, with fixed seeds and times. */
import { readFileSync, writeFileSync } from 'node:fs'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { sayRight } from '../../../src/authority/rights.ts'
import { pathTo, readOldToken, sealOldToken } from '../../../src/authority/ucan08.ts'
import { rightOf } from '../../../src/authority/ucan08-rights.ts'
import { alice, bob, carol, owner } from './mesh-world.ts'
import { forged } from './old-tokens.ts'

const FILE = new URL('../../../protocols/bridge/vectors.json', import.meta.url)
const GRANT = 'bafyreib3vx7c6ewkwwbxy2ta6yy3bq7a3v2v6s3p4yd3tp3ulqhshz5pq7'
const NPM = { with: `errand:${bob.did}/${encodeURIComponent('exec: npm test …')}`, can: 'exec/run' }
const EXP = 1_900_000_000

const root = sealOldToken(owner, { aud: carol.did, exp: EXP, att: [NPM], grant: GRANT })
const payload = { iss: carol.did, aud: alice.did, att: [NPM], exp: EXP - 1, prf: [root] }
const good = forged({ by: carol, payload })
const of = (over: object, header?: object): string => forged({ by: carol, payload: { ...payload, ...over }, ...(header === undefined ? {} : { header }) })

const golden = {
  version: 1,
  note: 'Seeds are hex. `token` is by carol for alice and proves `capability`, which begins with the owner; `exported` is what it rests on. Every refused token is refused by its form or signature alone.',
  seeds: Object.fromEntries(Object.entries({ owner, alice, bob, carol }).map(([name, { seed }]) => [name, Buffer.from(seed).toString('hex')])),
  capability: NPM,
  words: 'exec: npm test …',
  exported: root,
  token: good,
  refused: [
    { name: 'algorithm none', token: of({}, { alg: 'none', typ: 'JWT', ucv: '0.8.1' }), code: 'BAD_TOKEN' },
    { name: 'another version', token: of({}, { alg: 'EdDSA', typ: 'JWT', ucv: '0.9.1' }), code: 'BAD_TOKEN' },
    { name: 'a caveat', token: of({ att: [{ ...NPM, nb: {} }] }), code: 'BAD_TOKEN' },
    { name: 'an unknown field', token: of({ scope: '*' }), code: 'BAD_TOKEN' },
    { name: 'no expiry', token: of({ exp: null }), code: 'BAD_TOKEN' },
    { name: 'a capability twice', token: of({ att: [NPM, NPM] }), code: 'BAD_TOKEN' },
    { name: 'signed by somebody else', token: forged({ by: bob, payload }), code: 'BAD_SIGNATURE' },
    {
      name: 'a proof signed by somebody else',
      token: of({ prf: [forged({ by: bob, payload: { ...payload, iss: owner.did, prf: [] } })] }),
      code: 'BAD_SIGNATURE',
    },
    { name: 'a proof by its CID', token: of({ prf: [GRANT] }), code: 'NOT_A_TOKEN' },
  ],
}

if (process.env['ERRAND_WRITE_VECTORS'] === 'bridge') writeFileSync(FILE, `${JSON.stringify(golden, null, 2)}\n`)
const Vectors = v.object({ refused: v.array(v.object({ name: v.string(), token: v.string(), code: v.string() })) })
const written: unknown = JSON.parse(readFileSync(FILE, 'utf8'))

test('what is written today is what was written when the vectors were made', () => expect(JSON.parse(JSON.stringify(golden))).toEqual(written))

test('the golden token is read as it was meant', () => {
  const token = readOldToken(good)
  expect(pathTo(owner.did, token, NPM)?.map(({ iss }) => iss)).toEqual([carol.did, owner.did])
  expect(token.proofs[0]?.grants).toEqual([GRANT])
  const { subject, cmd, pol } = rightOf(NPM)
  expect([subject, sayRight(cmd, pol)]).toEqual([bob.did, golden.words])
})

test.each(v.parse(Vectors, written).refused)('refused: $name', ({ token, code }) => {
  expect(() => readOldToken(token)).toThrowError(expect.objectContaining({ code }))
})
