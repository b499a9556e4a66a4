/** Rights that go on while nobody above can be reached: alice owns it all and is gone; what she gave bob goes to carol, to dave, to erin. */
import { expect, test } from 'vitest'
import type { GrantView } from '../../protocols/local/messages.ts'
import { failureOf, jsonOf, type Node, until, world } from '../support/world.ts'

test('four hops without the owner: each narrower, refused where it would be wider, and carried by the chain alone', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const [work, ...others] = await Promise.all(
    ['work', 'bob', 'carol', 'dave', 'erin'].map((name) => w.joiner(alice, name, name === 'work' ? {} : { invite: ['--ask', 'exec: true'] })),
  )
  const [bob, carol, dave, erin] = others
  if (work === undefined || bob === undefined || carol === undefined || dave === undefined || erin === undefined) throw new Error('five devices')
  const give = async (by: Node, to: string, can: string, life: string): Promise<GrantView> => {
    const ran = await w.errand(by.home, 'grant', to, '--on', 'work', '--can', can, '--for', life, '--json')
    const [first] = jsonOf<GrantView[]>(ran)
    if (ran.code !== 0 || first === undefined) throw new Error(`no grant: ${ran.stdout}${ran.stderr}`)
    return first
  }
  await give(alice, 'bob', 'exec: echo, head; output 1KiB', '1h')
  for (const one of others) await w.connected(one.home, 'work', ...others.filter(({ home }) => home !== one.home).map(({ name }) => name))
  await until('bob holds it', async () => jsonOf<GrantView[]>(await w.errand(bob.home, 'grants', '--json')).some(({ audience }) => audience === 'bob'))
  await alice.stop()
  await give(bob, 'carol', 'exec: echo, head; output 512B', '50m')
  await give(carol, 'dave', 'exec: echo; output 512B', '40m')
  const last = await give(dave, 'erin', 'exec: echo hi; output 256B', '30m')
  expect(last.parents).toHaveLength(4)
  const run = async (by: Node, size: string, ...command: string[]) => await w.errand(by.home, 'run', 'work', '--max-output', size, '--', ...command)
  expect(await run(erin, '200B', 'echo', 'hi', 'there')).toMatchObject({ code: 0, stdout: 'hi there\n' })
  expect(await run(erin, '300B', 'echo', 'hi')).toMatchObject({ code: 126 })
  expect(await w.run(erin.home, 'work', 'echo', 'hi')).toMatchObject({ code: 126 })
  expect(await run(erin, '200B', 'echo', 'other')).toMatchObject({ code: 126 })
  expect(await run(dave, '512B', 'head', '/etc/hostname')).toMatchObject({ code: 126 })
  expect((await run(carol, '100B', 'head', '-c', '4000', '/dev/zero')).stdout.length).toBeLessThanOrEqual(100)
  for (const can of ['exec: echo hi; output 300B', 'exec: echo; output 256B', 'exec: echo hi', 'exec: head; output 1B', 'everything'])
    expect(failureOf(await w.errand(erin.home, 'grant', 'bob', '--on', 'work', '--can', can, '--for', '1m', '--json')), can).toMatchObject({
      code: 'CANNOT_GRANT',
    })
  const later = await w.errand(
    erin.home,
    'grant',
    'carol',
    '--on',
    'work',
    '--can',
    'exec: echo hi; output 256B',
    '--for',
    '5m',
    '--from',
    '15m',
    '--no-pass-on',
    '--json',
  )
  expect(jsonOf<GrantView[]>(later)).toMatchObject([{ words: expect.stringMatching(/beginning in 1[45]m, not to be passed on$/) }])
})
