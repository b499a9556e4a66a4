/**
 * What has become of the invites of this device since they were made: somebody typed the code, somebody waits to be let in, somebody joined.
 * In memory: what must outlive a restart (used, held back) is with the invite itself. Holds joiners until a person here has answered.
 */
import type { InviteProgressView } from '../../protocols/local/messages.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { wordsOf } from './words.ts'

/** Invites of one evening are a handful; the oldest are forgotten first. */
const MAX_WATCHED = 256
/** How long a question for news stays open. */
const WATCH_MS = 20_000

type State = InviteProgressView['state']

interface Watched {
  readonly view: Omit<InviteProgressView, 'expiresAt'>
  readonly expiresAtMs: number
}

/** Who stands at the door. */
export interface Caller {
  readonly did: string
  readonly name: string
  /** What both screens show. */
  readonly check: string
}

export type HeldVerdict = 'admit' | 'held' | 'asked' | 'denied' | 'other'

/** Nothing more happens to such an invite. */
const OVER: ReadonlySet<State> = new Set(['joined', 'void', 'denied', 'expired'])

export class InviteProgress {
  readonly #watched = new Map<string, Watched>()
  readonly #waiting = new Set<() => void>()

  constructor(private readonly clock: Clock) {}

  begin(id: string, expiresAtMs: number): void {
    const [oldest] = this.#watched.keys()
    if (this.#watched.size >= MAX_WATCHED && oldest !== undefined) this.#watched.delete(oldest)
    this.#watched.set(id, { view: { id, seq: 0, state: 'open', device: null, check: null, why: null }, expiresAtMs })
  }

  /** Somebody has the words: the invite is for that device and no other from now on. */
  paired(id: string, caller: Caller): void {
    this.#move(id, 'paired', { device: deviceOf(caller), check: caller.check })
  }

  /** The short code is spent for nothing. */
  failed(id: string, why: string): void {
    this.#move(id, 'void', { why })
  }

  joined(id: string, device: { did: string; name: string }): void {
    this.#move(id, 'joined', { device: { ...device, words: wordsOf(device.did) } })
  }

  /**
   * Whether a device with a valid invite may come in now.
   * `asked`: it waits from now on for somebody to say yes; `held`: it still does. `other`: the invite is another device's.
   */
  look(id: string, caller: Caller, o: { readonly approve: boolean; readonly expiresAtMs: number }): HeldVerdict {
    if (!this.#watched.has(id)) this.begin(id, o.expiresAtMs) // made before a restart
    const view = this.#watched.get(id)?.view
    if (view?.state === 'denied') return 'denied'
    if (view?.device && view.device.did !== caller.did) return 'other'
    if (!o.approve || view?.state === 'allowed') return 'admit'
    if (view?.state === 'asking') return 'held'
    this.#move(id, 'asking', { device: deviceOf(caller), check: view?.check ?? caller.check })
    return 'asked'
  }

  /** @throws NO_SUCH_INVITE, NOBODY_WAITS */
  whoWaits(id: string): NonNullable<InviteProgressView['device']> {
    const { state, device } = this.#view(id)
    if (state === 'asking' && device !== null) return device
    throw new ErrandError('NOBODY_WAITS', `nobody waits to be let in with this invite: it is ${state}`)
  }

  /** A person's word on whoever waits. @throws NO_SUCH_INVITE, NOBODY_WAITS */
  answer(id: string, allow: boolean): InviteProgressView {
    this.whoWaits(id)
    this.#move(id, allow ? 'allowed' : 'denied', {})
    return this.#view(id)
  }

  /** Answers when something has happened after `after`, or in 20 s with what there is. @throws NO_SUCH_INVITE */
  async watch(id: string, { after, signal }: { readonly after?: number | undefined; readonly signal: AbortSignal }): Promise<InviteProgressView> {
    const until = this.clock.monotonic() + WATCH_MS
    while (after !== undefined && !signal.aborted && this.clock.monotonic() < until) {
      const view = this.#view(id)
      if (view.seq > after || OVER.has(view.state)) return view
      await this.#news(Math.min(until - this.clock.monotonic(), Math.max(1, this.#find(id).expiresAtMs - this.clock.now())), signal)
    }
    return this.#view(id)
  }

  #news(withinMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        this.#waiting.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const cancel = this.clock.after(withinMs, done)
      this.#waiting.add(done)
      signal.addEventListener('abort', done, { once: true })
    })
  }

  #move(id: string, state: State, more: Partial<Pick<InviteProgressView, 'device' | 'check' | 'why'>>): void {
    const held = this.#watched.get(id)
    if (held === undefined || OVER.has(held.view.state)) return
    this.#watched.set(id, { ...held, view: { ...held.view, ...more, state, seq: held.view.seq + 1 } })
    for (const wake of [...this.#waiting]) wake()
  }

  #find(id: string): Watched {
    const held = this.#watched.get(id)
    if (held !== undefined) return held
    throw new ErrandError('NO_SUCH_INVITE', 'this device knows no such invite, or has been started again since', { hint: 'errand invite makes a new one' })
  }

  #view(id: string): InviteProgressView {
    const { view, expiresAtMs } = this.#find(id)
    const isLate = !OVER.has(view.state) && view.state !== 'allowed' && expiresAtMs <= this.clock.now()
    return { ...view, ...(isLate ? { state: 'expired', seq: view.seq + 1 } : {}), expiresAt: new Date(expiresAtMs).toISOString() }
  }
}

function deviceOf({ did, name }: Caller): NonNullable<InviteProgressView['device']> {
  return { did, name, words: wordsOf(did) }
}
