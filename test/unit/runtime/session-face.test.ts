/** What a session cannot ask for: everything that is not written down as its own. */
import { expect, test } from 'vitest'
import type { Fact } from '../../../src/audit/facts.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { DenialMeter } from '../../../src/runtime/denial.ts'
import type { Session } from '../../../src/runtime/session.ts'
import { type FaceOn, sessionFace } from '../../../src/runtime/session-face.ts'
import { laptop } from './door-world.ts'

const ID = '019aa3c1-0000-7000-8000-00000000005e'

function faceOf(facts: Fact[] = []): Record<string, (...given: unknown[]) => unknown> {
  const session = { id: ID, about: { name: 'nightly' }, devices: [] } as unknown as Session
  const audit = { append: (fact: Fact) => Promise.resolve(facts.push(fact)) }
  const on = { self: laptop.did, sessions: {}, log: {}, audit, denials: new DenialMeter(systemClock), clock: systemClock } as unknown as FaceOn
  return sessionFace(session, on) as never
}

test.each(['getStatus', 'listAgents', 'listGrants', 'grant', 'revoke', 'invite', 'readOffer', 'join', 'listen', 'shutdown', 'verifyAudit', 'learntTomorrow'])(
  '%s is refused, and the refusal is recorded with the session',
  async (name) => {
    const facts: Fact[] = []
    await expect(faceOf(facts)[name]?.()).rejects.toMatchObject({ code: 'DENIED', fields: { reason: 'IN_SESSION' } })
    expect(facts).toMatchObject([{ action: 'session.denied', result: 'denied', session: ID, details: { command: [name] } }])
  },
)

test('so is a room of the runtime, whatever is asked in it, and what would be a stream', async () => {
  const face = faceOf() as never as { orders: { label(): Promise<void> }; later: { deep: { room(): Promise<void> } }; stream(): AsyncIterable<unknown> }
  await expect(face.orders.label()).rejects.toMatchObject({ code: 'DENIED', message: expect.stringContaining('orders.label') })
  await expect(face.later.deep.room()).rejects.toMatchObject({ code: 'DENIED' })
  const heard = async (): Promise<void> => {
    for await (const _ of face.stream()) throw new Error('heard something')
  }
  await expect(heard()).rejects.toMatchObject({ code: 'DENIED' })
})

test('no session opens another one, or looks one up by a token', async () => {
  const { sessions } = faceOf() as never as { sessions: { open(): Promise<void>; enter(): Promise<void>; get(text: string): Promise<void> } }
  await expect(sessions.open()).rejects.toMatchObject({ code: 'DENIED' })
  await expect(sessions.enter()).rejects.toMatchObject({ code: 'DENIED' })
  await expect(sessions.get('another')).rejects.toMatchObject({ code: 'NO_SUCH_SESSION' })
})

test('a flood of what it may not do is counted, not written down one by one', async () => {
  const facts: Fact[] = []
  const face = faceOf(facts)
  for (let i = 0; i < 100; i++) await Promise.resolve(face['grant']?.()).catch(() => undefined)
  expect(facts.length).toBeLessThan(30)
})

test('a query for another session’s trail, and a task for another session, are refused before anything is read', () => {
  const face = faceOf() as never as { audit(query: object): unknown; submitTask(actor: object, request: object): Promise<unknown> }
  expect(() => face.audit({ session: 'other' })).toThrow(expect.objectContaining({ code: 'NO_SUCH_SESSION' }))
})
