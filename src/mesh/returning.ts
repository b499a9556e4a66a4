/**
 * A device that was away may not have heard what was taken back meanwhile, and who comes first may be whom it was taken from. So before it does
 * the first thing for somebody it asks another member, once, as far as one can be reached soon. Afterwards the bounds of the grants rule alone.
 */
import type { Clock } from '../base/clock.ts'
import type { Did } from '../identity/identity.ts'

/** Who has not been met by then is not waited for: the device is back, and others are away. */
const RETURN_MS = 30_000

export interface ReturningOn {
  readonly clock: Pick<Clock, 'monotonic'>
  /** Of this mesh, this device included. */
  readonly members: () => readonly string[]
  readonly self: Did
  /** Compares revocations with a member that is not this one; bounded. */
  readonly freshen: (except: Did) => Promise<void>
}

export class Returning {
  #backAt: number
  readonly #heard = new Set<string>()
  readonly #asked = new Map<string, Promise<void>>()

  constructor(private readonly on: ReturningOn) {
    this.#backAt = on.clock.monotonic()
  }

  /** It had no line to anybody, and has one now. */
  back(): void {
    this.#backAt = this.on.clock.monotonic()
    this.#heard.clear()
    this.#asked.clear()
  }

  /** The whole set was compared with this member. */
  compared(did: Did): void {
    this.#heard.add(did)
  }

  /** Resolves when another member than the caller was heard since this device is back, or could not be reached. */
  async ask(caller: Did): Promise<void> {
    const { clock, members, self, freshen } = this.on
    if (caller === self || clock.monotonic() - this.#backAt > RETURN_MS) return
    if ([...this.#heard].some((did) => did !== caller)) return
    if (!members().some((did) => did !== self && did !== caller)) return
    const asking = this.#asked.get(caller) ?? freshen(caller).catch(() => undefined)
    this.#asked.set(caller, asking)
    await asking
  }
}
