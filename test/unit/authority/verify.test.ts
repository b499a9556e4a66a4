import { expect, test } from 'vitest'
import { parseRight } from '../../../src/authority/rights.ts'
import { chainToLaptop, codeOf, invoke, laptop, NOW, HOUR, EXEC_ARGS, verify } from './world.ts'

test('a chain from the device to the peer admits its command', () => {
  const chain = chainToLaptop(parseRight('exec: npm test, nvidia-smi'))
  expect(verify(invoke(laptop, chain), chain)).toMatchObject({ ok: true, chain, expiresAt: NOW + HOUR })
})

test('a refused command is named together with what the grant allows, the grant and its expiry', () => {
  const chain = chainToLaptop(parseRight('exec: nvidia-smi, npm'))
  const verified = verify(invoke(laptop, chain, { args: { ...EXEC_ARGS, exe: 'rm', argv: ['-rf', '/'] } }), chain)
  expect(verified).toMatchObject({ ok: false, code: 'POLICY', detail: 'exe "rm" is not in {nvidia-smi, npm}', grant: chain[1].cid, expiresAt: NOW + HOUR })
})
test('code', () => expect(codeOf(verify(invoke(laptop, []), []))).toBe('NO_GRANT'))
