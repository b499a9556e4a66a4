/** The owner's key under a passphrase: open for as long as was said, on the disk never, and another passphrase opens nothing. */
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { Identity } from '../../../src/identity/identity.ts'
import { Home } from '../../../src/node/home.ts'
import { OwnerKey } from '../../../src/node/owner-key.ts'
import { HandClock } from '../base/hand-clock.ts'

const made: string[] = []
afterEach(() => {
  for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true })
})

function homeOf(): Home {
  const path = mkdtempSync('/tmp/e-ok-')
  made.push(path)
  rmSync(path, { recursive: true })
  return Home.open(path)
}

test('what was unlocked locks itself after the time that was said, and after a restart', async () => {
  const [home, clock] = [homeOf(), new HandClock()]
  const key = new OwnerKey(home, clock)
  const { identity, created } = key.make()
  expect([created, key.make().created, key.current()?.did]).toEqual([true, false, identity.did])
  key.protect('correct horse')
  expect([key.current(), key.did(), key.isProtected()]).toEqual([undefined, identity.did, true])
  expect(() => key.make()).toThrow('locked')
  expect(() => key.protect('battery staple')).toThrow('locked')
  expect([key.unlock('battery staple', 60_000), key.current()]).toEqual([false, undefined])
  expect([key.unlock('correct horse', 60_000), key.current()?.did]).toEqual([true, identity.did])
  await clock.advance(59_000)
  expect(key.current()?.did).toBe(identity.did)
  await clock.advance(2_000)
  expect(key.current()).toBeUndefined()
  key.unlock('correct horse', 60_000)
  key.lock()
  expect(key.current()).toBeUndefined()
  const again = new OwnerKey(home, clock)
  expect([again.current(), again.did()]).toEqual([undefined, identity.did])
  expect(again.unlock('correct horse', 60_000)).toBe(true)
})

test('nothing of the key lies in the home once it is protected; a shorter time after a longer one counts', async () => {
  const [home, clock] = [homeOf(), new HandClock()]
  const key = new OwnerKey(home, clock)
  const { seed } = key.make().identity
  key.protect('correct horse')
  const file = readFileSync(join(home.path, 'identity/owner.pem'))
  expect(file.includes(Buffer.from(seed))).toBe(false)
  expect(file.toString()).toContain('ENCRYPTED PRIVATE KEY')
  key.unlock('correct horse', 3_600_000)
  key.unlock('correct horse', 1_000)
  await clock.advance(1_500)
  expect(key.current()).toBeUndefined()
})

test('a key that was made by the recovery words takes the place of a locked one', () => {
  const [home, clock] = [homeOf(), new HandClock()]
  const key = new OwnerKey(home, clock)
  key.make()
  key.protect('correct horse')
  const next = key.next()
  expect(key.next()).toBe(next)
  key.adopt()
  expect([key.current()?.did, key.isProtected(), new OwnerKey(home, clock).current()?.did]).toEqual([next.did, false, next.did])
})

test('a damaged or readable file is said, and is no key', () => {
  const home = homeOf()
  const key = new OwnerKey(home, new HandClock())
  key.make()
  writeFileSync(join(home.path, 'identity/owner.pem'), 'nothing', { mode: 0o600 })
  expect(() => new OwnerKey(home, new HandClock())).toThrow('cannot be read')
})

test('a succession is finished by the next start wherever it was interrupted, and undone where it was not decided', () => {
  const home = homeOf()
  const { identity: old } = home.device()
  const next = new Identity(new Uint8Array(32).fill(9))
  const file = (name: string): string => join(home.path, 'identity', name)
  writeFileSync(file('membership.cbor'), 'old')
  writeFileSync(file('membership-next.cbor'), 'half')
  expect([home.device().identity.did, readFileSync(file('membership.cbor'), 'utf8')]).toEqual([old.did, 'old']) // before the key: nobody has heard of it
  home.keepNext(next, Buffer.from('new'))
  renameSync(file('membership-next.cbor'), file('membership.cbor')) // after the first of the two steps
  expect([home.device().identity.did, readFileSync(file('membership.cbor'), 'utf8')]).toEqual([next.did, 'new'])
  home.keepNext(old, Buffer.from('whole'))
  expect([home.device().identity.did, readFileSync(file('membership.cbor'), 'utf8')]).toEqual([old.did, 'whole'])
  expect(readdirSync(join(home.path, 'identity')).sort()).toEqual(['device.pem', 'membership.cbor'])
})
