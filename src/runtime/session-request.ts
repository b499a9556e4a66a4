/** What somebody asks for who opens a session, checked and compiled into rights that this device holds and may hand on. */
import type { SessionRequest } from '../../protocols/local/sessions.ts'
import type { Revocations } from '../authority/revocations.ts'
import { parseRight, type Right, wordsOfRight } from '../authority/rights.ts'
import type { Wallet } from '../authority/wallet.ts'
import { sayDuration } from '../base/duration.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did, Identity } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { Keyring } from './keyring.ts'
import type { Roles } from './roles.ts'
import type { SessionAbout } from './session.ts'
import type { Held } from './session-links.ts'

/** A session lives a day at most, used or not. */
const MAX_SESSION_MS = 24 * 3_600_000
const MAX_LINKS = 128
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,255}$/

export interface GrantorOn {
  readonly keyring: Keyring
  readonly wallet: Wallet
  readonly revocations: Revocations
  readonly directory: Directory
  readonly roles: Pick<Roles, 'named' | 'bundle' | 'lifeOf'>
}

/** @throws BAD_SESSION, BAD_ROLE; ROLE_TOO_LONG for longer than the role is given. */
export function aboutIn(
  request: SessionRequest,
  given: { readonly forMs: number; readonly idleMs: number; readonly now: number; readonly id: string; readonly roles: GrantorOn['roles'] },
): SessionAbout {
  const ofRole = request.role === undefined ? undefined : given.roles.lifeOf(given.roles.named(request.role), request.forMs)
  const forMs = request.forMs ?? Math.min(given.forMs, ofRole ?? given.forMs)
  const idleMs = request.idleMs ?? Math.min(given.idleMs, forMs)
  for (const [what, ms] of [['--for', forMs] as const, ['--idle', idleMs] as const]) {
    if (ms > MAX_SESSION_MS)
      throw new ErrandError('BAD_SESSION', `${what} ${sayDuration(ms)}: a session lives 24h at most`, { hint: 'open another one tomorrow' })
  }
  const odd = Object.keys(request.env ?? {}).find((name) => !ENV_NAME.test(name))
  if (odd !== undefined) throw new ErrandError('BAD_SESSION', `${JSON.stringify(odd.slice(0, 64))} is no name of an environment variable`)
  return { id: given.id, name: request.name, openedAt: given.now, expiresAt: given.now + forMs, idleMs, env: { ...request.env } }
}

/** @throws UNKNOWN_DEVICE, BAD_RIGHT, BAD_ROLE, BAD_SESSION, CANNOT_GRANT */
export function heldBy(request: SessionRequest, until: number, on: GrantorOn): Held[] {
  const subjects = [...new Set(request.on.map((name) => on.directory.resolve(name)))]
  const rights = rightsIn(request, on)
  if (subjects.length * rights.length > MAX_LINKS)
    throw new ErrandError('BAD_SESSION', `${subjects.length * rights.length} rights where a session has ${MAX_LINKS} at most`, {
      hint: 'open several sessions',
    })
  return subjects.flatMap((subject) => rights.map((right) => ({ ...right, subject, words: wordsOfRight(right), by: grantor(subject, right, until, on) })))
}

function rightsIn({ role, can = [] }: SessionRequest, { roles }: GrantorOn): Right[] {
  const rights = [...(role === undefined ? [] : rightsOfRole(role, roles)), ...can.map(parseRight)]
  if (rights.length === 0) throw new ErrandError('BAD_SESSION', 'a session without any right can do nothing', { hint: "name one: --can 'exec: npm test'" })
  return rights
}

/** As far as this device holds them: that is asked of each. Who is admin has everything, and what there will be. */
function rightsOfRole(role: string, roles: GrantorOn['roles']): Right[] {
  const name = roles.named(role)
  return name === 'admin' ? [{ cmd: '/', pol: [] }] : [...roles.bundle(name).rights]
}

/** The key of this device that holds the right and may hand it on until then. */
function grantor(subject: Did, { cmd, pol, rate, limits }: Right, until: number, { keyring, wallet, revocations, directory }: GrantorOn): Identity {
  const whys: string[] = []
  for (const key of new Set([keyring.device, ...keyring.keys()])) {
    const may = wallet.canDelegate({ issuer: key.did, subject, command: cmd, policy: pol, rate, limits, now: keyring.nowSeconds(), revocations }, until)
    if (may.ok) return key
    if (may.code !== 'NO_GRANT' || whys.length === 0) whys.unshift(may.why)
  }
  throw new ErrandError(
    'CANNOT_GRANT',
    `this device cannot give a session ${cmd} on ${directory.named(subject)}: ${directory.named(whys[0] ?? 'it holds no such right')}`,
    {
      hint: 'a session gets no more than this device has, and no longer: errand grants shows that',
    },
  )
}
