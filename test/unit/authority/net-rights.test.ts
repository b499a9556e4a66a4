/** `forward:` and `listen:`: what is typed, what it allows, what it is said as. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkArgs } from '../../../src/authority/commands.ts'
import { explain } from '../../../src/authority/explain.ts'
import { wideningOf } from '../../../src/authority/narrower.ts'
import { type NetMode, netArgs } from '../../../src/authority/net-args.ts'
import { compileNet, readNet } from '../../../src/authority/net-items.ts'
import { evaluate, failing, parsePolicy } from '../../../src/authority/policy.ts'
import { parseRight, sayRight, wordsOfRight } from '../../../src/authority/rights.ts'
import { hostAt } from '../../../src/base/address.ts'
import { ErrandError } from '../../../src/base/errors.ts'

function allows(right: string, host: string, port: number, mode: NetMode = 'connect'): boolean {
  const args = netArgs(mode, host, port)
  if (args === undefined) throw new Error(`no host: ${host}`)
  return checkArgs('/net/forward', args).ok && evaluate(parseRight(right).pol, args).verdict === 'true'
}

test.each([
  ['forward: localhost:80', 'forward: localhost:80'],
  ['forward:localhost:80,10.0.0.0/8:443', 'forward: localhost:80, 10.0.0.0/8:443'],
  [' forward : LocalHost:80 , localhost:80', 'forward: localhost:80'],
  ['forward: 10.1.2.3/8:*', 'forward: 10.0.0.0/8:*'],
  ['forward: 172.16.0.0/12:8000-8999', 'forward: 172.16.0.0/12:8000-8999'],
  ['forward: [fd00::7]:5432, [fd00::/8]:443', 'forward: [fd00::7]:5432, [fd00::/8]:443'],
  ['forward: [::ffff:10.0.0.7]:80', 'forward: 10.0.0.7:80'],
  ['forward: *.internal:443', 'forward: *.internal:443'],
  ['forward: *', 'forward: *'],
  ['forward: *:22', 'forward: *:22'],
  ['forward: 0.0.0.0/0:443, [::/0]:443', 'forward: 0.0.0.0/0:443, [::/0]:443'],
  ['forward: 169.254.169.254:80', 'forward: 169.254.169.254:80'],
  ['forward: localhost:5432; rate 10/m', 'forward: localhost:5432; rate 10/m'],
  ['listen: 8080', 'listen: 127.0.0.1:8080'],
  ['listen: 8000-8999, 0.0.0.0:80', 'listen: 127.0.0.1:8000-8999, 0.0.0.0:80'],
  ['listen: *', 'listen: *'],
  ['listen: localhost:*, [::]:8080', 'listen: localhost:*, [::]:8080'],
  ['net: forward', 'net: forward'],
])('%s is said as %s, and means the same when typed again', (typed, words) => {
  expect(wordsOfRight(parseRight(typed))).toBe(words)
  expect(parseRight(words)).toEqual(parseRight(typed))
  expect(() => parsePolicy(parseRight(typed).pol)).not.toThrow()
})

test.each([
  ...[
    'forward:',
    'forward: localhost',
    'forward: 80',
    'forward: localhost:0',
    'forward: localhost:65536',
    'forward: localhost:90-80',
    'forward: localhost:80 x',
  ],
  ...[
    'forward: 127.1:80',
    'forward: 2130706433:80',
    'forward: 0x7f000001:80',
    'forward: 10.0.0.0/33:80',
    'forward: 10.0.0.0/-1:80',
    'forward: 10.0.0.0/8/8:80',
  ],
  ...[
    'forward: 0.0.0.0:80',
    'forward: [::]:80',
    'forward: 224.0.0.1:80',
    'forward: db/8:80',
    'forward: *.*:80',
    'forward: *.10.0.0.0:80',
    'forward: fe80::1%eth0:80',
  ],
  ...[
    'forward: [::1:80',
    'forward: a:b:80',
    'forward: localhost:80; tty',
    'forward: localhost:80; approval',
    'forward: localhost:80; rate 10',
    'forward: localhost:80;',
  ],
  ...['listen: db:80', 'listen: *.internal:80', 'listen: 99999', `forward: ${Array(17).fill('localhost:80').join(', ')}`],
])('%j is no right, and it is said how one is written', (text) => {
  expect(() => parseRight(text)).toThrow(ErrandError)
  expect(() => parseRight(text)).toThrow(expect.objectContaining({ code: 'BAD_RIGHT', hint: expect.any(String) }))
})

test('a target is that host and that port, and nothing near it', () => {
  expect(allows('forward: localhost:80', 'localhost', 80)).toBe(true)
  for (const [host, port] of [
    ['localhost', 81],
    ['127.0.0.1', 80],
    ['db.localhost', 80],
    ['localhost.example', 80],
    ['::1', 80],
  ] as const)
    expect(allows('forward: localhost:80', host, port), `${host}:${port}`).toBe(false)
  expect(allows('forward: localhost:80', 'localhost', 80, 'listen')).toBe(false)
})

test('a net holds its addresses; what is special in it has to be named', () => {
  for (const host of ['10.0.0.1', '10.255.255.255']) expect(allows('forward: 10.0.0.0/8:443', host, 443)).toBe(true)
  for (const host of ['11.0.0.1', '9.255.255.255', 'ten.example', 'fd00::1']) expect(allows('forward: 10.0.0.0/8:443', host, 443)).toBe(false)
  for (const [host, may] of [
    ['172.16.0.1', true],
    ['172.31.255.255', true],
    ['172.15.255.255', false],
    ['172.32.0.0', false],
    ['ac10::1', false],
  ] as const)
    expect(allows('forward: 172.16.0.0/12:*', host, 1), host).toBe(may)
  for (const host of ['127.0.0.1', '169.254.169.254', 'localhost']) {
    for (const wide of ['forward: *', 'forward: 0.0.0.0/0:*', 'forward: 128.0.0.0/1:*', 'forward: 0.0.0.0/1:*'])
      expect(allows(wide, host, 80), `${wide} ${host}`).toBe(false)
  }
  expect(allows('forward: 127.0.0.0/8:80', '127.9.9.9', 80)).toBe(true)
  expect(allows('forward: 169.254.0.0/16:80', '169.254.169.254', 80)).toBe(true)
  expect(allows('forward: *', 'db.internal', 1)).toBe(true)
  expect(allows('forward: *', '8.8.8.8', 53)).toBe(true)
})

test('names below a name are just those', () => {
  for (const [host, may] of [
    ['db.internal', true],
    ['a.b.internal', true],
    ['internal', false],
    ['dbinternal', false],
    ['db.internal.evil.example', false],
    ['internal.localhost', false],
  ] as const)
    expect(allows('forward: *.internal:443', host, 443), host).toBe(may)
})

test('to listen is to listen on that address', () => {
  expect(allows('listen: 8080', '127.0.0.1', 8_080, 'listen')).toBe(true)
  for (const [host, port] of [
    ['0.0.0.0', 8_080],
    ['127.0.0.1', 0],
    ['::1', 8_080],
  ] as const)
    expect(allows('listen: 8080', host, port, 'listen')).toBe(false)
  expect(allows('listen: 0.0.0.0:*', '0.0.0.0', 0, 'listen')).toBe(true)
  expect(allows('listen: *', '::', 0, 'listen')).toBe(true)
})

test.each([
  ['a host in another spelling', { host: '127.0.0.01' }],
  ['a name for a number', { host: '2130706433', kind: 'name', family: 0, ip: [] }],
  ['a mapped address', { host: '::ffff:127.0.0.1', kind: 'address', family: 6, ip: Array(16).fill(0) }],
  ['bytes of another address', { host: '10.0.0.1', kind: 'address', family: 4, ip: [10, 0, 0, 2] }],
  ['another kind', { host: '127.0.0.1', kind: 'address', family: 4, ip: [127, 0, 0, 1] }],
  ['a name that says it is an address', { host: 'evil.example', kind: 'address', family: 4, ip: [10, 0, 0, 1] }],
  ['every address of the machine', { ...netArgs('connect', '0.0.0.0', 80) }],
  ['multicast', { ...netArgs('connect', '224.0.0.1', 80) }],
  ['port 0', { port: 0 }],
  ['a field more', { also: 1 }],
  ['a zone', { host: 'fe80::1%eth0' }],
])('what is declared is whole, or no chain carries it: %s', (_, fields) => {
  expect(checkArgs('/net/forward', { ...netArgs('connect', 'localhost', 80), ...fields })).toMatchObject({ ok: false, code: 'BAD_ARGS' })
})

test('a refusal names the target and what may be reached', () => {
  const { pol } = parseRight('forward: localhost:80, 10.0.0.0/8:443')
  const args = netArgs('connect', 'localhost', 81) ?? {}
  expect(explain(failing(pol, args) ?? expect.unreachable(), args)).toBe('"localhost:81" is not in {localhost:80, 10.0.0.0/8:443}')
})

const link = (text: string) => ({ ...parseRight(text), meta: {} })

test('nobody is promised more than what it rests on', () => {
  const beyond = (child: string, parent: string): string | undefined => wideningOf(parseRight(child), [link(parent)])
  for (const [child, parent] of [
    ['forward: localhost:80', 'forward: localhost:*'],
    ['forward: 10.1.0.0/16:443', 'forward: 10.0.0.0/8:400-500'],
    ['forward: a.b.internal:443', 'forward: *.internal:443'],
    ['forward: 10.0.0.7:443', 'forward: *'],
    ['listen: 8080', 'listen: *'],
    ['forward: localhost:80', 'net: forward'],
  ] as const)
    expect(beyond(child, parent), `${child} within ${parent}`).toBeUndefined()
  for (const [child, parent] of [
    ['forward: localhost:80', 'forward: *'],
    ['forward: 127.0.0.1:80', 'forward: 0.0.0.0/0:80'],
    ['forward: 10.0.0.0/8:443', 'forward: 10.0.0.0/9:443'],
    ['forward: localhost:*', 'forward: localhost:80'],
    ['listen: 80', 'forward: *'],
    ['forward: internal:443', 'forward: *.internal:443'],
  ] as const)
    expect(beyond(child, parent), `${child} beyond ${parent}`).toEqual(expect.any(String))
})

test('whatever is within a right by its words is allowed by its policy', () => {
  const ports = fc.oneof(
    fc.constant('*' as const),
    fc.tuple(fc.integer({ min: 1, max: 65_535 }), fc.nat(100)).map(([from, more]) => ({ from, to: Math.min(65_535, from + more) })),
  )
  const ip = fc.array(fc.oneof(fc.constantFrom(0, 10, 127, 169, 254, 255), fc.integer({ min: 0, max: 255 })), { minLength: 4, maxLength: 4 })
  const items = fc.array(
    fc.record({ ip, bits: fc.integer({ min: 0, max: 32 }), ports }).map(({ ip, bits, ports }) => ({
      host: { t: 'net' as const, ip: ip.map((byte, at) => byte & (0xff << Math.max(0, Math.min(8, 8 * (at + 1) - bits))) & 0xff), bits },
      ports,
    })),
    { minLength: 1, maxLength: 4 },
  )
  fc.assert(
    fc.property(items, ip, (some, target) => {
      const right = { mode: 'connect' as const, items: some }
      const policy = compileNet(right)
      expect(readNet(policy)).toEqual(right)
      const { host, kind } = hostAt(target)
      const args = netArgs('connect', host, 443) ?? {}
      const holds = some.some(
        ({ host: net, ports }) =>
          (ports === '*' || (ports.from <= 443 && 443 <= ports.to)) &&
          net.ip.every((byte, at) => ((byte ^ (target[at] ?? 0)) & (0xff << Math.max(0, Math.min(8, 8 * (at + 1) - net.bits))) & 0xff) === 0),
      )
      if (kind === 'address') expect(evaluate(policy, args).verdict === 'true').toBe(holds)
      else if (!holds) expect(evaluate(policy, args).verdict).not.toBe('true')
      expect(sayRight('/net/forward', policy)).toMatch(/^forward: /)
    }),
  )
})
