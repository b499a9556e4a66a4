/**
 * What rests on a right without being a command that runs: requests in the queue, callers who follow output. Each ends in the moment in which
 * its right is revoked or expires, and is told why.
 */
import { endOfWork } from '../authority/chain.ts'
import type { RevocationView } from '../authority/revocations.ts'
import type { Delegation } from '../authority/token.ts'
import type { Admission } from '../authority/verify.ts'
import type { Clock } from '../base/clock.ts'
import type { ErrandError } from '../base/errors.ts'
import type { TaskId } from '../tasks/machine.ts'
import { denial } from './denial.ts'

export interface RestsOn {
  readonly revocations: RevocationView
  readonly clock: Clock
}

type Right = Pick<Admission, 'chain' | 'expiresAt'>

export interface Resting {
  readonly right: Right
  /** Set for a task that ends with it: it is named to whoever revokes. */
  readonly task?: TaskId
  readonly end: (why: ErrandError) => void
}

export class Rests {
  readonly #held = new Set<Resting>()

  constructor(private readonly on: RestsOn) {}

  /** From now on until it is released. Ended at once when the right is gone already. The returned function releases it. */
  hold(resting: Resting): () => void {
    const { expiresAt } = resting.right
    const { clock } = this.on
    this.#held.add(resting)
    const late = expiresAt === null ? () => undefined : clock.after(Math.max(0, expiresAt * 1_000 - clock.now()), () => this.#endIfDead(resting))
    this.#endIfDead(resting)
    return () => {
      late()
      this.#held.delete(resting)
    }
  }

  /** Ends whatever rests on a chain that is dead by now. @returns the tasks among it. */
  endDead(): TaskId[] {
    return [...this.#held].filter((resting) => this.#endIfDead(resting)).flatMap(({ task }) => (task === undefined ? [] : [task]))
  }

  /** Tasks that would end if these revocations counted as well. */
  tasksKilledBy(view: RevocationView): TaskId[] {
    return [...this.#held].flatMap(({ task, right }) => (task !== undefined && view.kills(right.chain) !== undefined ? [task] : []))
  }

  #endIfDead(resting: Resting): boolean {
    const why = this.#held.has(resting) ? whyDead(resting.right, this.on) : undefined
    if (why === undefined) return false
    this.#held.delete(resting)
    resting.end(why)
    return true
  }
}

/** Why a right that was good when it was shown is none any more; undefined while it is. */
export function whyDead({ chain, expiresAt }: Right, on: RestsOn & { readonly named?: (text: string) => string }): ErrandError | undefined {
  const { clock, revocations, named = (text) => text } = on
  const now = clock.now()
  if (expiresAt !== null && now >= expiresAt * 1_000) {
    const link = chain.find((one) => endOfWork(one) === expiresAt)
    return denial({ ok: false, code: 'GRANT_EXPIRED', detail: 'the grant expired', expiresAt, ...grantOf(link) }, now)
  }
  const dead = revocations.kills(chain)
  if (dead === undefined) return undefined
  const detail = named(dead.words)
  return denial({ ok: false, code: 'REVOKED', detail, expiresAt: dead.link.exp, ...grantOf(dead.link) }, now)
}

function grantOf(link: Delegation | undefined): { readonly grant?: string } {
  return link === undefined ? {} : { grant: link.cid }
}
