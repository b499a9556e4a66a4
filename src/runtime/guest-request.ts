/** What an invite of a guest may say. */
import type { InviteRequest } from '../../protocols/local/messages.ts'
import type { Membership } from '../../protocols/member/messages.ts'
import { coversPath } from '../authority/commands.ts'
import { parseRight } from '../authority/rights.ts'
import { ErrandError } from '../base/errors.ts'
import { ADMIN } from './trust-check.ts'

/** @throws BAD_INVITE when a guest is to be more than one, or is invited for nothing. */
export function refuseGuestRequest({ guest, mine, role, ask, give, on }: InviteRequest): void {
  if (guest !== true) {
    if (on !== undefined)
      throw bad('--on is for guests: a member is given its rights on every device of the owner', 'errand invite --guest --give RIGHT --on DEVICE')
    return
  }
  if (mine === true) throw bad('a guest is nobody’s own device: choose --guest or --mine', 'errand invite --guest --give RIGHT')
  if (role !== undefined) throw bad('a guest has no role: it is given single rights', 'errand invite --guest --give RIGHT')
  if ((ask ?? []).length + (give ?? []).length === 0)
    throw bad('a guest without a right has nothing to do here', "say what it may do: errand invite --guest --give 'exec: npm test' --for 10m")
  for (const text of [...(give ?? []), ...(ask ?? [])]) refuseForGuest(parseRight(text).cmd)
}

/** @throws GUEST where a guest would hold what it can never use: to admit, to approve, to change what a device is. */
export function refuseForGuest(cmd: string): void {
  if (!ADMIN.some((path) => coversPath(cmd, path) || coversPath(path, cmd))) return
  const what = cmd === '/' ? 'everything' : cmd
  throw new ErrandError('GUEST', `a guest cannot hold ${what}: it admits, approves and administers nothing`, {
    hint: "name single commands, like 'exec: npm test'; or invite a member, without --guest",
  })
}

/** What a guest is given later keeps to what a guest is. @param exp seconds. @throws GUEST */
export function refuseGuestGrant(guest: Membership | undefined, { cmd, exp }: { readonly cmd: string; readonly exp: number }): void {
  if (guest?.until === undefined) return
  refuseForGuest(cmd)
  if (exp * 1_000 <= guest.until) return
  const hint = 'give it less time, or invite it anew: errand invite --guest --for DURATION, and there: errand join'
  throw new ErrandError('GUEST', `${guest.name} is a guest until ${new Date(guest.until).toISOString()}, and no right of it lasts longer`, { hint })
}

function bad(message: string, hint: string): ErrandError {
  return new ErrandError('BAD_INVITE', message, { hint })
}
