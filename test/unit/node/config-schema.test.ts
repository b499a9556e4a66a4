/** The table of settings: what it promises of every one of them, and the page that shows it. */
import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { canonical, NAMES, settingOf, unknownSetting } from '../../../src/node/config-schema.ts'

test.each(NAMES)('%s has a default that fits, a bound and a doc', (name) => {
  const { schema, fallback, bound, doc } = settingOf(name)
  if (fallback !== undefined) expect(v.safeParse(schema, fallback).issues).toBeUndefined()
  expect(bound).not.toBe('')
  expect(doc).not.toBe('')
})

test.each([
  ['deployment.maxConcurrentTasks', 0, 4_097, '4'],
  ['deployment.queueSize', -1, 1_000_001, 1.5],
  ['deployment.queueTimeout', '999ms', '31d', 60],
  ['deployment.drainTimeout', '0s', '25h', 'soon'],
  ['deployment.spoolBytes', '63KiB', '2TiB', true],
  ['deployment.spoolPolicy', 'drop', 'DROP-OLDEST', null],
  ['deployment.shutdown', 'stop', '', null],
  ['transport.listen', '/ip4/1.2.3.4/tcp/1', ['0.0.0.0:4701'], Array(9).fill('/ip4/1.2.3.4/tcp/1')],
  ['transport.api.listen', '8080', '127.0.0.1', '127.0.0.1:65536'],
  ['transport.api.listen', '::1:80', 'a b:80', ':80'],
  ['transport.api.tls.key', 'key.pem', '', '~/key.pem'],
  ['security.defaultRoles', 'admin', ['Owner'], ['admin', 'admin']],
  ['exec.path', ['bin'], '/bin', Array(33).fill('/bin')],
  ['labels', { 'no blanks': 'x' }, { a: 1 }, 'a=b'],
  ['name', 'Alice', '-a', 'a'.repeat(64)],
  ['log.level', 'loud', 'INFO', 1],
] as const)('%s takes none of %j, %j, %j', (name, ...values) => {
  for (const value of values) expect(v.is(settingOf(name).schema, value), JSON.stringify(value)).toBe(false)
})

test.each([
  ['deployment.queueTimeout', '90s', 90_000],
  ['deployment.spoolBytes', '1MiB', 1_048_576],
  ['deployment.spoolBytes', 70_000, 70_000],
  ['transport.api.listen', '[::1]:8080', { host: '::1', port: 8_080 }],
  ['transport.api.listen', 'localhost:0', { host: 'localhost', port: 0 }],
] as const)('%s: %s is read as %j', (name, written, value) => {
  expect(v.parse(settingOf(name).schema, written)).toEqual(value)
})

test('the names of before are understood', () => {
  const before = ['version', 'name', 'preset', 'listen', 'bootstrap', 'labels', 'slots', 'mdns', 'dht', 'addressSync', 'execPath']
  expect(before.map(canonical)).toEqual([
    ...['version', 'name', 'preset', 'transport.listen', 'transport.bootstrap', 'labels', 'deployment.maxConcurrentTasks'],
    ...['transport.mdns', 'transport.dht', 'transport.addressSync', 'exec.path'],
  ])
})

test('no word stands for two settings', () => {
  const words = NAMES.flatMap((name) => [name, ...(settingOf(name).aliases ?? [])])
  expect(new Set(words).size).toBe(words.length)
})

test.each([
  ['lable', 'labels'],
  ['slot', 'slots'],
  ['transport.lissten', 'transport.listen'],
  ['transprot', 'transport'],
  ['deployment.maxConcurrentTask', 'deployment.maxConcurrentTasks'],
  ['maxConcurrentTasks', 'deployment.maxConcurrentTasks'],
  ['security.queueSize', 'deployment.queueSize'],
  ['deployment.spoolbytes', 'deployment.spoolBytes'],
])('%s: did you mean %s', (typed, meant) => expect(unknownSetting(typed)).toBe(`unknown setting "${typed}", did you mean "${meant}"?`))

test('where nothing is near, nothing is proposed; a section is told from its settings', () => {
  expect(unknownSetting('quantum')).toBe('unknown setting "quantum"')
  expect(unknownSetting('transport.api.tls')).toBe(
    '"transport.api.tls" is a section; its settings are transport.api.tls.cert, transport.api.tls.key, transport.api.tls.clientCa',
  )
})

test('docs/operating.md has the table, row by row', () => {
  const section = readFileSync('docs/operating.md', 'utf8').split('## Settings')[1]?.split('\n## ')[0] ?? ''
  const rows = section.split('\n').filter((line) => line.startsWith('| `'))
  expect(rows).toEqual(NAMES.map(row))
})

function row(name: (typeof NAMES)[number]): string {
  const { fallback, follows, unit, bound, doc, env, aliases = [] } = settingOf(name)
  const value = fallback === undefined ? (follows ?? 'not set') : `\`${typeof fallback === 'string' ? fallback : JSON.stringify(fallback)}\``
  const others = [...(env === undefined ? [] : [`environment \`${env}\``]), ...aliases.map((one) => `also \`${one}\``)]
  return `| \`${name}\` | ${value} | ${[unit, bound].filter((word) => word !== '').join(', ')} | ${[doc, ...others].join('; ')} |`
}
