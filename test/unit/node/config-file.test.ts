/** runtime.yaml as a user writes it: read with its faults named, changed without losing anything, and taken over from config.yaml. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Config, listenOf, loadConfig, withPreset } from '../../../src/node/config.ts'
import { saveSetting } from '../../../src/node/config-file.ts'
import { parseConfig } from '../../../src/node/config-read.ts'
import { NAMES } from '../../../src/node/config-schema.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'errand-config-'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const put = (name: string, text: string): void => writeFileSync(join(home, name), text, { mode: 0o600 })
const got = (name: string): string => readFileSync(join(home, name), 'utf8')
const read = (text: string): Config => {
  put('runtime.yaml', text)
  return loadConfig(home)
}
const refusal = (code: string, words: RegExp): object =>
  expect.objectContaining({ code, message: expect.stringMatching(words), hint: expect.stringMatching(/./) })

const DEFAULTS: Config = {
  ...{ name: undefined, mode: 'local-only', preset: 'local', labels: {} },
  transport: { listen: [], bootstrap: [], mdns: true, dht: true, addressSync: true, api: undefined, grpc: { socket: false } },
  security: {
    ...{ requireAuth: true, allowRemoteSessions: true, defaultRoles: [], sessionForMs: 28_800_000, sessionIdleMs: 86_400_000, sessionLinksMs: 3_600_000 },
    approvalTimeoutMs: 3_600_000,
  },
  deployment: {
    ...{ maxConcurrentTasks: 256, queueSize: 1_024, queueTimeoutMs: 3_600_000, requestsPerMinute: 6_000, shutdown: 'drain', drainTimeoutMs: 10_000 },
    ...{ spoolBytes: 64 << 20, spoolPolicy: 'drop-oldest' },
  },
  exec: { path: [] },
  log: { level: 'info' },
}

test('without a file, with an empty one and with empty sections every setting has its default', () => {
  expect(loadConfig(home)).toEqual(DEFAULTS)
  for (const text of ['', '# nothing\n', '---\n', 'name:\ntransport:\n', 'transport: {}\ndeployment: {queueSize: }\n']) expect(read(text)).toEqual(DEFAULTS)
})

test('nested, dotted and flat names say the same', () => {
  const nested = read('transport:\n  mdns: false\n  listen: [/ip4/10.0.0.1/tcp/9]\ndeployment: {maxConcurrentTasks: 7}\nexec: {path: [/opt/bin]}\n')
  expect(nested).toMatchObject({
    transport: { mdns: false, listen: ['/ip4/10.0.0.1/tcp/9'] },
    deployment: { maxConcurrentTasks: 7 },
    exec: { path: ['/opt/bin'] },
  })
  expect(read('transport.mdns: false\ntransport.listen: [/ip4/10.0.0.1/tcp/9]\ndeployment.maxConcurrentTasks: 7\nexec.path: [/opt/bin]\n')).toEqual(nested)
  expect(read('mdns: false\nlisten: [/ip4/10.0.0.1/tcp/9]\nslots: 7\nexecPath: [/opt/bin]\n')).toEqual(nested)
})

test('the API has an address, keys and a token', () => {
  const { transport } = read('transport: {api: {listen: "[::1]:0", tls: {cert: /c.pem, key: /k.pem, clientCa: /ca.pem}, token: /t}}')
  expect(transport.api).toEqual({ host: '::1', port: 0, tls: { certPath: '/c.pem', keyPath: '/k.pem', clientCaPath: '/ca.pem' }, tokenPath: '/t' })
})

const ten = (word: string): string => `[${Array(10).fill(word).join(', ')}]`
const BOMB = `labels: {a: &a ${ten('x')}, b: &b ${ten('*a')}, c: &c ${ten('*b')}, d: ${ten('*c')}}\n`

test.each([
  ['no YAML', 'name: [', /: line [12]: /],
  ['a key twice', 'name: a\nname: b\n', /: line 2: .*unique/],
  ['a list', '- name', /not a list of settings/],
  ['one word', 'hello', /not a list of settings/],
  ['a mistyped key', 'version: 1\n\nlable: {}', /: line 3: unknown setting "lable", did you mean "labels"/],
  ['a mistyped key of a section', 'deployment:\n  queuesize: 3\n', /: line 2: unknown setting "deployment.queuesize", did you mean "deployment.queueSize"/],
  ['a key in the wrong place', 'queueSize: 3\n', /: line 1: unknown setting "queueSize", did you mean "deployment.queueSize"/],
  ['an unknown key', 'quantum: true', /: line 1: unknown setting "quantum"$/],
  ['a value for a section', 'transport: tcp', /: line 1: "transport" is a section; its settings are transport.listen,/],
  ['a key that is a list', '[a]: 1', /unknown setting/],
  ['a setting twice', 'slots: 3\ndeployment:\n  maxConcurrentTasks: 4\n', /: line 3: "slots" \(line 1\) and "deployment.maxConcurrentTasks" are the same/],
  ['a port for an address', 'transport:\n  listen: [4701]', /: line 2: transport.listen: /],
  ['an unknown preset', 'preset: public', /: line 1: preset: must be one of local, lan, internet/],
  ['a number for a duration', 'deployment: {queueTimeout: 90}', /: line 1: deployment.queueTimeout: must be a duration from 1s to 30d, like 90s/],
  ['an alias bomb', BOMB, /: line 1: labels: Excessive alias count/],
  ['mode against preset', 'mode: local-only\npreset: lan\n', /: line 2: mode local-only does not go with preset lan/],
  ['preset against mode', 'preset: local\nmode: distributed-cluster\n', /: line 1: mode distributed-cluster does not go with preset local/],
  ['mode against addresses', 'mode: local-only\ntransport:\n  listen: [/ip4/127.0.0.1/tcp/1, /ip4/10.0.0.1/tcp/1]\n', /: line 3: .*10\.0\.0\.1/],
  ['mode against the API', 'mode: local-only\ntransport: {api: {listen: "0.0.0.0:80"}}\n', /: line 2: mode local-only does not go with an API on 0\.0\.0\.0/],
  [
    'strangers on the API',
    'security: {requireAuth: false}\ntransport:\n  api: {listen: "10.0.0.1:80"}\n',
    /: line 1: security.requireAuth can be false on loopback only/,
  ],
  ['a certificate without its key', 'transport: {api: {tls: {cert: /c.pem}}}', /: line 1: transport.api.tls.cert needs transport.api.tls.key/],
  ['a key without its certificate', 'transport: {api: {tls: {key: /k.pem}}}', /: line 1: transport.api.tls.key needs transport.api.tls.cert/],
  ['client certificates without one of ours', 'transport: {api: {tls: {clientCa: /c.pem}}}', /clientCa needs/],
])('a damaged file is named with the line and what is wrong: %s', (_name, text, words) => {
  expect(() => read(text)).toThrowError(refusal('CONFIG_DAMAGED', words))
  expect(() => read(text)).toThrowError(new RegExp(`^${join(home, 'runtime.yaml')}: `))
})

test('a file that is no configuration is refused by its size', () => {
  expect(() => read(`# ${'x'.repeat(256 * 1_024)}\n`)).toThrowError(refusal('CONFIG_DAMAGED', /longer than 256 KiB/))
})

test('a file of a newer errand is refused as such, whatever it holds', () => {
  expect(() => read('quantum: true\nversion: 2\n')).toThrowError(refusal('NEWER_STATE', /version 2.*up to 1/))
})

test('no text makes the reader fail without a sentence', async () => {
  const words = fc.constantFrom('transport', 'listen', ':', ' ', '\n', '  ', '- ', '{', '}', '[', ']', '&a', '*a', '"', '1', 'labels', 'version', '#', '?', '|')
  const refused = (text: string): string => {
    try {
      parseConfig(text, '/h/runtime.yaml')
      return 'read'
    } catch (thrown) {
      return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown)
    }
  }
  await fc.assert(
    fc.property(fc.array(words, { maxLength: 24 }), (text) => {
      expect(['read', 'CONFIG_DAMAGED', 'NEWER_STATE']).toContain(refused(text.join('')))
    }),
    { numRuns: 2_000 },
  )
})

test.each([
  ['mode: remote-enabled', { mode: 'remote-enabled', preset: 'lan' }],
  ['mode: distributed-cluster\npreset: internet', { mode: 'distributed-cluster', preset: 'internet' }],
  ['mode: local-only', { mode: 'local-only', preset: 'local' }],
  ['preset: lan', { mode: 'remote-enabled', preset: 'lan' }],
  ['listen: [/ip4/10.0.0.1/tcp/1]', { mode: 'remote-enabled', preset: 'local' }],
  ['preset: lan\nlisten: [/ip4/127.0.0.1/tcp/1]', { mode: 'local-only', preset: 'lan' }],
  ['mode: distributed-cluster\nlisten: [/ip4/127.0.0.1/tcp/1]', { mode: 'distributed-cluster' }],
])('mode and preset follow each other: %s', (text, expected) => expect(read(text)).toMatchObject(expected))

test('the first start listens on loopback only; named addresses rule over presets', () => {
  expect(listenOf(DEFAULTS)).toEqual({ addresses: ['/ip4/127.0.0.1/tcp/0'], chosen: false })
  expect(listenOf(withPreset(DEFAULTS, 'lan'))).toEqual({ addresses: ['/ip4/0.0.0.0/tcp/4701'], chosen: false })
  expect(withPreset(DEFAULTS, 'lan').mode).toBe('remote-enabled')
  expect(listenOf(read('preset: lan\nlisten: [/ip4/10.0.0.1/tcp/9]'))).toEqual({ addresses: ['/ip4/10.0.0.1/tcp/9'], chosen: true })
})

test('setting one value keeps the rest of the file, comments and spelling too, and the file private', () => {
  put('runtime.yaml', '# mine\nversion: 1\nslots: 3 # few\n\n# the network\ntransport:\n  # quiet\n  mdns: false\n')
  expect(saveSetting(home, 'preset', 'lan')).toEqual({ name: 'preset', gone: [], backup: undefined })
  saveSetting(home, 'deployment.maxConcurrentTasks', 4)
  saveSetting(home, 'transport.dht', false)
  expect(got('runtime.yaml')).toBe('# mine\nversion: 1\nslots: 4 # few\n\n# the network\ntransport:\n  # quiet\n  mdns: false\n  dht: false\npreset: lan\n')
  expect((statSync(join(home, 'runtime.yaml')).mode & 0o777).toString(8)).toBe('600')
})

test('a setting finds its section, made, empty or in one line; null goes back to the default', () => {
  saveSetting(home, 'deployment.queueSize', 7)
  expect(got('runtime.yaml')).toBe('version: 1\ndeployment:\n  queueSize: 7\n')
  put('runtime.yaml', 'transport:\ndeployment: {queueSize: 3}\n')
  saveSetting(home, 'transport.api.listen', '127.0.0.1:80')
  saveSetting(home, 'deployment.shutdown', 'suspend')
  expect(loadConfig(home)).toMatchObject({ transport: { api: { port: 80 } }, deployment: { queueSize: 3, shutdown: 'suspend' } })
  saveSetting(home, 'deployment.queueSize', null)
  saveSetting(home, 'deployment.queueTimeout', null)
  expect(loadConfig(home).deployment).toMatchObject({ queueSize: 1_024, shutdown: 'suspend' })
})

test('every setting can be set to its default and read again', async () => {
  const { settingOf } = await import('../../../src/node/config-schema.ts')
  for (const name of NAMES) if (settingOf(name).fallback !== undefined) saveSetting(home, name, settingOf(name).fallback)
  expect(loadConfig(home)).toEqual(DEFAULTS)
})

test('the last word on where to listen counts', () => {
  put('runtime.yaml', 'mode: local-only\n')
  expect(saveSetting(home, 'preset', 'lan').gone).toEqual(['mode'])
  expect(loadConfig(home)).toMatchObject({ mode: 'remote-enabled', preset: 'lan' })
  expect(saveSetting(home, 'mode', 'local-only').gone).toEqual(['preset'])
  expect(loadConfig(home)).toMatchObject({ mode: 'local-only', preset: 'local' })
  expect(saveSetting(home, 'preset', 'local').gone).toEqual([])
})

test('what does not fit is not saved, neither by itself nor with the others', () => {
  put('runtime.yaml', 'transport: {api: {listen: "0.0.0.0:80"}}\n')
  const before = got('runtime.yaml')
  expect(() => saveSetting(home, 'slots', 'many')).toThrowError(
    refusal('BAD_SETTING', /^deployment.maxConcurrentTasks: must be a whole number from 1 to 4,096$/),
  )
  expect(() => saveSetting(home, 'slot', 3)).toThrowError(refusal('BAD_SETTING', /did you mean "slots"/))
  expect(() => saveSetting(home, 'transport', {})).toThrowError(refusal('BAD_SETTING', /is a section/))
  expect(() => saveSetting(home, 'requireAuth', false)).toThrowError(refusal('BAD_SETTING', /^security.requireAuth can be false on loopback only/))
  expect(got('runtime.yaml')).toBe(before)
  expect(readdirSync(home)).toEqual(['runtime.yaml'])
})

test('a damaged file is mended by hand, not by a change', () => {
  put('runtime.yaml', 'lables: {}\n')
  expect(() => saveSetting(home, 'preset', 'lan')).toThrowError(refusal('CONFIG_DAMAGED', /line 1/))
})

const OLD =
  '# my laptop\nversion: 1\nname: laptop # short\n# few at once\nslots: 3 # two cores\n\nmdns: false\nlisten:\n  # the desk\n  - /ip4/10.0.0.1/tcp/9\n# the end\n'

test('a home with only config.yaml means what it meant', () => {
  put('config.yaml', OLD)
  expect(loadConfig(home)).toMatchObject({ name: 'laptop', deployment: { maxConcurrentTasks: 3 }, transport: { mdns: false, listen: ['/ip4/10.0.0.1/tcp/9'] } })
  expect(() => parseConfig(got('config.yaml'), 'x')).not.toThrow()
  expect(readdirSync(home)).toEqual(['config.yaml'])
})

test('its first change makes runtime.yaml of it, with its comments, and keeps a copy', () => {
  put('config.yaml', OLD)
  const before = loadConfig(home)
  const backup = join(home, 'config.yaml.bak')
  expect(saveSetting(home, 'slots', 5)).toEqual({ name: 'deployment.maxConcurrentTasks', gone: [], backup })
  expect(got('config.yaml.bak')).toBe(OLD)
  expect(existsSync(join(home, 'config.yaml'))).toBe(false)
  expect(loadConfig(home)).toEqual({ ...before, deployment: { ...before.deployment, maxConcurrentTasks: 5 } })
  const now = got('runtime.yaml')
  for (const comment of ['# my laptop', '# short', '# few at once', '# two cores', '# the desk', '# the end']) expect(now).toContain(comment)
  expect(now).not.toMatch(/^(slots|mdns|listen)/m)
  expect(now).toContain('deployment:\n  # few at once\n  maxConcurrentTasks: 5 # two cores\n')
})

test('both files at once are refused with what to do', () => {
  put('config.yaml', 'slots: 3\n')
  put('runtime.yaml', 'name: a\n')
  const both = refusal('CONFIG_TWICE', /both runtime\.yaml and config\.yaml/)
  expect(() => loadConfig(home)).toThrowError(both)
  expect(() => saveSetting(home, 'slots', 4)).toThrowError(both)
  expect(got('config.yaml')).toBe('slots: 3\n')
})
