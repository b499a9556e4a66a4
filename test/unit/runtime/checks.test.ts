/** What a request has to pass beyond its right: in one order, once more at the start, and a check that fails is a no. */
import { expect, test } from 'vitest'
import type { Asked, Check, Step, Verdict } from '../../../src/runtime/checks.ts'
import { settled } from '../base/hand-clock.ts'
import { laptop, World } from './door-world.ts'

const YES: Verdict = { ok: true, detail: 'fine' }

function check(step: Step, judge: (asked: Asked, when: 'admission' | 'start') => Verdict | Promise<Verdict>): Check {
  return { step, judge }
}

test('checks are asked in the order of the steps, whatever order they are given in, and the first no ends it', async () => {
  const asked: Step[] = []
  const noting = (step: Step, verdict: Verdict = YES): Check =>
    check(step, () => {
      asked.push(step)
      return verdict
    })
  const no: Verdict = { ok: false, code: 'UNTRUSTED', detail: 'laptop is not trusted here', hint: 'ask the owner' }
  const world = await World.open({ checks: [noting('policy'), noting('trust', no), noting('lockdown')] })
  const answer = await world.call(laptop, world.open(laptop, [world.grant(laptop)])).answer()
  expect(answer).toMatchObject({ t: 'refused', code: 'DENIED', message: 'laptop is not trusted here' })
  expect(asked).toEqual(['lockdown', 'trust'])
  expect(world.audit.facts).toMatchObject([{ action: 'exec.denied', actor: laptop.did, details: { reason: 'laptop is not trusted here' } }])
  expect(world.executor.started).toHaveLength(0)
})

test('a check sees what was declared, by whom, and on what right', async () => {
  let seen: Asked | undefined
  const world = await World.open({
    checks: [
      check('policy', (asked) => {
        seen = asked
        return YES
      }),
    ],
  })
  const grant = world.grant(laptop)
  world.call(laptop, world.open(laptop, [grant]))
  await settled()
  expect(seen).toMatchObject({ caller: laptop.did, command: '/exec/run', args: { exe: 'make', argv: ['test'] } })
  expect(seen?.admission.chain.map(({ cid }) => cid)).toEqual([grant.cid])
})

test('what was allowed when it came and is not any more when it starts does not start', async () => {
  const verdict = (when: 'admission' | 'start'): Verdict => (when === 'admission' ? YES : { ok: false, code: 'LOCKED', detail: 'this device is locked down' })
  const world = await World.open({ checks: [check('lockdown', (_, when) => verdict(when))] })
  const answer = await world.call(laptop, world.open(laptop, [world.grant(laptop)])).answer()
  expect(answer).toMatchObject({ t: 'refused', code: 'DENIED', message: 'this device is locked down' })
  expect(world.executor.started).toHaveLength(0)
  expect(world.audit.actions()).toEqual(['exec.start', 'exec.end'])
})

test('a check that fails is a no', async () => {
  const world = await World.open({ checks: [check('policy', () => Promise.reject(new Error('the policy cannot be read')))] })
  expect(await world.call(laptop, world.open(laptop, [world.grant(laptop)])).answer()).toMatchObject({ t: 'refused' })
  expect(world.executor.started).toHaveLength(0)
})
