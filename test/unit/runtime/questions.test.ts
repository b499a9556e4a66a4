/** Whether a command would run: answered to whoever may have it run, and to everybody else what a refused run says. Nothing runs, nothing is used up. */
import { expect, test } from 'vitest'
import { QUESTION_META } from '../../../protocols/authority/messages.ts'
import { encode } from '../../../protocols/wire.ts'
import { revoke } from '../../../src/authority/revocations.ts'
import { parseRight } from '../../../src/authority/rights.ts'
import { type AnyRecord, type Delegation, signInvocation } from '../../../src/authority/token.ts'
import { asErrand, type ErrandError } from '../../../src/base/errors.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { type Check, OthersCheck, type Step, type Verdict } from '../../../src/runtime/checks.ts'
import { Questions } from '../../../src/runtime/questions.ts'
import { CHALLENGE, device, laptop, mallory, taskId, World } from './door-world.ts'

const ARGS = {
  ...{ exe: 'make', argv: ['test'], cwd: '', env: [], user: '', timeoutMs: 0, maxOutputBytes: 0 },
  ...{ tty: false, stdin: false, task: taskId(900) },
}

function check(step: Step, verdict: Verdict): Check {
  return { step, judge: () => verdict }
}

function questionsOf(world: World, checks: readonly Check[] = []): Questions {
  const { revocations, audit, clock, places } = world
  return new Questions({ ...{ self: device.did, revocations, audit, clock, places, rates: { take: () => undefined }, named: (text) => text }, checks })
}

interface Shown {
  readonly chain?: readonly Delegation[]
  readonly args?: AnyRecord
  readonly meta?: AnyRecord
  readonly challenge?: Uint8Array
  readonly cmd?: string
}

/** What a caller shows: by default a question about `make test`. */
function shown(world: World, by: Identity, o: Shown = {}): { invocation: Uint8Array; proofs: Uint8Array[] } {
  const now = Math.floor(world.clock.now() / 1_000)
  const { chain = [], args = ARGS, meta = { [QUESTION_META]: true }, challenge = CHALLENGE, cmd = '/exec/run' } = o
  const { bytes } = signInvocation(by, {
    ...{ sub: device.did, aud: device.did, cmd, args, prf: chain.map(({ cid }) => cid), meta },
    ...{ nonce: Buffer.concat([challenge, world.random(16)]), exp: now + 60, iat: now },
  })
  return { invocation: bytes, proofs: chain.map((link) => link.bytes) }
}

async function refusal(promise: Promise<unknown>): Promise<ErrandError> {
  return await promise.then(
    () => Promise.reject(new Error('it was answered')),
    (thrown: unknown) => asErrand(thrown),
  )
}

test('who may have the command run hears every step; nothing is run, no place taken, no task made, and the log says that it was a question', async () => {
  const world = await World.open()
  const steps = await questionsOf(world, [check('policy', { ok: true, detail: 'no rule is against it' })]).answer(
    shown(world, laptop, { chain: [world.grant(laptop)] }),
    world.caller(laptop),
  )
  expect(steps).toMatchObject([
    { step: 'authority', ok: true, detail: expect.stringMatching(/^1h left/) },
    { step: 'policy', ok: true, detail: 'no rule is against it' },
    { step: 'limits', ok: true, detail: '4 of 4 places are free' },
  ])
  expect(world.executor.started).toHaveLength(0)
  expect(world.places.free).toBe(4)
  expect(world.book.counts()).toEqual({ active: 0, total: 0 })
  expect(world.audit.facts).toMatchObject([
    { action: 'exec.asked', result: 'allowed', actor: laptop.did, task: null, details: { command: ['make', 'test'], words: 'a question; nothing was run' } },
  ])
})

test('the steps end with the first no, and what comes after it is not asked', async () => {
  const world = await World.open()
  const never: Check = { step: 'approval', judge: () => Promise.reject(new Error('asked')) }
  const no = check('trust', { ok: false, code: 'UNTRUSTED', detail: 'laptop is not trusted here', hint: 'ask the owner' })
  const steps = await questionsOf(world, [never, no]).answer(shown(world, laptop, { chain: [world.grant(laptop)] }), world.caller(laptop))
  expect(steps).toMatchObject([
    { step: 'authority', ok: true },
    { step: 'trust', ok: false, detail: 'laptop is not trusted here', hint: 'ask the owner' },
  ])
  expect(world.audit.facts).toMatchObject([{ action: 'exec.asked', result: 'denied', details: { reason: 'trust: laptop is not trusted here' } }])
})

test.each<[string, (w: World) => { by: Identity; o: Shown }]>([
  ['without a grant', () => ({ by: mallory, o: {} })],
  ['with somebody else’s grant', (w) => ({ by: mallory, o: { chain: [w.grant(laptop)] } })],
  ['with a grant for other commands', (w) => ({ by: laptop, o: { chain: [w.grant(laptop, { pol: parseRight('exec: git').pol })] } })],
  ['with an expired grant', (w) => ({ by: laptop, o: { chain: [w.grant(laptop, { exp: Math.floor(w.clock.now() / 1_000) - 5 })] } })],
  [
    'with a revoked grant',
    (w) => {
      const grant = w.grant(laptop)
      w.revocations.add(revoke(device, grant.cid, w.random).bytes)
      return { by: laptop, o: { chain: [grant] } }
    },
  ],
])('who may not have it run, %s, learns what a refused run says and nothing more', async (_name, of) => {
  const world = await World.open({ checks: [check('policy', { ok: false, code: 'DENIED_COMMAND', detail: 'make is denied by policy.yaml line 7' })] })
  const { by, o } = of(world)
  const asked = await refusal(questionsOf(world, [check('policy', { ok: false, code: 'X', detail: 'secret' })]).answer(shown(world, by, o), world.caller(by)))
  const order = shown(world, by, { ...o, meta: {} })
  const run = await world.call(by, encode({ ...order, env: {} })).answer()
  expect(run).toMatchObject({ t: 'refused', code: asked.code, message: asked.message })
  expect(asked.message).not.toMatch(/secret|policy.yaml/)
})

test('a device that runs nothing for others says so to a question as to a command', async () => {
  const world = await World.open()
  const steps = await questionsOf(world, [new OthersCheck({ self: device.did, allowsOthers: false })]).answer(
    shown(world, laptop, { chain: [world.grant(laptop)] }),
    world.caller(laptop),
  )
  expect(steps.at(-1)).toMatchObject({ step: 'others', ok: false, detail: 'this device runs nothing for other devices' })
})

test('a question is never an order: nobody can have it run, and an order is no question', async () => {
  const world = await World.open()
  const grant = world.grant(laptop)
  const question = shown(world, laptop, { chain: [grant] })
  expect(await world.call(laptop, encode({ ...question, env: {} })).answer()).toMatchObject({
    code: 'DENIED',
    message: expect.stringMatching(/signed as a question/),
  })
  expect(world.executor.started).toHaveLength(0)
  const order = shown(world, laptop, { chain: [grant], meta: {} })
  expect(await refusal(questionsOf(world).answer(order, world.caller(laptop)))).toMatchObject({ code: 'DENIED', message: expect.stringMatching(/an order/) })
})

test('a question is good once, on its own connection, and about running commands only', async () => {
  const world = await World.open()
  const questions = questionsOf(world)
  const chain = [world.grant(laptop)]
  const once = shown(world, laptop, { chain })
  await questions.answer(once, world.caller(laptop))
  expect((await refusal(questions.answer(once, world.caller(laptop)))).message).toMatch(/used before/)
  const elsewhere = shown(world, laptop, { chain, challenge: new Uint8Array(16) })
  expect((await refusal(questions.answer(elsewhere, world.caller(laptop)))).message).toMatch(/another connection/)
  const other = shown(world, laptop, { chain: [world.grant(laptop, { cmd: '/' })], cmd: '/device/info', args: {} })
  expect((await refusal(questions.answer(other, world.caller(laptop)))).message).toBe('/device/info is not served here')
})

test('a flood of questions is a few entries in the log', async () => {
  const world = await World.open()
  const questions = questionsOf(world)
  for (let n = 0; n < 200; n++) await questions.answer(shown(world, mallory), world.caller(mallory)).catch(() => undefined)
  expect(world.audit.facts.length).toBeLessThanOrEqual(20)
})

test('full places are said, and so is where one would wait', async () => {
  const world = await World.open({ slots: 1, queue: 1 })
  const chain = [world.grant(laptop)]
  const ask = async (): Promise<unknown> => (await questionsOf(world).answer(shown(world, laptop, { chain }), world.caller(laptop))).at(-1)
  world.places.seize()
  expect(await ask()).toMatchObject({ step: 'limits', ok: true, detail: 'all 1 places are taken; it would wait at place 1' })
  void world.places.take({ moved: () => undefined, signal: new AbortController().signal })
  expect(await ask()).toMatchObject({ step: 'limits', ok: false, hint: 'try again in 1s' })
})
