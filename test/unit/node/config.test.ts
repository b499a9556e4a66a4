import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Config, getSetting, listenOf, listSettings, parseConfig, readConfig, SETTINGS, saveSetting } from '../../../src/node/config.ts'

let dir: string
let path: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'errand-config-'))
  path = join(dir, 'config.yaml')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const refusal = (code: string, words: RegExp): object =>
  expect.objectContaining({ code, message: expect.stringMatching(words), hint: expect.stringMatching(/./) })
const defaults = (): Config => parseConfig('', 'x')

test('without a file every setting has its default, and every default fits its own bounds', () => {
  expect(readConfig(path)).toEqual(defaults())
  const said = Object.entries(defaults()).filter(([, value]) => value !== undefined)
  expect(parseConfig(JSON.stringify(Object.fromEntries(said)), 'x')).toEqual(defaults())
  for (const { doc } of Object.values(SETTINGS)) expect(doc).not.toBe('')
})

test.each([
  ['no YAML', 'name: [', /line 1|line 2/],
  ['a list', '- name', /not a list of settings/],
  ['one word', 'hello', /not a list of settings/],
  ['a mistyped key', 'lable: {}', /did you mean "labels"/],
  ['an unknown key', 'quantum: true', /unknown setting "quantum"$/],
  ['a port for an address', 'listen: [4701]', /listen/],
  ['an address that is none', 'listen: ["0.0.0.0:4701"]', /multiaddr/],
  ['an unknown preset', 'preset: public', /preset/],
  ['no slots', 'slots: 0', /slots/],
  ['a relative path', 'execPath: [bin]', /execPath/],
  ['a name in capitals', 'name: Alice', /name/],
  ['a number for a switch', 'mdns: 1', /mdns/],
])('a damaged config is named with what is wrong: %s', (_name, text, words) => {
  expect(() => parseConfig(text, '/h/config.yaml')).toThrowError(refusal('CONFIG_DAMAGED', words))
  expect(() => parseConfig(text, '/h/config.yaml')).toThrowError(/^\/h\/config\.yaml: /)
})

test('a file of a newer errand is refused as such', () => {
  expect(() => parseConfig('version: 2\nquantum: true', 'x')).toThrowError(refusal('NEWER_STATE', /version 2.*up to 1/))
})

test('setting one value keeps the rest of the file, comments too, and the file private', () => {
  writeFileSync(path, '# mine\nversion: 1\nslots: 3 # few\n', { mode: 0o600 })
  saveSetting(path, 'preset', 'lan')
  expect(readFileSync(path, 'utf8')).toContain('slots: 3 # few')
  expect(readConfig(path)).toMatchObject({ slots: 3, preset: 'lan' })
  expect((statSync(path).mode & 0o777).toString(8)).toBe('600')
})

test('what does not fit is not saved', () => {
  expect(() => saveSetting(path, 'slots', 'many')).toThrowError(refusal('BAD_SETTING', /slots/))
  expect(() => saveSetting(path, 'slot', 3)).toThrowError(refusal('BAD_SETTING', /did you mean "slots"/))
  expect(readConfig(path)).toEqual(defaults())
})

test('a list of settings says where each value comes from', () => {
  saveSetting(path, 'slots', 7)
  expect(getSetting(path, 'slots')).toMatchObject({ value: 7, from: 'file' })
  expect(listSettings(path).filter(({ from }) => from === 'default')).toHaveLength(Object.keys(SETTINGS).length - 2)
  expect(() => getSetting(path, 'slot')).toThrowError(refusal('BAD_SETTING', /slots/))
})

test('the first start listens on loopback only; named addresses rule over presets', () => {
  expect(listenOf(defaults())).toEqual({ addresses: ['/ip4/127.0.0.1/tcp/0'], chosen: false })
  expect(listenOf({ preset: 'lan', listen: [] }).addresses).toEqual(['/ip4/0.0.0.0/tcp/4701'])
  expect(listenOf({ preset: 'lan', listen: ['/ip4/10.0.0.1/tcp/9'] })).toEqual({ addresses: ['/ip4/10.0.0.1/tcp/9'], chosen: true })
})

test('docs/operating.md names every setting with its default, and no other', () => {
  const table = readFileSync('docs/operating.md', 'utf8').split('## Settings')[1]?.split('\n## ')[0] ?? ''
  const rows = [...table.matchAll(/^\| `(\w+)` \| (.+?) \|/gm)].map(([, name = '', said = '']) => [name, said] as const)
  const expected = Object.entries(SETTINGS).map(([name, { fallback }]) => [
    name,
    fallback === undefined ? 'host name' : `\`${typeof fallback === 'string' ? fallback : JSON.stringify(fallback)}\``,
  ])
  expect(rows).toEqual(expected)
})
