/** `errand requests`, `approve`, `deny` and `request`: what waits for a yes, exactly as it would run; the yes or the no; and asking for a right. */
import type { ApprovalView, DecisionView } from '../../../protocols/local/approvals.ts'
import { systemClock } from '../../base/clock.ts'
import { sayAbout, sayDuration } from '../../base/duration.ts'
import { ErrandError } from '../../base/errors.ts'
import { ask } from '../ask.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exitcodes.ts'
import { quoted, quotedCommand, spelledOut } from '../quoted.ts'
import { plural, shortCid } from '../render.ts'

const MIN_ID_CHARS = 6
/** In a list; `approve` shows a command whole. */
const MAX_LISTED_CHARS = 2_000

const PATH = '/api/runtime/approvals'

export async function requests(context: Context, { mine }: { readonly mine?: boolean }): Promise<number> {
  const seen = await listed(context, mine)
  const none = mine === true ? 'this device asks for nothing' : 'nothing waits for this device'
  context.print(seen, () => (seen.length === 0 ? none : seen.map((one) => describe(one, MAX_LISTED_CHARS)).join('\n\n')))
  return EXIT.ok
}

export interface ApproveOptions {
  readonly yes?: boolean
  readonly for?: number
  readonly can?: string[]
}

export async function approve(context: Context, id: string, { yes, for: forMs, can }: ApproveOptions): Promise<number> {
  const one = await find(context, id)
  const narrowed = { ...(forMs === undefined ? {} : { forMs }), ...(can === undefined ? {} : { can }) }
  const { words } = await context.client.call<DecisionView>('POST', `${PATH}/${one.id}/approve`, { ...narrowed, dryRun: true })
  if (yes !== true) await agree(context, one, words)
  const done = await context.client.call<DecisionView>('POST', `${PATH}/${one.id}/approve`, { ...narrowed, ...intentOf(one) })
  context.print(done, () => context.tick(approvedText(done)))
  return EXIT.ok
}

async function agree(context: Context, one: ApprovalView, words: readonly string[]): Promise<void> {
  if (context.json || process.stdin.isTTY !== true) {
    throw new ErrandError('NOT_AGREED', 'nobody is here to agree to this', {
      hint: 'to agree to what errand requests shows, add --yes',
      fields: { request: one, words },
    })
  }
  context.say(describe(one))
  for (const word of words) context.say(`  you grant  ${spelledOut(word)}`)
  const answer = await ask(one.kind === 'command' ? '  Let exactly this run, once? [y/N] ' : '  Grant that? [y/N] ')
  if (!/^y(es)?$/i.test(answer.trim())) throw new ErrandError('NOT_AGREED', 'nothing was approved', { hint: `say no to whoever asks: errand deny ${one.id}` })
}

export async function deny(context: Context, id: string, { reason }: { readonly reason?: string }): Promise<number> {
  const one = await find(context, id)
  const done = await context.client.call<DecisionView>('POST', `${PATH}/${one.id}/deny`, { ...intentOf(one), ...(reason === undefined ? {} : { reason }) })
  context.print(done, () => context.tick(`denied: ${one.requester} is told${reason === undefined ? '' : ' why'}`))
  return EXIT.ok
}

export async function request(
  context: Context,
  device: string,
  { can, reason, for: forMs }: { readonly can: string[]; readonly reason: string; readonly for?: number },
): Promise<number> {
  const seen = await context.client.call<ApprovalView>('POST', PATH, { device, can, reason, ...(forMs === undefined ? {} : { forMs }) })
  context.print(seen, () => context.tick(`asked for ${seen.right?.words.join(' · ') ?? ''} on ${seen.device} · request ${seen.id.slice(-MIN_ID_CHARS)}`))
  context.say('whoever can grant it sees it with errand requests; what became of it: errand requests --mine')
  return EXIT.ok
}

async function listed(context: Context, mine = false): Promise<ApprovalView[]> {
  return await context.client.call<ApprovalView[]>('GET', `${PATH}${mine ? '?mine=true' : ''}`)
}

async function find(context: Context, id: string): Promise<ApprovalView> {
  const text = id.toLowerCase()
  const fits = (one: string): boolean => one === text || (text.length >= MIN_ID_CHARS && (one.startsWith(text) || one.endsWith(text)))
  const fitting = (await listed(context)).filter((one) => fits(one.id))
  const [only] = fitting
  if (only === undefined)
    throw new ErrandError('NO_SUCH_REQUEST', `no request ${spelledOut(id.slice(0, 64))} waits for this device`, {
      hint: 'errand requests lists those that do; its id, or 6 characters of its beginning or end',
    })
  if (fitting.length > 1) throw new ErrandError('AMBIGUOUS_REQUEST', `${fitting.length} requests begin or end with ${id}`, { hint: 'give more of the id' })
  return only
}

function intentOf({ intent }: ApprovalView): { intent?: string } {
  return intent === null ? {} : { intent }
}

/** All that somebody needs to answer for it. What others wrote is spelled out. */
function describe(one: ApprovalView, mostChars = Number.POSITIVE_INFINITY): string {
  const left = Date.parse(one.expiresAt) - systemClock.now()
  const age = sayDuration(Math.max(0, systemClock.now() - Date.parse(one.createdAt)))
  const until = one.state === 'waiting' ? `${age} ago, waits for ${sayAbout(Math.max(0, left))} more` : one.state
  const lines: readonly (readonly [name: string, text: string])[] = [
    ['asks', `${spelledOut(one.requester)}  on ${spelledOut(one.device)}  (${until})`],
    ...(one.command === null ? rightLines(one) : commandLines(one.command, mostChars)),
    ['why', spelledOut(one.reason)],
    ...(one.need > 1 || one.approvedBy.length > 0 ? [['approved', `${one.approvedBy.length} of ${one.need}${byWhom(one)}`] as const] : []),
    ...(one.answer === null || one.answer === '' ? [] : [['answer', spelledOut(one.answer)] as const]),
    ...(one.mayDecide || one.state !== 'waiting' || one.kind === 'right' ? [] : [['note', 'you asked for it yourself: somebody else has to decide'] as const]),
  ]
  return [one.id, ...lines.map(([name, text]) => `  ${name.padEnd(9)}  ${text}`)].join('\n')
}

function byWhom({ approvedBy }: ApprovalView): string {
  return approvedBy.length === 0 ? '' : `: ${approvedBy.map(spelledOut).join(', ')}`
}

function commandLines(command: NonNullable<ApprovalView['command']>, mostChars: number): (readonly [string, string])[] {
  const { argv, cwd, env, user, timeoutMs, stdin, tty } = command
  const whole = quotedCommand(argv)
  const shown = whole.length <= mostChars ? whole : `${whole.slice(0, mostChars)} … and ${whole.length - mostChars} characters more: errand approve shows all`
  return [
    ['command', shown],
    ['directory', cwd === '' ? 'the home of the node’s user' : quoted(cwd)],
    ['user', user === '' ? 'the node’s user' : quoted(user)],
    ['variables', env.length === 0 ? 'none' : env.map(quoted).join(', ')],
    ['time-out', timeoutMs === 0 ? 'none' : sayDuration(timeoutMs)],
    ...(tty ? [['terminal', 'yes: what is typed there is not part of what you approve'] as const] : []),
    ...(stdin && !tty ? [['input', 'yes: what it reads is not part of what you approve'] as const] : []),
  ]
}

function rightLines({ right }: ApprovalView): (readonly [string, string])[] {
  return [...(right?.words ?? []).map((words) => ['right', spelledOut(words)] as const), ['for', sayDuration(right?.forMs ?? 0)]]
}

function approvedText({ grants, have, need }: DecisionView): string {
  if (grants.length > 0) return grants.map(({ words, cid }) => `${words} · ${shortCid(cid)}`).join(' · ')
  return have >= need ? 'approved: it runs' : `approved: ${have} of ${need}; it takes ${plural(need - have, 'other person', 'other people')}`
}
