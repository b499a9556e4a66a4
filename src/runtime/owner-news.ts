/** Says on every device that the mesh has other owners: in its log when it hears of it, and in its status for some days. */
import type { Fact } from '../audit/facts.ts'
import type { Clock } from '../base/clock.ts'
import type { Did } from '../identity/identity.ts'
import type { Owners } from '../registry/owners.ts'
import { hex, sayChange } from './owner-votes.ts'

const DAY_MS = 86_400_000
/** An owner who looks once in a while has to see it. */
const SAY_CHANGE_MS = 3 * DAY_MS
const SAY_RECOVERY_MS = 14 * DAY_MS

export class OwnerNews {
  #known: string
  #conflict: boolean

  constructor(
    private readonly on: { readonly self: Did; readonly owners: Owners; readonly audit: { append(fact: Fact): Promise<unknown> }; readonly clock: Clock },
  ) {
    this.#known = hex(on.owners.standing.hash)
    this.#conflict = on.owners.conflict !== undefined
  }

  /** Whether the owners are others than when it was asked last; then every step that is new here goes into the log. */
  async hear(): Promise<boolean> {
    const { owners, self, audit } = this.on
    const { standings } = owners.chain
    const isConflict = owners.conflict !== undefined && !this.#conflict
    this.#conflict = owners.conflict !== undefined
    if (isConflict) await audit.append({ actor: self, action: 'owners.conflict', result: 'denied', details: { why: CONFLICT } })
    const at = standings.findIndex(({ hash }) => hex(hash) === this.#known)
    const fresh = standings.slice(at + 1)
    if (at >= 0 && fresh.length === 0) return false
    this.#known = hex(owners.standing.hash)
    for (const after of at < 0 ? standings.slice(-1) : fresh) {
      const before = standings[standings.indexOf(after) - 1] ?? after
      const action = after.by === 'recovery' ? 'recovery.used' : 'owners.change'
      await audit.append({ actor: self, action, result: 'ok', details: { words: sayChange(before, after) } })
    }
    return true
  }

  /** What a person has to know, for some days. */
  notices(): string[] {
    const { owners, clock } = this.on
    const now = clock.now()
    const { standings } = owners.chain
    const said = standings.slice(1).flatMap((after, n) => {
      const before = standings[n] ?? after
      const forMs = after.by === 'recovery' ? SAY_RECOVERY_MS : SAY_CHANGE_MS
      return now - after.at < forMs ? [sayNotice(sayChange(before, after), after)] : []
    })
    return owners.conflict === undefined ? said : [...said, CONFLICT]
  }
}

const CONFLICT =
  'another list of owners was signed as well, with the same keys or by owners who were taken out; it does not count here. If it should, use the recovery words'

function sayNotice(words: string, { at, by }: { readonly at: number; readonly by: 'owners' | 'recovery' }): string {
  const when = new Date(at).toISOString().slice(0, 16).replace('T', ' ')
  if (by === 'owners') return `the owners were changed at ${when} UTC: ${words}`
  return `THE RECOVERY WORDS WERE USED at ${when} UTC: ${words}. Was it not you? Say so to the other people of this mesh at once`
}
