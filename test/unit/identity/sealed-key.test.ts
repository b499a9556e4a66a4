/** A key under a passphrase: opened by that passphrase alone, and a file that was changed is none. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openSealed, sealedDid, sealedPem } from '../../../src/identity/sealed-key.ts'
import { keyOf } from '../runtime/mesh-world.ts'

const key = keyOf(7)
const random = new Uint8Array(32).fill(3)
const pem = sealedPem(key, 'correct horse', random)

test('the passphrase opens it, another one does not, and whose it is can be read without', () => {
  expect(openSealed(pem, 'correct horse')?.did).toBe(key.did)
  for (const wrong of ['', 'correct horse ', 'Correct horse', 'battery staple']) expect(openSealed(pem, wrong)).toBeUndefined()
  expect(sealedDid(pem)).toBe(key.did)
  expect(pem).not.toContain(Buffer.from(key.seed).toString('base64').slice(0, 20))
})

test('a passphrase of any letters is as good', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 64, unit: 'grapheme' }), (passphrase) => {
      expect(openSealed(sealedPem(key, passphrase, random), passphrase)?.did).toBe(key.did)
    }),
    { numRuns: 5 },
  )
})

test('a changed file opens nothing: neither another name above it, nor bent bytes', () => {
  expect(openSealed(pem.replace(key.did, keyOf(8).did), 'correct horse')).toBeUndefined()
  const lines = pem.split('\n')
  const bent = [...lines.slice(0, -3), `${lines.at(-3)?.startsWith('A') === true ? 'B' : 'A'}${lines.at(-3)?.slice(1)}`, ...lines.slice(-2)].join('\n')
  expect(openSealed(bent, 'correct horse')).toBeUndefined()
  expect(sealedDid(pem.slice(1))).toBeUndefined()
  expect(sealedDid('-----BEGIN PRIVATE KEY-----\n')).toBeUndefined()
})
