import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { BadBytes, decodeAs, encode, shapeOf, WireFault } from '../../../protocols/wire.ts'
import { asErrand, ErrandError, fromWire } from '../../../src/base/errors.ts'

const text = fc.string({ maxLength: 60 })
const error = fc
  .record({
    code: text,
    message: text,
    hint: fc.option(text, { nil: undefined }),
    fields: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.oneof(text, fc.boolean(), fc.integer())),
  })
  .map(({ code, message, hint, fields }) => new ErrandError(code, message, { ...(hint === undefined ? {} : { hint }), fields }))

test('an error says the same on the other side of a wire, and that a device said it', async () => {
  await fc.assert(
    fc.property(error, (thrown) => {
      const bytes = encode(thrown.toWire('device'))
      const { code, message, hint, fields } = fromWire(decodeAs(WireFault, bytes, bytes.length))
      expect({ code, message, hint, fields }).toEqual({
        code: thrown.code,
        message: thrown.message,
        hint: thrown.hint,
        fields: { ...thrown.fields, source: 'device' },
      })
    }),
  )
})

test('no stack and no cause crosses a wire', () => {
  const wire = new ErrandError('X', 'y', { cause: new Error('secret'), retryable: true }).toWire()
  expect(Object.keys(wire).sort()).toEqual(['code', 'message', 'source'])
  expect(shapeOf(WireFault, wire)).toEqual(wire)
})

test('anything thrown becomes an error with a code: its own where it is named by one, else that of the door', () => {
  const ours = new ErrandError('NO_ROUTE', 'x')
  expect(asErrand(ours)).toBe(ours)
  expect(asErrand(new BadBytes('NOT_CBOR', 'x'), 'HELLO_FAILED').code).toBe('NOT_CBOR')
  expect(asErrand(new TypeError('x'), 'HELLO_FAILED').code).toBe('HELLO_FAILED')
  expect(asErrand(Object.assign(new Error('x'), { code: 'ENOENT' })).code).toBe('INTERNAL')
  expect(asErrand('just text')).toMatchObject({ code: 'INTERNAL', message: 'just text' })
})
