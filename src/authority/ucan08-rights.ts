/** What a capability of a UCAN 0.8 token is among our rights, and how a right is said as one. Both ways exactly, or not at all. */
import { ABILITIES, type Ability, type Capability, RESOURCE_SCHEME } from '../../protocols/bridge/messages.ts'
import { asErrand } from '../base/errors.ts'
import { asDid, type Did, isDid } from '../identity/identity.ts'
import { LAST_LINK } from './chain.ts'
import { SIGNED_META, STALE_META } from './freshness.ts'
import { parseRight, type Right, sayRight } from './rights.ts'
import type { Delegation } from './token.ts'
import { OldTokenError } from './ucan08.ts'

export interface ForeignRight extends Right {
  /** The device. */
  readonly subject: Did
}

const HINT = 'protocols/bridge/README.md has the table of what a token can give'
const RESOURCE = new RegExp(`^${RESOURCE_SCHEME}:(did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44})(?:/([A-Za-z0-9%_.!~*'()-]+))?$`)

/** @throws OldTokenError UNKNOWN_CAPABILITY for whatever is not in the table. */
export function rightOf(capability: Capability): ForeignRight {
  const ability = Object.hasOwn(ABILITIES, capability.can) ? ABILITIES[capability.can as Ability] : undefined
  if (ability === undefined) throw unknown(capability, `there is no ability ${JSON.stringify(capability.can)} here`)
  const [, did = '', encoded] = RESOURCE.exec(capability.with) ?? []
  if (!isDid(did)) throw unknown(capability, 'its resource is not a device of errand')
  const subject = asDid(did)
  if (encoded === undefined) return { subject, cmd: ability, pol: [] }
  const right = spoken(encoded, capability)
  if (right.cmd !== ability) throw unknown(capability, `its resource is about ${right.cmd}, its ability about ${ability}`)
  return { subject, ...right }
}

function spoken(encoded: string, capability: Capability): Right {
  try {
    const words = decodeURIComponent(encoded)
    const right = parseRight(words)
    // Only words that come back as they are: two ways to say a right would be two resources, and the library compares them as text.
    if (sayRight(right.cmd, right.pol) === words && encodeURIComponent(words) === encoded) return right
  } catch (thrown) {
    throw unknown(capability, `its words are no right: ${asErrand(thrown).message}`)
  }
  throw unknown(capability, 'its words are not in the form that errand writes')
}

function unknown({ with: resource, can }: Capability, why: string): OldTokenError {
  return new OldTokenError('UNKNOWN_CAPABILITY', `${JSON.stringify(can.slice(0, 80))} on ${JSON.stringify(resource.slice(0, 160))} is not taken: ${why}`, HINT)
}

export type Said = { readonly ok: true; readonly capability: Capability; readonly exp: number } | { readonly ok: false; readonly why: string }

/** A grant as one capability of 0.8. Refused where the older format cannot hold a bound of it: there it would be wider. */
export function capabilityOf(grant: Delegation): Said {
  const { cmd, pol, sub, meta, exp } = grant
  const can = Object.entries(ABILITIES).find(([, command]) => command === cmd)?.[0]
  if (meta?.[STALE_META] !== undefined) return { ok: false, why: 'it says how old the knowledge of revocations may be, and UCAN 0.8 cannot' }
  if (meta?.[LAST_LINK] === true) return { ok: false, why: 'it may not be passed on, and UCAN 0.8 cannot say that' }
  const unsaid = Object.keys(meta ?? {}).filter((key) => key !== SIGNED_META) // when it was signed bounds nothing
  if (unsaid.length > 0) return { ok: false, why: `UCAN 0.8 cannot say ${unsaid.join(', ')}` }
  if (sub === null) return { ok: false, why: 'it names no device' }
  if (exp === null) return { ok: false, why: 'it does not expire, and a token of UCAN 0.8 has to' }
  if (can === undefined) return { ok: false, why: `UCAN 0.8 tokens of errand have no ability for ${cmd}` }
  const device = `${RESOURCE_SCHEME}:${sub}`
  if (pol.length === 0) return { ok: true, capability: { with: device, can }, exp }
  const capability = { with: `${device}/${encodeURIComponent(sayRight(cmd, pol))}`, can }
  return readsBack(capability, grant) ? { ok: true, capability, exp } : { ok: false, why: 'its policy cannot be said in words that mean exactly the same' }
}

/** The words are taken only if they compile to this very policy again. */
function readsBack(capability: Capability, { cmd, pol }: Delegation): boolean {
  try {
    const right = rightOf(capability)
    return right.cmd === cmd && sayRight(right.cmd, right.pol) === sayRight(cmd, pol) && JSON.stringify(right.pol) === JSON.stringify(pol)
  } catch {
    return false
  }
}
