/** A device that was away learns what was taken back before it accepts, also when the one that it was taken from comes first and says nothing. */
import { expect, test } from 'vitest'
import { TAG } from '../../protocols/exec/messages.ts'
import type { Did } from '../../src/identity/identity.ts'
import { world } from '../support/world.ts'
import { Attacker, ask, chainTo, command, ExecStream, enrol, openFrame } from './support-attack.ts'
import { addressOf } from './support-exec.ts'

test('who lost a right while a device was away, and is the first to call when it is back, is refused as soon as another member can be asked', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  const carol = await enrol(w, alice, 'carol', '--ask', 'exec: true', '--give', 'exec: echo', '--for', '1h')
  await w.connected(bob.home, 'alice')
  const chain = chainTo(carol, bob.did)
  await using caller = await Attacker.start(carol.meshId, carol.identity)
  const request = (challenge: Uint8Array): Uint8Array => openFrame({ by: carol.identity, to: bob.did as Did, challenge, args: command('echo', 'hello'), chain })
  const before = await caller.session(await addressOf(bob.home), carol.membership)
  expect(await ask(before.connection, request(before.challenge))).toMatchObject({ t: 'ended' })

  await bob.stop()
  const grant = chain.at(-1)?.cid ?? ''
  expect((await w.errand(alice.home, 'revoke', grant)).code).toBe(0)
  alice.process.child.kill('SIGSTOP') // it is there, and does not answer yet
  const again = await w.up(bob.home)
  expect((await w.run(again.home, 'bob', 'true')).code, 'it does its own work, and waits no more for what its log was').toBe(0)
  const session = await caller.session(again.ready.addresses[0] ?? '', carol.membership)
  const stream = await ExecStream.open(session.connection)
  await stream.link.write(TAG.open, request(session.challenge))
  alice.process.child.kill('SIGCONT')
  expect(await stream.answer()).toMatchObject({ t: 'refused', code: 'DENIED', reason: 'REVOKED' })
})
