/**
 * The sessions of this device: opens them, finds them by token or name, ends them. Nothing of one is on the disk but what is needed to end it:
 * its key, its token and its environment are in memory, and go with the node. Decision: docs/decisions/0022.
 */
import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { SESSION_TOKEN } from '../../protocols/local/frames.ts'
import type { SessionClosed, SessionOpened, SessionRequest, SessionView } from '../../protocols/local/sessions.ts'
import { Count, DidText, decodeAs, encode, List, Text } from '../../protocols/wire.ts'
import type { Fact } from '../audit/facts.ts'
import { type Revocation, revoke } from '../authority/revocations.ts'
import { type Clock, pause } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did, Identity } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { Lapse } from '../sessions/lifetime.ts'
import type { TaskBook } from '../tasks/book.ts'
import type { MeshRecords } from './records.ts'
import type { Telling } from './rights-desk.ts'
import type { SessionRoom } from './runtime.ts'
import { Session, type SessionAbout } from './session.ts'
import { type LinksOn, SessionLinks } from './session-links.ts'
import { aboutIn, type GrantorOn, heldBy } from './session-request.ts'

export interface SessionShelf {
  put(key: string, value: Uint8Array): Promise<void>
  del(key: string): Promise<void>
  entries(prefix: string): AsyncIterable<readonly [key: string, value: Uint8Array]>
}

export interface SessionDeskOn extends Omit<LinksOn, 'device' | 'now'>, GrantorOn {
  readonly directory: Directory
  readonly records: MeshRecords
  readonly telling: Telling
  readonly book: Pick<TaskBook, 'live'>
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly clock: Clock
  readonly shelf: SessionShelf
  readonly newId: () => string
  /** What a session gets that names no times: milliseconds. */
  readonly defaults: { readonly forMs: number; readonly idleMs: number }
}

const MAX_OPEN = 256
const MAX_REMEMBERED = 64
const MIN_ID_CHARS = 6
/** What a stop waits for other devices to hear that the sessions are over. */
const STOP_MS = 1_000

/** What is kept of an open session, so that a node that went down without a word can end it when it comes back. */
const Kept = v.strictObject({ v: v.literal(1), anchor: Text(128), by: List(DidText, 16), expiresAt: Count })
const MAX_KEPT_BYTES = 8_192

interface Ended {
  readonly view: SessionView
  readonly token: string
}

export class SessionDesk implements SessionRoom {
  readonly #open = new Map<string, Session>()
  /** Digests of the tokens, and whose they are. */
  readonly #tokens = new Map<string, string>()
  readonly #ended = new Map<string, Ended>()

  constructor(private readonly on: SessionDeskOn) {}

  /** @throws UNKNOWN_DEVICE, BAD_RIGHT, BAD_ROLE, BAD_SESSION, CANNOT_GRANT for what this device does not hold itself. */
  async open(request: SessionRequest): Promise<SessionOpened> {
    const { keyring, clock, audit, random, directory } = this.on
    if (this.#open.size >= MAX_OPEN)
      throw new ErrandError('TOO_BUSY', `${MAX_OPEN} sessions are open`, { hint: 'close those that nobody needs: errand session list', retryable: true })
    const about = aboutIn(request, { ...this.on.defaults, now: clock.now(), id: this.on.newId(), roles: this.on.roles })
    if (about.name !== undefined && this.#named(about.name) !== undefined)
      throw new ErrandError('BAD_SESSION', `a session named "${about.name}" is open`, { hint: 'choose another name, or close that one' })
    const until = Math.ceil(about.expiresAt / 1_000)
    const links = new SessionLinks(about.id, heldBy(request, until, this.on), until, { ...this.on, device: keyring.device, now: () => keyring.nowSeconds() })
    await this.#keep(about, links)
    const words = links.rights.map(({ subject, words }) => `${words} on ${directory.named(subject)}`).join('; ')
    await audit.append(this.#fact('session.open', about.id, { words, expiresAt: about.expiresAt, ...(about.name === undefined ? {} : { name: about.name }) }))
    const token = `${SESSION_TOKEN}${Buffer.from(random(32)).toString('base64url')}`
    const session = new Session(about, { links, clock, named: (did) => directory.named(did), lapsed: (why) => void this.#lapse(about.id, why) })
    this.#open.set(about.id, session)
    this.#tokens.set(digestOf(token), about.id)
    return { ...this.#view(session), token }
  }

  list(): Promise<SessionView[]> {
    return Promise.resolve([...[...this.#ended.values()].map(({ view }) => view), ...[...this.#open.values()].map((one) => this.#view(one))])
  }

  async get(text: string): Promise<SessionView> {
    return this.view(text)
  }

  async enter(credential: string): Promise<string> {
    return this.find(credential).id
  }

  /** @throws NO_SUCH_SESSION, AMBIGUOUS_SESSION */
  view(text: string): SessionView {
    const id = this.#idOf(text)
    const open = this.#open.get(id)
    return open === undefined ? (this.#ended.get(id)?.view ?? unknown(text)) : this.#view(open)
  }

  /** @param credential a token, an id, a part of one, or a name. @throws NO_SUCH_SESSION, AMBIGUOUS_SESSION, DENIED when it is over. */
  find(credential: string): Session {
    const byToken = this.#tokens.get(digestOf(credential))
    if (byToken === undefined && credential.startsWith(SESSION_TOKEN)) throw unknown('of this token')
    const id = byToken ?? this.#idOf(credential)
    const session = this.#open.get(id)
    if (session === undefined) throw isOver(this.#ended.get(id)?.view ?? unknown(credential))
    session.use()
    return session
  }

  /** Resolves when whoever could be told has stopped what ran in it. @throws NO_SUCH_SESSION, DENIED */
  async close(text: string, reason = 'closed'): Promise<SessionClosed> {
    const session = this.#open.get(this.#idOf(text))
    if (session === undefined) throw isOver(this.view(text))
    this.#forget(session, 'closed')
    await this.on.audit.append(this.#fact('session.close', session.id, { reason }))
    const { cid, by } = session.links.anchor
    const told = await this.#revoke(by, cid)
    await this.on.shelf.del(session.id)
    return this.#closed(session, told)
  }

  /** Before the node stops: its sessions end with it. Bounded. */
  async closeAll(): Promise<void> {
    const enough = new AbortController()
    const closing = [...this.#open.keys()].map((id) => this.close(id, 'its node stops').catch(() => undefined))
    if (closing.length > 0) await Promise.race([Promise.all(closing), pause(this.on.clock, STOP_MS, enough.signal)])
    enough.abort()
  }

  /** Ends the sessions that an earlier start of this node left open: nobody has their keys any more. */
  async endLeft(): Promise<void> {
    for await (const [id, bytes] of this.on.shelf.entries('')) {
      if (this.#open.has(id)) continue
      const { anchor, by, expiresAt } = decodeAs(Kept, bytes, MAX_KEPT_BYTES)
      const signers = this.on.keyring.keys().filter(({ did }) => by.includes(did))
      await this.on.audit.append(this.#fact('session.close', id, { reason: 'its node was started again' }))
      if (expiresAt > this.on.clock.now()) await this.#revoke(signers, anchor)
      await this.on.shelf.del(id)
    }
  }

  /** Its time is up: its chains die everywhere by the same clock. One that fell idle is revoked as well. */
  async #lapse(id: string, why: Lapse): Promise<void> {
    const session = this.#open.get(id)
    if (session === undefined) return
    this.#forget(session, why)
    await this.on.audit.append(this.#fact('session.expire', id, { reason: why === 'idle' ? 'nobody used it' : 'its time was up' })).catch(() => undefined)
    const { cid, by } = session.links.anchor
    if (why === 'idle') await this.#revoke(by, cid).catch(() => undefined)
    await this.on.shelf.del(id).catch(() => undefined)
  }

  #forget(session: Session, why: 'closed' | Lapse): void {
    const at = new Date(this.on.clock.now()).toISOString()
    const view: SessionView = { ...this.#view(session), state: why === 'closed' ? 'CLOSED' : 'EXPIRED', endsAt: at, endedAt: at, why }
    this.#open.delete(session.id)
    const [token = ''] = [...this.#tokens].find(([, id]) => id === session.id) ?? []
    this.#ended.set(session.id, { view, token })
    const [oldest] = this.#ended
    if (this.#ended.size > MAX_REMEMBERED && oldest !== undefined) {
      this.#ended.delete(oldest[0])
      this.#tokens.delete(oldest[1].token)
    }
    session.end(isOver(view))
  }

  async #revoke(by: readonly Identity[], cid: string): Promise<{ readonly stopped: readonly string[]; readonly acknowledged: readonly Did[] }> {
    const { records, telling, random } = this.on
    const revocations: Revocation[] = by.map((key) => revoke(key, cid, random))
    const stopped = new Set<string>()
    for (const { bytes } of revocations) {
      // One that this device may not add any more changes nothing here: the key is gone, and what rests on it dies with its lease.
      for (const task of (await records.admit('revocations', bytes)).stopped) stopped.add(task)
      telling.gossipRevocation(bytes)
    }
    const told = await telling.push(
      'revocations',
      revocations.map(({ bytes }) => bytes),
    )
    for (const task of told.flatMap((one) => one.stopped)) stopped.add(task)
    return { stopped: [...stopped], acknowledged: told.filter((one) => one.acknowledged).map(({ did }) => did) }
  }

  #closed(session: Session, { stopped, acknowledged }: { readonly stopped: readonly string[]; readonly acknowledged: readonly Did[] }): SessionClosed {
    const { directory, keyring } = this.on
    const others = session.devices.filter((did) => did !== keyring.device.did)
    const expiresAt = new Date(session.about.expiresAt).toISOString()
    return {
      session: session.id,
      stopped: [...stopped],
      acknowledged: others.filter((did) => acknowledged.includes(did)).map((did) => directory.named(did)),
      unreachable: others.filter((did) => !acknowledged.includes(did)).map((did) => ({ device: directory.named(did), expiresAt })),
    }
  }

  async #keep({ id, expiresAt }: SessionAbout, { anchor }: SessionLinks): Promise<void> {
    const kept = { v: 1, anchor: anchor.cid, by: anchor.by.map(({ did }) => did), expiresAt } as const
    await this.on.shelf.put(id, encode(kept satisfies v.InferOutput<typeof Kept>))
  }

  #view(session: Session): SessionView {
    return session.view({ active: this.on.book.live().filter((task) => session.has(task)).length })
  }

  #idOf(text: string): string {
    const all = [...this.#open.keys(), ...this.#ended.keys()]
    const part = text.toLowerCase()
    const named = this.#named(text)
    if (all.includes(part) || named !== undefined) return named ?? part
    const fitting = part.length >= MIN_ID_CHARS ? all.filter((id) => id.startsWith(part) || id.endsWith(part)) : []
    const [only] = fitting
    if (only === undefined) return unknown(text)
    if (fitting.length > 1) throw new ErrandError('AMBIGUOUS_SESSION', `${fitting.length} sessions fit "${part}"`, { hint: 'give more characters' })
    return only
  }

  #named(name: string): string | undefined {
    return [...this.#open.values()].find(({ about }) => about.name === name)?.id
  }

  #fact(action: string, session: string, details: NonNullable<Fact['details']>): Fact {
    return { actor: this.on.keyring.device.did, action, result: 'ok', session, details }
  }
}

/** Found by it, never kept itself; a digest takes the same time to find whatever was guessed of the token. */
function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

function unknown(text: string): never {
  throw new ErrandError('NO_SUCH_SESSION', `no session ${text.slice(0, 64)} is known here`, {
    hint: 'errand session list shows them; errand session open opens one',
  })
}

function isOver({ session, why, endedAt }: SessionView): ErrandError {
  const how = why === 'closed' ? 'was closed' : why === 'idle' ? 'ended because nobody used it' : 'has expired'
  return new ErrandError('DENIED', `session ${session} ${how}${endedAt === null ? '' : ` at ${endedAt}`}`, {
    hint: 'open another one: errand session open',
    fields: { reason: 'SESSION_OVER', session },
  })
}
