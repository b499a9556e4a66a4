/** `errand join`: shows the three parts of joining apart (you become, you give, you get), and joins only after a yes. */
import type { JoinRequest, OfferView } from '../../../protocols/local/messages.ts'
import { asErrand, ErrandError } from '../../base/errors.ts'
import { ask } from '../ask.ts'
import { startInBackground } from '../background.ts'
import type { Context } from '../context.ts'
import { clean } from '../render.ts'
import { untilGone } from './down.ts'
import { rights } from './invite.ts'

export interface JoinOptions {
  readonly via?: string[]
  readonly yes?: boolean
}

export async function join(context: Context, given: string | undefined, options: JoinOptions): Promise<number> {
  const code = (given ?? (await ask('  code: '))).trim()
  if (code === '') throw new ErrandError('NO_CODE', 'no code was given', { hint: 'errand join CODE; on the inviting device: errand invite' })
  refuseOther(code)
  const request: JoinRequest = { code, ...(options.via === undefined ? {} : { via: options.via }) }
  const started = await ensureNode(context)
  try {
    const offer = await context.client.offer(request)
    await agree(context, offer, options.yes === true)
    const joined = await context.client.join(request)
    context.print(joined, () => context.tick(`joined mesh "${joined.mesh.name}" as ${joined.name}`))
    return 0
  } catch (error) {
    // A node that was started only to join this mesh has no other purpose. The next try must not meet it while it stops.
    if (started !== undefined) await stopAgain(context, started)
    throw error
  }
}

/** Said before a node is started and a home is made for nothing; whether the code holds is the node's to say. */
function refuseOther(code: string): void {
  if (code.startsWith('errand1')) return
  throw new ErrandError('BAD_INVITE', 'this is not a whole invite code: it does not begin with errand1', {
    hint: 'copy the whole line that begins with errand1',
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

async function agree(context: Context, offer: OfferView, yes: boolean): Promise<void> {
  const shown = offerText(offer)
  if (!context.json) process.stderr.write(`${shown}\n`)
  if (yes) return
  if (context.json || process.stdin.isTTY !== true) {
    throw new ErrandError('NOT_AGREED', 'nobody is here to agree to this', { hint: 'to agree to what is shown, add --yes', fields: { offer } })
  }
  const answer = await ask('  Allow? [y/N] ')
  if (!/^y(es)?$/i.test(answer.trim())) throw new ErrandError('NOT_AGREED', 'not joined', { hint: 'nothing was given and the code was not used' })
}

export function offerText({ mesh, inviter, membership, name, give, get }: OfferView): string {
  return [
    `  ${clean(inviter.name)} (${clean(inviter.words)}), mesh "${clean(mesh.name)}"`,
    `  you become:   a ${membership}${name === null ? '' : `, called ${clean(name)}`}`,
    `  you give:     ${rights(give)}`,
    `  you get:      ${rights(get)}`,
  ].join('\n')
}
