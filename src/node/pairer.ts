/** Trying a short code: where the inviter is, the one try, and what it brought. */

import type { PairRequest, PairView } from '../../protocols/local/messages.ts'
import { PAIR } from '../../protocols/pair/messages.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import { findInviters, pairAt } from '../mesh/pair.ts'
import { offerView } from '../runtime/invite-code.ts'
import { readShortCode, type ShortCode } from '../runtime/pair-code.ts'
import { attemptWith, type Paired } from '../runtime/pairing.ts'

/** How long the local network is asked for a number. */
const FIND_MS = 10_000

/** @throws BAD_CODE before anybody is asked; NO_INVITER, NO_ROUTE, CODE_UNKNOWN, WRONG_CODE */
export async function pairByWords(request: PairRequest, self: { readonly did: Did; readonly name: string }): Promise<PairView> {
  const code = readShortCode(request.code)
  const { paired, met } = request.via === undefined ? await onNetwork(code, self) : await at(request.via, code, self)
  const { offer } = paired.read
  return { code: paired.code, via: [...new Set([met, ...offer.addrs])].slice(0, 16), check: paired.check, offer: offerView(paired.read, self) }
}

interface Met {
  readonly paired: Paired
  /** The address that answered. */
  readonly met: string
}

async function at(addresses: readonly string[], code: ShortCode, self: { did: Did; name: string }): Promise<Met> {
  const { value, address } = await pairAt(addresses, await attemptWith(code, self))
  return { paired: value, met: address }
}

/** Somebody else may show the same number, by chance or to be tried: a few are, each with a try of its own, and each is one guess for whoever it is. */
async function onNetwork(code: ShortCode, self: { did: Did; name: string }): Promise<Met> {
  const signal = AbortSignal.timeout(FIND_MS)
  let last: ErrandError | undefined
  let tries = 0
  for await (const addresses of findInviters(code.plate, signal)) {
    try {
      return await at(addresses, code, self)
    } catch (thrown) {
      last = asErrand(thrown)
      if (last.code === 'WRONG_CODE' && ++tries >= PAIR.maxTries) break
    }
  }
  throw (
    last ??
    new ErrandError('NO_INVITER', `no device on this network shows a code with the number ${code.plate}`, {
      hint: 'is the code still open, and is the other device on the same network? Else say where it is: errand join --via MULTIADDR',
      retryable: true,
    })
  )
}
