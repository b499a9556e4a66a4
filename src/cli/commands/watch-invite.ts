/** What becomes of an invite, told while it happens; and the question to whoever sits here, when a device waits to be let in. */
import type { InviteProgressView, InviteView } from '../../../protocols/local/messages.ts'
import { ErrandError } from '../../base/errors.ts'
import { inviteCalls, socketPathOf } from '../../local/client.ts'
import { ask } from '../ask.ts'
import type { Context } from '../context.ts'
import { clean } from '../render.ts'

/** Ends with the invite: used, void, refused or expired. Leaving earlier leaves the code good. @throws CODE_VOID, INVITE_EXPIRED */
export async function watchInvite(context: Context, { id }: InviteView): Promise<number> {
  let seq: number | undefined
  for (;;) {
    const seen: InviteProgressView = await inviteCalls(socketPathOf(context.home)).watchInvite(id, seq)
    if (seen.seq !== seq) {
      const code = await tell(context, seen)
      if (code !== undefined) return code
    }
    seq = seen.seq
  }
}

type Teller = (context: Context, seen: InviteProgressView) => Promise<number | undefined>

const TELLERS: Readonly<Record<InviteProgressView['state'], Teller>> = {
  open: async (context) => void context.say('  waiting for the other device (Ctrl-C stops the waiting, not the code) …'),
  paired: async (context, seen) => void context.say(`  ${who(seen)} has the code.  ${bothScreens(seen)}`),
  asking: async (context, seen) => {
    const answer = await ask(`  ${who(seen)} wants to join.  ${bothScreens(seen)}      Let it in? [y/N] `)
    await inviteCalls(socketPathOf(context.home)).answerInvite(seen.id, { allow: /^y(es)?$/i.test(answer.trim()) })
    return undefined
  },
  allowed: async () => undefined,
  joined: async (context, seen) => {
    context.say(context.tick(`${seen.device?.name ?? 'the device'} joined`))
    return 0
  },
  denied: async (context, seen) => {
    context.say(`  ${who(seen)} was not let in; the code is void`)
    return 0
  },
  void: async (_context, { why }) => {
    throw new ErrandError('CODE_VOID', why ?? 'the code is void', { hint: 'make a new one: errand invite' })
  },
  expired: async () => {
    throw new ErrandError('INVITE_EXPIRED', 'nobody used the code in time', { hint: 'make a new one: errand invite' })
  },
}

async function tell(context: Context, seen: InviteProgressView): Promise<number | undefined> {
  return await TELLERS[seen.state](context, seen)
}

function who({ device }: InviteProgressView): string {
  return device === null ? 'a device' : `${clean(device.name)} (${clean(device.words)})`
}

function bothScreens({ check }: InviteProgressView): string {
  return `Both screens must say  ${clean(check ?? '')}`
}
