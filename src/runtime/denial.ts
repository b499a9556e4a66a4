/** A refusal of the kernel in the words that people get to read. */
import type { Refusal } from '../authority/verify.ts'
import type { Clock } from '../base/clock.ts'
import { sayAbout } from '../base/duration.ts'
import { ErrandError } from '../base/errors.ts'

/** Names for the hint: who asked, on which device, for which program. */
export interface Asked {
  readonly who: string
  readonly on: string
  readonly exe?: unknown
  /** What would have to be granted, where it is no command. */
  readonly can?: string | undefined
}

export function denial(refusal: Refusal, nowMs: number, asked: Asked = { who: 'WHO', on: 'DEVICE' }): ErrandError {
  const { code, detail, grant, expiresAt } = refusal
  const can = asked.can ?? `exec: ${sayExe(asked.exe)}`
  return new ErrandError('DENIED', `${detail}${grantNote(refusal, nowMs)}`, {
    hint:
      HINTS[code] ??
      `ask for it: errand request ${asked.on} --can '${can}' --reason "…"  (who may allow it there: errand grant ${asked.who} --on ${asked.on} --can '${can}' --for 1h)`,
    fields: {
      reason: code,
      detail,
      ...(grant === undefined ? {} : { grant }),
      ...(typeof expiresAt === 'number' ? { expiresAt: new Date(expiresAt * 1_000).toISOString() } : {}),
    },
  })
}

/** Only what can be typed again as it stands. */
function sayExe(exe: unknown): string {
  return typeof exe === 'string' && /^[\w./+-]{1,64}$/.test(exe) ? exe : '…'
}

const HINTS: Partial<Record<Refusal['code'], string>> = {
  REVOKED: 'the right was taken back; ask the owner for a new one',
  BAD_MANDATE:
    'a right that was handed on to its eighth holder leaves no room for a mandate: run it attached, or ask somebody nearer to the device for a grant',
  GRANT_EXPIRED: 'ask the owner for a new grant',
  REPLAYED: 'run the command again; every run is asked for anew',
  WRONG_CHALLENGE: 'run the command again; every run is asked for on its own connection',
}

function grantNote({ grant, expiresAt }: Refusal, nowMs: number): string {
  if (grant === undefined) return ''
  const short = `${grant.slice(0, 6)}…${grant.slice(-6)}`
  if (typeof expiresAt !== 'number') return `  (grant ${short})`
  const left = expiresAt * 1_000 - nowMs
  return left > 0 ? `  (grant ${short}, expires in ${sayAbout(left)})` : `  (grant ${short}, expired)`
}

const RECORDED_AT_ONCE = 20
const RECORDED_EVERY_MS = 3_000
const MAX_METERED = 4_096

/** Decides which refusals are recorded one by one and which are only counted: a flood of them must not become a durable, replicated flood. */
export class DenialMeter {
  readonly #left = new Map<string, { tokens: number; at: number; counted: number }>()

  constructor(private readonly clock: Clock) {}

  /** @returns how many went uncounted in the log before this one, or undefined when this one is only counted. */
  take(by: string): number | undefined {
    const now = this.clock.monotonic()
    const held = this.#left.get(by) ?? { tokens: RECORDED_AT_ONCE, at: now, counted: 0 }
    const tokens = Math.min(RECORDED_AT_ONCE, held.tokens + (now - held.at) / RECORDED_EVERY_MS)
    if (this.#left.size >= MAX_METERED) this.#left.clear()
    if (tokens < 1) {
      this.#left.set(by, { tokens, at: now, counted: held.counted + 1 })
      return undefined
    }
    this.#left.set(by, { tokens: tokens - 1, at: now, counted: 0 })
    return held.counted
  }
}
