import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hostAt, hostOf, sayEnd } from '../../../src/base/address.ts'

test.each([
  ['127.0.0.1', '127.0.0.1', 'loopback'],
  ['127.255.0.9', '127.255.0.9', 'loopback'],
  ['::1', '::1', 'loopback'],
  ['[::1]', '::1', 'loopback'],
  ['::ffff:127.0.0.1', '127.0.0.1', 'loopback'],
  ['0:0:0:0:0:ffff:a9fe:a9fe', '169.254.169.254', 'link-local'],
  ['FE80::1', 'fe80::1', 'link-local'],
  ['fd00:ec2::254', 'fd00:ec2::254', 'link-local'],
  ['0.0.0.0', '0.0.0.0', 'any'],
  ['0.1.2.3', '0.1.2.3', 'any'],
  ['::', '::', 'any'],
  ['224.0.0.1', '224.0.0.1', 'never'],
  ['255.255.255.255', '255.255.255.255', 'never'],
  ['ff02::1', 'ff02::1', 'never'],
  ['::7f00:1', '::7f00:1', 'never'],
  ['64:ff9b::169.254.169.254', '64:ff9b::a9fe:a9fe', 'never'],
  ['64:ff9b::8.8.8.8', '64:ff9b::808:808', 'address'],
  ['2002:7f00:1::', '2002:7f00:1::', 'never'],
  ['10.0.0.7', '10.0.0.7', 'address'],
  ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1', 'address'],
  ['localhost', 'localhost', 'loopback'],
  ['LocalHost.', 'localhost', 'loopback'],
  ['db.localhost', 'db.localhost', 'loopback'],
  ['DB.Internal', 'db.internal', 'name'],
  ['7zip', '7zip', 'name'],
])('%s is %s, %s', (text, host, kind) => {
  expect(hostOf(text)).toMatchObject({ host, kind })
})

test.each([
  '',
  '127.1',
  '2130706433',
  '0x7f000001',
  '127.0.0.0x1',
  '0177.0.0.1',
  '127.0.0.1.',
  '1.2.3.4.5',
  'fe80::1%eth0',
  'a b',
  'a/b',
  'a:1',
  '-a',
  'a..b',
  'ä.example',
  'x\0',
])('%j is neither an address nor a name: what a resolver would take for a number leads nowhere', (text) => {
  expect(hostOf(text)?.kind === 'name' ? hostOf(text)?.host : undefined).toBeUndefined()
  if (text !== '127.0.0.1.') expect(hostOf(text)).toBeUndefined()
})

test('every address has one form, that of RFC 5952, and is read back from it', () => {
  const bytes = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 255 })), { minLength: 16, maxLength: 16 })
  fc.assert(
    fc.property(bytes, (ip) => {
      const { host, family } = hostAt(ip)
      expect(hostOf(host)).toEqual(hostAt(ip))
      if (family === 6) expect(`[${host}]`).toBe(new URL(`http://[${host}]/`).hostname)
    }),
  )
})

test('a port stands behind brackets where the address has colons', () => {
  expect([sayEnd('::1', 80), sayEnd('10.0.0.7', '*'), sayEnd('db', 5_432)]).toEqual(['[::1]:80', '10.0.0.7:*', 'db:5432'])
})
