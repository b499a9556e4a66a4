/** One open session: what acts in it may show, see and use. Ends by itself when its time is up; what that means is its desk's. */
import type { SessionView } from '../../protocols/local/sessions.ts'
import { refusePolicies } from '../authority/chain.ts'
import type { AnyRecord } from '../authority/token.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import { type Lapse, Lifetime } from '../sessions/lifetime.ts'
import { OwnTasks } from '../sessions/own-tasks.ts'
import type { Task } from '../tasks/machine.ts'
import type { Scope } from './far.ts'
import type { Proof } from './keyring.ts'
import type { SessionLinks } from './session-links.ts'

export interface SessionAbout {
  readonly id: string
  readonly name: string | undefined
  readonly openedAt: number
  readonly expiresAt: number
  readonly idleMs: number
  /** In memory only. */
  readonly env: Readonly<Record<string, string>>
}

export interface SessionOn {
  readonly links: SessionLinks
  readonly clock: Clock
  readonly named: (did: string) => string
  /** Called once, when its time is up. */
  readonly lapsed: (why: Lapse) => void
}

export class Session implements Scope {
  readonly tasks = new OwnTasks()
  readonly #life: Lifetime
  readonly #over = new AbortController()
  #cancelTimer: () => void = () => undefined

  constructor(
    readonly about: SessionAbout,
    private readonly on: SessionOn,
  ) {
    this.#life = new Lifetime(about)
    this.#watch()
  }

  get id(): string {
    return this.about.id
  }

  get links(): SessionLinks {
    return this.on.links
  }

  /** Aborts when the session is over. */
  get over(): AbortSignal {
    return this.#over.signal
  }

  get devices(): readonly Did[] {
    return [...new Set(this.on.links.rights.map(({ subject }) => subject))]
  }

  /** Somebody asks in it. */
  use(): void {
    this.#life.use(this.on.clock.now())
  }

  /** Somebody converses in it until the returned function is called. */
  hold(): () => void {
    const release = this.#life.hold(this.on.clock.now())
    return () => release(this.on.clock.now())
  }

  /** Ends it here: nothing is proven in it any more, and what listens is cut off. */
  end(why: ErrandError): void {
    this.#cancelTimer()
    this.#over.abort(why)
  }

  /** A device that it is for. Of others nothing is told, not even whether there are such. @throws DENIED */
  deviceNamed(text: string, resolve: (text: string) => Did): Did {
    try {
      const device = resolve(text)
      if (this.devices.includes(device)) return device
    } catch {
      // Said below, in the same words.
    }
    throw this.#noRight(`on "${text.slice(0, 128)}"`)
  }

  /** Whether a task is one of this session's. The word of the record counts, not that somebody named its id here. */
  has(task: Pick<Task, 'id' | 'session'> | undefined): boolean {
    return task?.session === this.id
  }

  /** @throws DENIED when the session has no right of that kind there: then nothing is signed. */
  prove(subject: Did, command: string, args: AnyRecord): Proof {
    this.#over.signal.throwIfAborted()
    const proof = this.on.links.prove({ subject, command, args })
    if (proof !== undefined) return proof
    throw this.#noRight(`to ${command} on ${this.on.named(subject)}`)
  }

  pass(): Uint8Array[] {
    this.#over.signal.throwIfAborted()
    return this.on.links.pass()
  }

  /** The environment of a command: what was asked for, and of the session's own what the right there permits. */
  dress(subject: Did, args: AnyRecord, asked: Readonly<Record<string, string>>): Record<string, string> {
    let env: Record<string, string> = { ...asked }
    for (const [name, value] of Object.entries(this.about.env)) {
      if (name in env) continue
      const more = { ...env, [name]: value }
      if (this.#permits(subject, { ...args, env: Object.keys(more).sort() })) env = more
    }
    return env
  }

  view(counts: { readonly active: number }): SessionView {
    const { id, name, openedAt, expiresAt, idleMs, env } = this.about
    const iso = (ms: number): string => new Date(ms).toISOString()
    return {
      ...{ session: id, name: name ?? null, state: 'OPEN', openedAt: iso(openedAt), expiresAt: iso(expiresAt), idleMs },
      ...{ lastUsedAt: iso(this.#life.usedAt), endsAt: iso(this.#life.endsAt(this.on.clock.now())), endedAt: null, why: null },
      can: this.on.links.rights.map(({ subject, words }) => ({ device: this.on.named(subject), words })),
      env: Object.keys(env).sort(),
      tasks: { active: counts.active, total: this.tasks.size },
    }
  }

  #noRight(what: string): ErrandError {
    return new ErrandError('DENIED', `this session has no right ${what}`, {
      hint: `errand session show ${this.id.slice(-8)} says what it may do`,
      fields: { reason: 'NOT_IN_SESSION' },
    })
  }

  #permits(subject: Did, args: AnyRecord): boolean {
    const proof = this.on.links.prove({ subject, command: '/exec/run', args })
    return proof !== undefined && proof.doubt === undefined && refusePolicies(proof.chain, args) === undefined
  }

  #watch(): void {
    const now = this.on.clock.now()
    const why = this.#life.lapse(now)
    if (why !== undefined) return this.on.lapsed(why)
    this.#cancelTimer = this.on.clock.after(Math.max(1, this.#life.endsAt(now) - now), () => this.#watch())
  }
}
