/** The joining side of a short code: what it says, and what it makes of the answers. Dials nobody itself. */
import { type Answer, type Finish, type Given, Invitation, PAIR, type Start } from '../../protocols/pair/messages.ts'
import { decodeAs, encode } from '../../protocols/wire.ts'
import type { Did } from '../identity/identity.ts'
import { type ReadCode, readCode } from './invite-code.ts'
import { PairChannel } from './pair-channel.ts'
import type { ShortCode } from './pair-code.ts'
import { wrongCode } from './pairings.ts'
import { makeKey } from './pake.ts'

export interface Paired {
  /** The long code: joining goes on with it. */
  readonly code: string
  readonly read: ReadCode
  /** What the inviter's screen shows as well. */
  readonly check: string
}

/** One try at one inviter, in its order: `start`, `finish`, `open`. */
export interface Attempt {
  readonly start: Start
  /** @throws WRONG_CODE when the other side does not know the words either; then nothing more is said to it. */
  finish(answer: Answer): Finish
  /** @throws WRONG_CODE, BAD_INVITE */
  open(given: Given): Paired
}

export async function attemptWith({ plate, words }: ShortCode, self: { readonly did: Did; readonly name: string }): Promise<Attempt> {
  const key = await makeKey(words)
  const start: Start = { t: 'start', v: 1, plate, ke1: key.ke1 }
  let channel: PairChannel | undefined
  return {
    start,
    finish(answer) {
      const turned = key.turn(answer.ke2)
      if (turned === undefined) throw wrongCode()
      channel = new PairChannel(turned.sessionKey, { start, answer })
      return { t: 'finish', ke3: turned.ke3, sealed: channel.seal('joiner', encode({ device: self.did, name: self.name })) }
    },
    open(given) {
      if (channel === undefined) throw wrongCode()
      const { code } = decodeAs(Invitation, channel.open('inviter', given.sealed), PAIR.maxBytes)
      const read = readCode(code)
      return { code, read, check: channel.check({ joiner: self.did, inviter: read.inviter }) }
    },
  }
}
