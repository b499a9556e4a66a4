/** Commands that somebody has to approve, and rights that somebody asks for; each device a process. Alice's device is the one that everybody wants something of. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ApprovalView, DecisionView } from '../../protocols/local/approvals.ts'
import type { TaskView } from '../../protocols/local/messages.ts'
import { failureOf, jsonOf, type Node, until, type World, world } from '../support/world.ts'

let w: World
let alice: Node
let bob: Node
let carol: Node
let dave: Node

beforeAll(async () => {
  w = world()
  alice = await w.founder('alice')
  bob = await w.joiner(alice, 'bob', { invite: ['--ask', 'exec: true'] })
  carol = await w.joiner(alice, 'carol', { invite: ['--ask', 'exec: true'] })
  dave = await w.joiner(alice, 'dave', { invite: ['--ask', 'exec: true', '--role', 'admin'] })
  await w.connected(bob.home, 'alice', 'carol')
  await w.connected(carol.home, 'alice')
  await trusted('carol')
  await trusted('dave')
  await granted('carol', 'approval: grant')
  await granted('bob', 'exec: echo, touch; approval')
})

afterAll(async () => {
  await w[Symbol.asyncDispose]()
})

async function granted(to: string, can: string): Promise<void> {
  const ran = await w.errand(alice.home, 'grant', to, '--on', 'alice', '--can', can, '--for', '1h')
  if (ran.code !== 0) throw new Error(`no grant: ${ran.stdout}${ran.stderr}`)
}

async function trusted(who: string): Promise<void> {
  const ran = await w.errand(alice.home, 'device', 'trust', who, 'trusted')
  if (ran.code !== 0) throw new Error(`not trusted: ${ran.stdout}${ran.stderr}`)
}

const requests = async (home: string, ...more: string[]): Promise<ApprovalView[]> => jsonOf<ApprovalView[]>(await w.errand(home, 'requests', ...more, '--json'))

async function waitingFor(home: string, word: string): Promise<ApprovalView> {
  return await until(`a request with ${word} waits`, async () => (await requests(home)).find((one) => one.command?.argv.includes(word) === true))
}

test('a grant says that it asks for an approval, in words that can be typed again', async () => {
  expect((await w.errand(bob.home, 'grants')).stdout).toContain('exec: echo …, touch …; approval')
})

test('a run waits, says for whom, and goes on when somebody else has seen exactly what would run and said yes', async () => {
  const running = w.start(bob.home, ['run', 'alice', '--', 'echo', 'one', '\u001b[2Jrm -rf /'])
  const seen = await waitingFor(carol.home, 'one')
  expect(seen).toMatchObject({
    kind: 'command',
    device: 'alice',
    requester: 'bob',
    need: 1,
    mayDecide: true,
    command: { argv: ['echo', 'one', '\u001b[2Jrm -rf /'] },
  })
  const shown = await w.errand(carol.home, 'requests')
  expect(shown.stdout).toContain(`echo one $'\\e[2Jrm -rf /'`)
  expect(shown.stdout).not.toContain('\u001b')
  const early = await w.errand(carol.home, 'approve', seen.id)
  expect(early).toMatchObject({ code: 125, stderr: expect.stringContaining('add --yes') })
  const yes = await w.errand(carol.home, 'approve', seen.id.slice(-6), '--yes', '--json')
  expect(jsonOf<DecisionView>(yes)).toMatchObject({ decision: 'approved', have: 1, need: 1 })
  const ran = await running.ended
  expect(ran).toMatchObject({ code: 0, stdout: 'one \u001b[2Jrm -rf /\n' })
  expect(ran.stderr).toMatch(/^errand: alice: waits for approval by .*carol/)
  expect(await requests(carol.home)).toEqual([])
  const [start] = await w.audit(alice.home, '--action', 'exec.start', '--task', seen.id)
  expect(start).toMatchObject({ approvedBy: carol.did, intent: seen.intent })
})

test('nobody approves for themselves, nobody without the right approves, and an admin may', async () => {
  const marker = w.at('touched')
  const { task } = jsonOf<{ task: string }>(await w.errand(bob.home, 'run', '--detach', '--json', 'alice', '--', 'touch', marker))
  expect(jsonOf<TaskView>(await w.errand(bob.home, 'task', task, '--json'))).toMatchObject({ state: 'WAITING', why: 'approval' })
  expect(failureOf(await w.errand(bob.home, 'approve', task, '--yes', '--json'))).toMatchObject({ code: 'NO_SUCH_REQUEST' })
  await trusted('bob')
  await granted('bob', 'approval: grant')
  await until('bob sees it', async () => (await requests(bob.home)).length === 1)
  expect(failureOf(await w.errand(bob.home, 'approve', task, '--yes', '--json'))).toMatchObject({ code: 'REFUSED_SELF_APPROVAL' })
  expect(existsSync(marker)).toBe(false)
  await until('dave sees it', async () => (await requests(dave.home)).length === 1)
  expect((await w.errand(dave.home, 'approve', task, '--yes')).code).toBe(0)
  await until('it ran', () => existsSync(marker))
})

test('a no comes with its reason, and Ctrl-C takes a request back', async () => {
  const running = w.start(bob.home, ['run', 'alice', '--', 'echo', 'two'])
  const { id } = await waitingFor(carol.home, 'two')
  expect((await w.errand(carol.home, 'deny', id, '--reason', 'not today')).code).toBe(0)
  expect(await running.ended).toMatchObject({ code: 126, stdout: '', stderr: expect.stringContaining('carol denied the approval: not today') })
  const third = w.start(bob.home, ['run', 'alice', '--', 'echo', 'three'])
  await waitingFor(carol.home, 'three')
  expect(await third.end('SIGINT')).toMatchObject({ code: 130 })
  await until('nothing waits', async () => (await requests(carol.home)).length === 0)
})

test('what waits survives its device’s daemon', async () => {
  const marker = w.at('later')
  const { task } = jsonOf<{ task: string }>(await w.errand(bob.home, 'run', '--detach', '--json', 'alice', '--', 'touch', marker))
  await alice.kill()
  alice = await w.up(alice.home)
  await w.connected(carol.home, 'alice')
  await until('carol sees it again', async () => (await requests(carol.home)).some(({ id }) => id === task))
  expect((await w.errand(carol.home, 'approve', task, '--yes')).code).toBe(0)
  await until('it ran', () => existsSync(marker))
})

test('a right is asked for, granted narrower than asked, and works; another is denied with a reason', async () => {
  const denied = await w.run(bob.home, 'alice', 'printf', 'x')
  expect(denied.stderr).toContain(`errand request alice --can 'exec: printf' --reason "…"`)
  const asked = jsonOf<ApprovalView>(await w.errand(bob.home, 'request', 'alice', '--can', 'exec: printf', '--reason', 'to print\u001b[2J', '--json'))
  expect(asked).toMatchObject({ kind: 'right', state: 'waiting', device: 'alice' })
  const shown = await w.errand(alice.home, 'requests')
  expect(shown.stdout).toContain('to print\\e[2J')
  const yes = await w.errand(alice.home, 'approve', asked.id, '--yes', '--can', 'exec: printf hello', '--for', '5m', '--json')
  expect(jsonOf<DecisionView>(yes)).toMatchObject({ decision: 'approved', grants: [{ audience: 'bob', can: ['exec: printf hello …'] }] })
  const mine = await until('bob knows', async () => (await requests(bob.home, '--mine')).find(({ id, state }) => id === asked.id && state === 'granted'))
  expect(mine).toMatchObject({ approvedBy: ['alice'] })
  expect(await w.run(bob.home, 'alice', 'printf', 'hello')).toMatchObject({ code: 0, stdout: 'hello' })
  const second = jsonOf<ApprovalView>(await w.errand(bob.home, 'request', 'alice', '--can', 'exec: rm', '--reason', 'tidy', '--json'))
  await w.errand(alice.home, 'deny', second.id, '--reason', 'never')
  await until('bob knows', async () =>
    (await requests(bob.home, '--mine')).some(({ id, state, answer }) => id === second.id && state === 'denied' && answer === 'never'),
  )
  await until('dave is not asked any more', async () => (await requests(dave.home)).length === 0)
})

test('who is not trusted enough to see what waits is told so, and how that changes; not shown an empty list', async () => {
  const running = w.start(bob.home, ['run', 'alice', '--', 'echo', 'unseen'])
  await waitingFor(carol.home, 'unseen')
  await w.errand(alice.home, 'device', 'trust', 'carol', 'verified')
  const refused = await until('carol is told', async () => {
    const ran = await w.errand(carol.home, 'requests', '--json')
    return ran.code === 126 && failureOf(ran)
  })
  expect(refused).toMatchObject({
    ...{ code: 'DENIED', message: expect.stringMatching(/^alice does not show what waits there: the asking device is verified/) },
    hint: expect.stringContaining('errand device trust'),
  })
  expect(failureOf(await w.errand(carol.home, 'approve', refused.message.slice(0, 8), '--yes', '--json'))).toMatchObject({ code: 'DENIED' })
  await trusted('carol')
  const { id } = await waitingFor(carol.home, 'unseen')
  await w.errand(carol.home, 'deny', id)
  expect((await running.ended).code).toBe(126)
})

test('requireApproval in a device’s policy.yaml: who has the whole right waits as well, by the rule that is named; an edit ends the need', async () => {
  const marker = w.at('by-policy')
  const policy = (text: string): void => writeFileSync(join(alice.home, 'policy.yaml'), text, { mode: 0o600 })
  const refusal = async (): Promise<string | undefined> => {
    const why = jsonOf<{ steps: { ok: boolean; detail: string }[] }>(await w.errand(dave.home, 'why', '--json', 'alice', '--', 'touch', marker))
    return why.steps.find(({ ok }) => !ok)?.detail
  }
  policy('exec:\n  requireApproval: [touch]\n')
  await w.connected(dave.home, 'alice')
  await until('the policy is in force', async () => (await refusal())?.includes('exec.requireApproval'))
  expect(await w.run(dave.home, 'alice', 'echo', 'not delicate')).toMatchObject({ code: 0 })
  const running = w.start(dave.home, ['run', 'alice', '--', 'touch', marker])
  const seen = await waitingFor(carol.home, marker)
  expect(seen).toMatchObject({ requester: 'dave', need: 1, reason: expect.stringMatching(/exec\.requireApproval, policy\.yaml line 2/) })
  expect(existsSync(marker)).toBe(false)
  expect((await w.errand(carol.home, 'approve', seen.id, '--yes')).code).toBe(0)
  expect((await running.ended).code).toBe(0)
  expect(existsSync(marker)).toBe(true)
  const [start] = (await w.audit(alice.home, '--action', 'exec.start', '--task', seen.id)).slice(-1)
  expect(start).toMatchObject({ approvedBy: expect.stringContaining(carol.did), policyApplied: expect.stringContaining('policy.yaml@') })
  policy('exec: {}\n')
  await until('nobody is asked any more', async () => (await refusal()) === undefined)
  expect((await w.run(dave.home, 'alice', 'touch', marker)).code).toBe(0)
})

test('whoever approves a command on a terminal is told that it is one, where its asker types on', async () => {
  await granted('bob', 'exec: sh; tty; approval')
  const running = w.start(bob.home, ['run', 'alice', '-t', '--', 'sh', '-c', 'tty; exit 5'])
  const seen = await waitingFor(carol.home, 'tty; exit 5')
  expect(seen.command).toMatchObject({ tty: true, stdin: true })
  const shown = (await w.errand(carol.home, 'requests')).stdout
  expect(shown).toMatch(/terminal +yes: what is typed there is not part of what you approve/)
  expect((await w.errand(carol.home, 'approve', seen.id, '--yes')).code).toBe(0)
  expect(await running.ended).toMatchObject({ code: 5, stdout: expect.stringContaining('/dev/pts/') })
})
