/** `errand join`: shows the three parts of joining apart (you become, you give, you get), and joins only after a yes. */
import type { JoinRequest, JoinView, OfferView, PairView } from '../../../protocols/local/messages.ts'
import { stayAwake } from '../../base/awake.ts'
import { pause, systemClock } from '../../base/clock.ts'
import { asErrand, ErrandError } from '../../base/errors.ts'
import { inviteCalls, socketPathOf } from '../../local/client.ts'
import { ask } from '../ask.ts'
import { startInBackground } from '../background.ts'
import type { Context } from '../context.ts'
import { clean } from '../render.ts'
import { untilGone } from './down.ts'
import { becomes, rights } from './invite.ts'

export interface JoinOptions {
  readonly via?: string[]
  readonly yes?: boolean
}

export async function join(context: Context, given: string | undefined, options: JoinOptions): Promise<number> {
  const code = (given ?? (await ask('  code: '))).trim()
  if (code === '') throw new ErrandError('NO_CODE', 'no code was given', { hint: 'errand join, then type it; on the inviting device: errand invite' })
  if (given !== undefined) refuseShown(code)
  refuseOther(code)
  const started = await ensureNode(context)
  try {
    const found = await offerOf(context, code, options)
    await agree(context, found, options.yes === true)
    const joined = await joinWhenAllowed(context, found)
    context.print(joined, () => context.tick(`joined mesh "${joined.mesh.name}" as ${joined.name}`))
    return 0
  } catch (error) {
    // A node that was started only to join this mesh has no other purpose. The next try must not meet it while it stops.
    if (started !== undefined) await stopAgain(context, started)
    throw error
  }
}

/** What there is to agree to. */
interface Found {
  readonly request: JoinRequest
  readonly offer: OfferView
  /** What both screens show, where words were typed. */
  readonly check?: string
}

async function offerOf(context: Context, code: string, { via }: JoinOptions): Promise<Found> {
  const request: JoinRequest = { code, ...(via === undefined ? {} : { via }) }
  if (!isShort(code)) return { request, offer: await context.client.offer(request) }
  const { code: long, via: met, check, offer } = await pairWith(context, request)
  return { request: { code: long, via: met }, offer, check }
}

/** A word that is in no code can be typed again: nothing was tried with it. */
async function pairWith(context: Context, request: JoinRequest): Promise<PairView> {
  for (let left = RETYPES; ; left--) {
    try {
      return await inviteCalls(socketPathOf(context.home)).pair(request)
    } catch (thrown) {
      const { code, message, hint } = asErrand(thrown)
      if (code !== 'BAD_CODE' || left === 0 || process.stdin.isTTY !== true || context.json) throw thrown
      context.say(`  ${message}${hint === undefined ? '' : `: ${hint}`}`)
      request = { ...request, code: await ask('  code: ') }
    }
  }
}

const RETYPES = 3
const ASK_AGAIN_MS = 1_500

/** Somebody on the inviting device may have to say yes first. Ends with a yes, a no, or the code's life. */
async function joinWhenAllowed(context: Context, { request, offer, check }: Found): Promise<JoinView> {
  const rest = stayAwake()
  try {
    for (let told = false; ; told = true) {
      try {
        return await context.client.join(request)
      } catch (thrown) {
        if (asErrand(thrown).code !== 'JOIN_HELD') throw thrown
        if (!told) context.say(`  waiting until somebody at ${offer.inviter.name} says yes.  Both screens must say  ${check ?? offer.check}`)
      }
      await pause(systemClock, ASK_AGAIN_MS)
    }
  } finally {
    rest()
  }
}

/** A number and words, however they are put together. */
function isShort(code: string): boolean {
  return /^\d{1,3}[\s\-–—_.,]+\p{L}/u.test(code)
}

/** Where a long code is too long to be typed, a short one is too short to be shown: it stands in the history and in the list of processes. */
function refuseShown(code: string): void {
  if (!isShort(code)) return
  const why = 'a short code is typed at the prompt, never on the command line, where other programs and the history can read it'
  throw new ErrandError('USAGE', why, { hint: 'make a new one: errand invite   then here: errand join   and type it when asked' })
}

/** Said before a node is started and a home is made for nothing; whether the code holds is the node's to say. */
function refuseOther(code: string): void {
  if (code.startsWith('errand1') || isShort(code)) return
  throw new ErrandError('BAD_INVITE', 'this is no invite code: it begins neither with errand1 nor with a number and a word', {
    hint: 'type the code as the other device shows it, or copy the whole line that begins with errand1',
  })
}

async function stopAgain(context: Context, pid: number): Promise<void> {
  await context.client.shutdown().catch(() => undefined)
  await untilGone(pid).catch(() => undefined) // why the join failed is what the user has to hear
}

/** @returns the process of the node if it had to start one. */
async function ensureNode(context: Context): Promise<number | undefined> {
  try {
    await context.client.status()
    return undefined
  } catch (error) {
    if (asErrand(error).code !== 'NO_NODE') throw error
  }
  const { pid } = await startInBackground(context.home, ['--await-join'])
  context.say(`started a node in the background (process ${pid}; stop it with: errand down)`)
  return pid
}

async function agree(context: Context, { offer, check }: Found, yes: boolean): Promise<void> {
  const both = check === undefined ? '' : `Both screens must say  ${clean(check)}`
  if (!context.json) process.stderr.write(`${offerText(offer)}\n${yes && both !== '' ? `  ${both}\n` : ''}`)
  if (yes) return
  if (context.json || process.stdin.isTTY !== true) {
    const fields = { offer, ...(check === undefined ? {} : { check }) }
    throw new ErrandError('NOT_AGREED', 'nobody is here to agree to this', { hint: 'to agree to what is shown, add --yes', fields })
  }
  const answer = await ask(`  ${both === '' ? '' : `${both}      `}Allow? [y/N] `)
  if (/^y(es)?$/i.test(answer.trim())) return
  throw new ErrandError('NOT_AGREED', 'not joined', {
    hint: check === undefined ? 'nothing was given and the code was not used' : 'nothing was given; the code was typed once and is void now',
  })
}

export function offerText({ mesh, inviter, membership, name, give, get }: OfferView): string {
  return [
    `  ${clean(inviter.name)} (${clean(inviter.words)}), mesh "${clean(mesh.name)}"`,
    `  you become:   ${becomes(membership)}${name === null ? '' : `, called ${clean(name)}`}`,
    `  you give:     ${rights(give)}`,
    `  you get:      ${rights(get)}`,
  ].join('\n')
}
