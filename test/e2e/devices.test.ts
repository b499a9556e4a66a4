/** What devices say of themselves and what is shown of them: everybody, also who is away, and nothing that is nobody's business. */
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import type { DeviceView, Status } from '../../protocols/local/messages.ts'
import { decodeAs, Envelope, MAX_ENVELOPE_BYTES } from '../../protocols/wire.ts'
import { jsonOf, until, type World, world } from '../support/world.ts'

async function deviceOf(w: World, home: string, name: string): Promise<DeviceView | undefined> {
  return (await w.devices(home)).find((device) => device.name === name)
}

test('every device shows every other with labels, capabilities, path and speed', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob', { config: { slots: 7 } })
  await bob.stop()
  const labelled = await w.up(bob.home, '--label', 'room=attic', '--label', 'gpu=none')
  for (const { home } of [alice, labelled]) {
    const seen = await until('bob is described', async () => {
      const device = await deviceOf(w, home, 'bob')
      return device?.capabilities != null && device.labels['room'] === 'attic' && device
    })
    expect(seen).toMatchObject({
      ...{ name: 'bob', did: bob.did, peerId: bob.ready.peerId, online: true, path: home === alice.home ? 'direct' : 'self', rttMs: expect.any(Number) },
      labels: { room: 'attic', gpu: 'none' },
      capabilities: {
        os: process.platform,
        arch: process.arch,
        cpus: expect.any(Number),
        memoryBytes: expect.any(Number),
        load: expect.any(Number),
        version: expect.any(String),
        freeSlots: 7,
      },
    })
    expect(Date.now() - Date.parse(seen.lastSeen ?? '')).toBeLessThan(60_000)
    expect(seen.capabilities?.cpus).toBeGreaterThan(0)
    expect(await w.devices(home)).toHaveLength(2)
  }
  const text = (await w.errand(alice.home, 'devices')).stdout
  expect(text).toMatch(/^bob +online +direct +.* ms .*room=attic/m)
})

test('a device that was killed is shown offline with the time it was last seen, never dropped, and online again when it is back', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  const carol = await w.joiner(alice, 'carol')
  await w.connected(alice.home, 'bob', 'carol')
  expect(jsonOf<Status>(await w.errand(alice.home, 'status', '--json')).devices).toEqual({ known: 3, online: 3 })
  // Something newer than what carol has on her disk of him: she will hear it from alice, as news, when bob is long gone.
  const working = await w.errand(alice.home, 'run', 'bob', '--detach', '--', 'sleep', '600')
  expect(working.code).toBe(0)
  await until('carol heard bob again', async () => (await deviceOf(w, carol.home, 'bob'))?.capabilities?.freeSlots === 255)
  const killedAt = Date.now()
  await bob.kill()
  for (const { home } of [alice, carol]) {
    const away = await until(
      'bob is shown offline',
      async () => {
        const device = await deviceOf(w, home, 'bob')
        return device?.online === false && device
      },
      60_000,
    )
    expect(away).toMatchObject({ online: false, path: null, rttMs: null, capabilities: { os: process.platform } })
    expect(Math.abs(Date.parse(away.lastSeen ?? '') - killedAt)).toBeLessThan(20_000)
  }
  expect((await w.errand(alice.home, 'devices')).stdout).toMatch(/^bob +offline since .* ago/m)
  expect(jsonOf<Status>(await w.errand(alice.home, 'status', '--json')).devices).toEqual({ known: 3, online: 2 })
  const wrong: unknown[] = []
  // A restart of the one who watches forgets neither the device nor when it was seen.
  await carol.stop()
  const watching = await w.up(carol.home)
  await w.connected(watching.home, 'alice') // who hands on what bob said last
  await until('carol has been up for a while, and bob was offline all along', async () => {
    const remembered = await deviceOf(w, watching.home, 'bob')
    if (remembered?.online !== false || Date.parse(remembered.lastSeen ?? '') > killedAt + 1_000) wrong.push(remembered)
    return jsonOf<Status>(await w.errand(watching.home, 'status', '--json')).uptimeSeconds >= 5
  })
  expect(wrong).toEqual([])
  await w.up(bob.home)
  for (const { home } of [alice, watching]) await until('bob is back', async () => (await deviceOf(w, home, 'bob'))?.path === 'direct')
  expect((await w.errand(alice.home, 'cancel', working.stdout.trim())).code, 'what he ran outlived him').toBe(0)
})

test('a run on a device that is away fails with what to do, and runs nowhere else', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  await w.connected(alice.home, 'bob')
  await bob.stop()
  const marker = w.at('ran')
  const ran = await w.run(alice.home, 'bob', 'touch', marker)
  expect(ran.code).toBe(125)
  expect(ran.stderr).toMatch(/^errand: cannot reach "bob".*\nhint: /)
  expect(await w.audit(alice.home, '--action', 'exec.start')).toEqual([])
})

test('free slots follow what runs', async () => {
  await using w = world()
  const alice = await w.founder('alice', { slots: 3 })
  const bob = await w.joiner(alice, 'bob')
  await w.connected(bob.home, 'alice')
  const working = w.start(alice.home, ['run', 'alice', '--', 'sh', '-c', 'echo begun; sleep 600'])
  expect(await working.firstLine()).toBe('begun')
  await until('bob hears that one slot is taken', async () => (await deviceOf(w, bob.home, 'alice'))?.capabilities?.freeSlots === 2)
  await working.end('SIGINT')
  await until('bob hears that it is free again', async () => (await deviceOf(w, bob.home, 'alice'))?.capabilities?.freeSlots === 3)
})

test('an announcement holds what the contract lists and nothing of commands, paths, users or environment', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  await w.connected(bob.home, 'alice')
  const working = w.start(alice.home, [
    'run',
    'alice',
    '--env',
    'NEEDLE_NAME=needle-value',
    '--cwd',
    w.root,
    '--',
    'sh',
    '-c',
    'echo begun; sleep 600; echo needle-argv',
  ])
  expect(await working.firstLine()).toBe('begun')
  await bob.stop()
  const again = await w.up(bob.home) // keeps the first announcement that it hears
  await until('alice has announced herself since', async () => (await deviceOf(w, again.home, 'alice'))?.capabilities?.freeSlots === 255)
  await again.stop()
  const level = new Level<string, Uint8Array>(join(bob.home, 'db/main'), { keyEncoding: 'utf8', valueEncoding: 'view' })
  const records = await level.iterator({ gte: 's/records/', lt: 's/records0' }).all()
  await level.close()
  const said = records.filter(([key]) => key.startsWith('s/records/announcements/')).map(([, bytes]) => saidIn(bytes))
  expect(said).toContainEqual(expect.objectContaining({ device: alice.did, freeSlots: 255 }))
  for (const value of said) {
    const { limits: _, sandbox: __, ...always } = value // these once it has found out, by running it
    const machine = ['arch', 'cpus', 'gpus', 'loadPercent', 'memoryBytes', 'os', 'tools']
    expect(Object.keys(always).sort()).toEqual([...machine, 'device', 'freeSlots', 'labels', 'name', 'seq', 'v', 'version'].sort())
    const text = JSON.stringify(value)
    for (const secret of ['needle', 'NEEDLE', 'sleep', w.root, hostname(), `/${userInfo().username}`]) expect(text).not.toContain(secret)
  }
  await working.end('SIGINT')
})

/** Everything that an announcement says, also what no schema knows. */
function saidIn(bytes: Uint8Array): Record<string, unknown> {
  const [, payload] = decodeAs(Envelope, bytes, MAX_ENVELOPE_BYTES)
  return decodeAs(v.record(v.string(), v.unknown()), payload, MAX_ENVELOPE_BYTES)
}

test('labels that the owner gives are seen everywhere, before what a device says of itself, also by who was away; a device gives none', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  const carol = await w.joiner(alice, 'carol')
  await carol.stop()
  const said = jsonOf<{ acknowledged: string[]; unreachable: string[] }>(
    await w.errand(alice.home, 'device', 'label', 'bob', 'gpu=h200', 'room=attic', '--json'),
  )
  expect(said).toMatchObject({ acknowledged: ['bob'], unreachable: ['carol'] })
  const removed = await w.errand(alice.home, 'device', 'label', 'bob', '--remove', 'room')
  expect(removed.stdout).toMatch(/labels of bob changed · acknowledged by bob · out of reach: carol/)
  const again = await w.up(carol.home, '--label', 'gpu=none')
  for (const { home } of [alice, bob, again]) {
    await until('bob has its label', async () => (await deviceOf(w, home, 'bob'))?.labels['gpu'] === 'h200')
    expect((await deviceOf(w, home, 'bob'))?.labels).toEqual({ gpu: 'h200' })
  }
  const refused = await w.errand(bob.home, 'device', 'label', 'bob', 'gpu=8')
  expect([refused.code, refused.stderr]).toEqual([
    125,
    expect.stringMatching(/only an owner decides this.*\nhint: run it on a device that holds an owner’s key/),
  ])
  expect((await w.audit(alice.home, '--action', 'device.label')).map(({ words }) => words)).toEqual(['labels gpu=h200 room=attic', 'labels gpu=h200'])
})
