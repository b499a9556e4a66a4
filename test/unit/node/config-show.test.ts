/** Where a value comes from: a default, the file, the environment, the command line of the node that runs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { socketPathOf } from '../../../src/base/paths.ts'
import { loadConfig } from '../../../src/node/config.ts'
import { forgetOverrides, overridesOf, recordedOverrides, recordOverrides } from '../../../src/node/config-overrides.ts'
import { NAMES } from '../../../src/node/config-schema.ts'
import { getSetting, listSettings, typeSetting } from '../../../src/node/config-show.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync('/tmp/e-config-')
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const put = (text: string): void => writeFileSync(join(home, 'runtime.yaml'), text)
const refusal = (code: string, words: RegExp): object =>
  expect.objectContaining({ code, message: expect.stringMatching(words), hint: expect.stringMatching(/./) })

test('the command line rules over the environment, that over the file, that over the default', () => {
  put('log: {level: warn}\npreset: lan\nname: paper\nlabels: {room: attic, desk: left}\n')
  const overrides = overridesOf({ preset: 'internet', labels: { room: 'cellar' }, listen: ['/ip4/10.0.0.1/tcp/1'] }, { ERRAND_LOG: 'debug' })
  expect(loadConfig(home, overrides)).toMatchObject({
    ...{ name: 'paper', preset: 'internet', log: { level: 'debug' }, labels: { room: 'cellar', desk: 'left' } },
    transport: { listen: ['/ip4/10.0.0.1/tcp/1'] },
  })
})

test('what was said on the command line is not held against the file', () => {
  put('mode: local-only\n')
  expect(loadConfig(home, overridesOf({ preset: 'lan' }, {}))).toMatchObject({ mode: 'remote-enabled', preset: 'lan' })
  expect(loadConfig(home, overridesOf({ listen: ['/ip4/10.0.0.1/tcp/1'] }, {}))).toMatchObject({ mode: 'remote-enabled' })
  const api = { name: 'transport.api.listen', value: '0.0.0.0:80', from: 'flag', where: '--api' } as const
  expect(loadConfig(home, [api])).toMatchObject({ mode: 'local-only', transport: { api: { host: '0.0.0.0', port: 80 } } })
  put('mode: remote-enabled\n')
  expect(loadConfig(home, overridesOf({ preset: 'local' }, {}))).toMatchObject({ mode: 'local-only', preset: 'local' })
})

test('a value that does not fit is named by where it was given', () => {
  expect(() => loadConfig(home, overridesOf({ name: 'Alice' }, {}))).toThrowError(refusal('BAD_SETTING', /^--name: a name has/))
  expect(() => loadConfig(home, overridesOf({}, { ERRAND_LOG: 'loud' }))).toThrowError(refusal('BAD_SETTING', /^ERRAND_LOG: must be one of fatal/))
  expect(loadConfig(home, overridesOf({}, { ERRAND_LOG: '' })).log.level).toBe('info')
})

test('the list has every setting and says of each where it comes from', async () => {
  put('mode: remote-enabled\n\nslots: 7\n')
  const list = await listSettings(home, { ERRAND_LOG: 'debug' })
  expect(list.map(({ name }) => name)).toEqual(NAMES)
  const said = Object.fromEntries(list.map(({ name, value, from, where, line }) => [name, { value, from, where, line }]))
  expect(said).toMatchObject({
    mode: { value: 'remote-enabled', from: 'file', where: 'runtime.yaml line 1', line: 1 },
    preset: { value: 'lan', from: 'default', where: 'follows mode', line: null },
    'deployment.maxConcurrentTasks': { value: 7, from: 'file', where: 'runtime.yaml line 3', line: 3 },
    'deployment.queueTimeout': { value: '1h', from: 'default', where: 'default' },
    'log.level': { value: 'debug', from: 'environment', where: 'ERRAND_LOG' },
    name: { value: null, from: 'default', where: 'follows the host name' },
  })
})

test('while a node runs it is the node whose command line and environment count', async () => {
  put('name: paper\n')
  recordOverrides(home, overridesOf({ preset: 'lan', name: 'flag' }, { ERRAND_LOG: 'warn' }))
  const env = { ERRAND_LOG: 'debug' }
  expect(await getSetting(home, 'preset', env)).toMatchObject({ value: 'local', from: 'default' }) // left behind by one that was killed
  const node = createServer().listen(socketPathOf(home))
  await new Promise((resolve) => node.once('listening', resolve))
  try {
    expect(await getSetting(home, 'preset', env)).toMatchObject({ value: 'lan', from: 'flag', where: '--preset' })
    expect(await getSetting(home, 'mode', env)).toMatchObject({ value: 'remote-enabled', where: 'follows preset' })
    expect(await getSetting(home, 'name', env)).toMatchObject({ value: 'flag', from: 'flag', where: '--name' })
    expect(await getSetting(home, 'log.level', env)).toMatchObject({ value: 'warn', from: 'environment' })
    forgetOverrides(home, 'preset')
    expect(await getSetting(home, 'preset', env)).toMatchObject({ value: 'local', from: 'default' })
    expect(await getSetting(home, 'name', env)).toMatchObject({ from: 'flag' })
  } finally {
    await new Promise((resolve) => node.close(resolve))
  }
})

test('what a node wrote down goes with it; a spoilt record counts for nothing', () => {
  recordOverrides(home, overridesOf({ name: 'a' }, {}))
  expect(recordedOverrides(home)).toHaveLength(1)
  writeFileSync(join(home, 'run', 'overrides.json'), '[{"name":"quantum","value":1,"from":"flag","where":"--q"}]')
  expect(recordedOverrides(home)).toEqual([])
  forgetOverrides(home)
  forgetOverrides(home)
  expect(recordedOverrides(home)).toEqual([])
})

test('a value is typed as a person would', () => {
  const value = (word: string, text: string): unknown => typeSetting(home, word, text).value
  expect(value('listen', '/ip4/10.0.0.1/tcp/1')).toEqual(['/ip4/10.0.0.1/tcp/1'])
  expect(value('transport.bootstrap', '[/ip4/10.0.0.1/tcp/1, /ip4/10.0.0.2/tcp/1]')).toHaveLength(2)
  expect(value('listen', 'null')).toEqual([])
  expect(value('labels', '{room: attic}')).toEqual({ room: 'attic' })
  expect(value('transport.api.listen', '[::1]:80')).toBe('[::1]:80')
  expect(value('deployment.spoolBytes', '1MiB')).toBe('1MiB')
  expect(value('mdns', 'false')).toBe(false)
  expect(typeSetting(home, 'slots', '7')).toMatchObject({ name: 'deployment.maxConcurrentTasks', value: 7, from: 'file', gone: [] })
  expect(() => typeSetting(home, 'slots', '[')).toThrowError(refusal('BAD_SETTING', /whole number/))
})

test('a name that is none is refused with the nearest one', async () => {
  await expect(getSetting(home, 'slot', {})).rejects.toThrowError(refusal('BAD_SETTING', /^unknown setting "slot", did you mean "slots"\?$/))
})
