/** How old a device's knowledge of revocations may be for a grant to count, and whom it believes about that. */
import { expect, test } from 'vitest'
import { SIGNED_META, STALE_META } from '../../../src/authority/freshness.ts'
import { type Delegation, type DelegationFields, signDelegation } from '../../../src/authority/token.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import type { Asked, Check, Verdict } from '../../../src/runtime/checks.ts'
import { FreshnessCheck, RevocationNews } from '../../../src/runtime/freshness.ts'
import { HandClock, settled } from '../base/hand-clock.ts'
import { device, keyOf, laptop, mallory, owner, World } from './door-world.ts'
import { MemoryShelf } from './mesh-world.ts'

const nas = keyOf(9)
const MEMBERS = [device, laptop, mallory, nas].map(({ did }) => did)

interface Scene {
  readonly clock: HandClock
  readonly news: RevocationNews
  readonly check: Check
  reached: boolean
}

function scene(o: { members?: readonly string[]; ours?: readonly Identity[] } = {}): Scene {
  const clock = new HandClock()
  const news = new RevocationNews({ shelf: new MemoryShelf(), clock })
  const ours = new Set((o.ours ?? [device]).map(({ did }) => did as string))
  const seen: Scene = {
    ...{ clock, news, reached: false },
    check: new FreshnessCheck({
      ...{ self: device.did, isOwner: (did: string) => did === owner.did, news, clock },
      isOurs: (signer) => ours.has(signer),
      members: () => o.members ?? MEMBERS,
      freshen: () => {
        if (seen.reached) news.compared(nas.did)
        return Promise.resolve()
      },
    }),
  }
  return seen
}

const nonce = new Uint8Array(16).fill(7)
const seconds = ({ clock }: Scene): number => Math.floor(clock.now() / 1_000)

/** device → owner → laptop, as almost every grant is. */
function chain(at: Scene, last: Partial<DelegationFields> = {}): Delegation[] {
  const root = signDelegation(device, { aud: owner.did, sub: device.did, cmd: '/', pol: [], exp: null, nonce })
  const link = { aud: laptop.did, sub: device.did, cmd: '/exec/run', pol: [], exp: seconds(at) + 10_000_000, nonce }
  return [root, signDelegation(owner, { ...link, ...last })]
}

async function judge(at: Scene, links: readonly Delegation[], o: Partial<Pick<Asked, 'caller' | 'command' | 'args'>> = {}): Promise<Verdict> {
  const admission = { chain: links, expiresAt: null } as unknown as Asked['admission']
  return await at.check.judge({ caller: laptop.did, command: '/exec/run', args: { tty: false }, task: '', admission, ...o }, 'admission')
}

test('a command counts on a grant for an hour after the last comparison with a member who is not the caller, and no longer', async () => {
  const at = scene()
  expect(await judge(at, chain(at))).toMatchObject({ ok: false, code: 'STALE', detail: expect.stringMatching(/with no other member yet, 1h allowed/) })
  at.news.compared(nas.did)
  at.clock.advance(3_600_000)
  expect(await judge(at, chain(at))).toMatchObject({ ok: true })
  at.clock.advance(1_000)
  expect(await judge(at, chain(at))).toMatchObject({ ok: false, hint: expect.stringContaining('--max-staleness') })
})

test('the caller is not believed about what it may have lost: comparing with it does not count', async () => {
  const at = scene()
  for (let n = 0; n < 10; n++) at.news.compared(laptop.did)
  expect(await judge(at, chain(at))).toMatchObject({ ok: false, code: 'STALE' })
  at.news.compared(nas.did)
  at.news.compared(laptop.did) // nor does it push out what another one said
  expect(await judge(at, chain(at))).toMatchObject({ ok: true })
})

test('a member that can be reached is asked before anything is refused', async () => {
  const at = scene()
  at.reached = true
  expect(await judge(at, chain(at))).toMatchObject({ ok: true })
})

test('reads demand nothing; a terminal, the config and what hands out power five minutes', async () => {
  const at = scene()
  expect(await judge(at, chain(at), { command: '/task/logs' })).toMatchObject({ ok: true, detail: 'no freshness is demanded for this' })
  at.news.compared(nas.did)
  at.clock.advance(301_000)
  expect(await judge(at, chain(at))).toMatchObject({ ok: true })
  expect(await judge(at, chain(at), { args: { tty: true } })).toMatchObject({ ok: false })
  for (const command of ['/config/write', '/exec/tty', '/mesh/join', '/approval/grant'])
    expect(await judge(at, chain(at), { command })).toMatchObject({ ok: false })
})

test('the device itself, a mesh of two, and keys whose revocations are made here are never stale', async () => {
  const at = scene()
  expect(await judge(at, chain(at), { caller: device.did })).toMatchObject({ ok: true })
  const two = scene({ members: [device.did, laptop.did] })
  expect(await judge(two, chain(two))).toMatchObject({ ok: true, detail: 'there is no third device that could know more' })
  const home = scene({ ours: [device, owner] })
  expect(await judge(home, chain(home))).toMatchObject({ ok: true })
})

test('a link that was signed a moment ago needs no news: what revokes it is younger. One from the future is not believed', async () => {
  const at = scene()
  const young = chain(at, { meta: { [SIGNED_META]: seconds(at) } })
  const early = chain(at, { meta: { [SIGNED_META]: seconds(at) + 10_000 } })
  expect(await judge(at, young)).toMatchObject({ ok: true })
  expect(await judge(at, early)).toMatchObject({ ok: false })
  at.clock.advance(3_601_000)
  expect(await judge(at, young)).toMatchObject({ ok: false })
})

test('a young last link does not vouch for an old one above it that somebody else signed', async () => {
  const at = scene()
  const [root, link] = chain(at)
  const below = signDelegation(laptop, {
    ...{ aud: mallory.did, sub: device.did, cmd: '/exec/run', pol: [], exp: seconds(at) + 100, nonce },
    meta: { [SIGNED_META]: seconds(at) },
  })
  expect(
    await judge(
      at,
      [root, link, below].filter((one) => one !== undefined),
      { caller: mallory.did },
    ),
  ).toMatchObject({ ok: false })
})

test('an owner’s grant may demand less and may demand more; a holder who passes it on may only demand more', async () => {
  const at = scene()
  at.news.compared(nas.did)
  at.clock.advance(7_200_000)
  expect(await judge(at, chain(at, { meta: { [STALE_META]: 86_400 } }))).toMatchObject({ ok: true })
  const passed = (stale: number): Delegation[] => [
    ...chain(at),
    signDelegation(laptop, {
      ...{ aud: mallory.did, sub: device.did, cmd: '/exec/run', pol: [], exp: seconds(at) + 100, nonce, meta: { [STALE_META]: stale } },
    }),
  ]
  expect(await judge(at, passed(10_000_000), { caller: mallory.did })).toMatchObject({ ok: false })
  at.news.compared(nas.did)
  at.clock.advance(10_000)
  expect(await judge(at, passed(5), { caller: mallory.did })).toMatchObject({ ok: false })
  expect(await judge(at, passed(3_000), { caller: mallory.did })).toMatchObject({ ok: true })
  expect(await judge(at, chain(at, { meta: { [STALE_META]: 5 } }), { command: '/task/logs' })).toMatchObject({ ok: false })
})

test('what was heard is known after a restart, and a broken note of it is as good as none', async () => {
  const clock = new HandClock()
  const shelf = new MemoryShelf()
  const before = new RevocationNews({ shelf, clock })
  before.compared(nas.did)
  await settled()
  const after = new RevocationNews({ shelf, clock })
  await after.load()
  clock.advance(5_000)
  expect(after.ageMs(laptop.did)).toBe(5_000)
  expect(after.ageMs(nas.did)).toBe(Number.POSITIVE_INFINITY)
  shelf.kept.set('heard', new Uint8Array([1, 2, 3]))
  const broken = new RevocationNews({ shelf, clock })
  await broken.load()
  expect(broken.ageMs(laptop.did)).toBe(Number.POSITIVE_INFINITY)
})

test.each([
  ['a bound that is not known here', { 'errand/only-on-sundays': true }],
  ['a bound of no seconds', { [STALE_META]: 'soon' }],
  ['a negative bound', { [STALE_META]: -1 }],
])('a grant with %s is refused: it could be one that says no', async (_what, meta) => {
  const world = await World.open()
  const call = world.call(laptop, world.open(laptop, [world.grant(laptop, { meta })]))
  expect(await call.answer()).toMatchObject({ code: 'DENIED', message: expect.stringMatching(/cannot be read whole/) })
  expect(world.executor.started).toHaveLength(0)
})
