import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { foundMesh } from '../../../src/node/found.ts'
import { Home } from '../../../src/node/home.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'errand-home-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const refusal = (code: string): object => expect.objectContaining({ code, hint: expect.stringMatching(/./) })
const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)

function founded(path = dir): Home {
  const home = Home.open(path)
  const { mesh, membership } = foundMesh({
    device: home.device().identity,
    owner: home.makeOwner(),
    name: 'home',
    deviceName: 'alice',
    clock: systemClock,
    random: systemRandom,
  })
  home.saveMesh(mesh.bytes, membership)
  return home
}

test('a new home is made, private to its user, and says the same of itself the next time', () => {
  const path = join(dir, 'deep', 'home')
  const home = founded(path)
  expect([modeOf(path), modeOf(join(path, 'identity')), modeOf(join(path, 'identity/device.pem')), modeOf(join(path, 'identity/owner.pem'))]).toEqual([
    '700',
    '700',
    '600',
    '600',
  ])
  const again = Home.open(path)
  expect(again.device()).toMatchObject({ created: false, identity: { did: home.device().identity.did } })
  expect(again.owner()?.did).toBe(home.owner()?.did)
  expect(again.mesh()?.mesh.id).toEqual(home.mesh()?.mesh.id)
})

test('a home that others could enter is closed to them', () => {
  chmodSync(dir, 0o755)
  Home.open(dir)
  expect(modeOf(dir)).toBe('700')
})

test('somebody’s documents are not a home, and stay as they are', () => {
  writeFileSync(join(dir, 'thesis.odt'), '')
  chmodSync(dir, 0o755)
  expect(() => Home.open(dir)).toThrowError(refusal('HOME_NOT_OURS'))
  expect([modeOf(dir), existsSync(join(dir, 'identity'))]).toEqual(['755', false])
})

test('a file is no home', () => {
  const path = join(dir, 'file')
  writeFileSync(path, '')
  expect(() => Home.open(path)).toThrowError(refusal('NOT_A_DIRECTORY'))
  expect(() => Home.open(join(path, 'below'))).toThrowError(refusal('NOT_A_DIRECTORY'))
})

test('a place where nobody can write is refused, root or not', () => {
  expect(() => Home.open('/sys/errand-test')).toThrowError(refusal('HOME_NOT_WRITABLE'))
})

test('a link that leads nowhere is refused', () => {
  symlinkSync(join(dir, 'nowhere'), join(dir, 'link'))
  expect(() => Home.open(join(dir, 'link'))).toThrowError(expect.objectContaining({ code: expect.stringMatching(/^(HOME_FAILED|NOT_A_DIRECTORY)$/) }))
})

test('a key that others can read is not used', () => {
  const home = founded()
  chmodSync(home.at('identity/device.pem'), 0o644)
  expect(() => Home.open(dir).device()).toThrowError(refusal('KEY_EXPOSED'))
})

test('a damaged key is named, not replaced', () => {
  const home = founded()
  writeFileSync(home.at('identity/owner.pem'), 'no key')
  expect(() => Home.open(dir).owner()).toThrowError(refusal('KEY_DAMAGED'))
  expect(() => Home.open(dir).makeOwner()).toThrowError(refusal('KEY_DAMAGED'))
})

test('a device whose key is gone is not quietly made a new one', () => {
  const home = founded()
  rmSync(home.at('identity/device.pem'))
  expect(() => Home.open(dir).device()).toThrowError(refusal('KEY_MISSING'))
})

test.each(['genesis.cbor', 'membership.cbor'])('a damaged or missing %s is named', (name) => {
  const home = founded()
  if (name === 'genesis.cbor') writeFileSync(home.at('identity', name), 'x')
  else rmSync(home.at('identity', name))
  expect(() => Home.open(dir).mesh()).toThrowError(refusal('STATE_DAMAGED'))
})

test('a device that lost the genesis document of its mesh does not found another one', () => {
  const home = founded()
  mkdirSync(home.at('db'))
  rmSync(home.at('identity/genesis.cbor'))
  expect(() => Home.open(dir).mesh()).toThrowError(refusal('STATE_DAMAGED'))
})

test('where no directory can be made it says so at once', () => {
  expect(() => Home.open('/proc/errand/home')).toThrowError(refusal('HOME_NOT_WRITABLE'))
})

test('leaving a mesh keeps the device’s key and puts the rest aside', () => {
  const home = founded()
  mkdirSync(home.at('db'))
  const { did } = home.device().identity
  const aside = home.leaveMesh()
  expect(home.mesh()).toBeUndefined()
  expect(home.device()).toMatchObject({ created: false, identity: { did } })
  for (const name of ['db', 'identity/genesis.cbor', 'identity/membership.cbor', 'identity/owner.pem']) expect(existsSync(join(aside, name))).toBe(true)
})
