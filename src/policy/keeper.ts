/**
 * The policy of this device, as its file says it at this moment. A change applies without a restart: each request looks whether the file is
 * another one. A broken file keeps the last good policy, over a restart too; where there never was a good one, nobody else's work is done.
 * While a file is being written, the policy before and the one that is read hold both: half a file never opens a door.
 */
import { readFileSync, rmSync } from 'node:fs'
import type { Clock } from '../base/clock.ts'
import type { Layer } from './judge.ts'
import { type Fault, type PolicyText, readPolicy } from './read.ts'
import { markOf, type Owner, readSource } from './source.ts'

export const POLICY_FILE = 'policy.yaml'
/** For so long after a change the policy before it holds as well. An editor replaces a file within a moment. */
const SETTLE_MS = 1_000
/** A change is found by the next request; without one, by this look. */
export const LOOK_MS = 2_000

/** What happened to the file, for the log and for people. */
export type PolicyNews =
  | { readonly t: 'changed'; readonly hash: string }
  | { readonly t: 'removed'; readonly hash: string }
  | { readonly t: 'invalid'; readonly why: string /** What holds instead; undefined: nothing of others is done. */; readonly hash: string | undefined }

export interface Standing {
  readonly layers: readonly Layer[]
  /** Why nobody else's work is done; undefined where there is a policy, or rightly none. */
  readonly closed: string | undefined
}

export interface KeeperOn {
  readonly path: string
  /** Where the last good policy is kept for the next start; in a directory of the node's alone. */
  readonly lastPath: string
  readonly owner: Owner
  readonly clock: Clock
  readonly write: (path: string, bytes: Uint8Array) => void
  readonly told: (news: PolicyNews) => void
}

export class PolicyKeeper {
  #mark: string | undefined | null = null
  #now: PolicyText | undefined
  /** Held as well until then. */
  #before: { readonly policy: PolicyText | undefined; readonly isClosed: boolean; readonly untilMs: number } | undefined
  #problem: string | undefined
  #isClosed = false

  constructor(private readonly on: KeeperOn) {
    this.#start()
  }

  /** What holds now. */
  standing(): Standing {
    this.look()
    return this.held
  }

  /** What held at the last look. */
  get held(): Standing {
    const before = this.#before?.policy
    const held = [this.#now, before].filter((one) => one !== undefined)
    const closed = this.#isClosed ? this.#problem : this.#before?.isClosed === true ? `${POLICY_FILE} is being mended` : undefined
    return { layers: held.map((one) => layerOf(one)), closed }
  }

  /** What a person should know of, once it is so. */
  get problem(): string | undefined {
    return this.#problem
  }

  look(): void {
    const { path, clock } = this.on
    if (this.#before !== undefined && clock.monotonic() >= this.#before.untilMs) this.#settle()
    if (markOf(path) === this.#mark) return
    const source = readSource(path, this.on.owner)
    this.#mark = source.t === 'none' ? undefined : source.mark
    if (source.t === 'text') this.#take(source.text)
    else if (source.t === 'bad') this.#refuse(source.why)
    else this.#change(undefined)
  }

  #start(): void {
    const source = readSource(this.on.path, this.on.owner)
    this.#mark = source.t === 'none' ? undefined : source.mark
    const last = this.#lastGood()
    const read = source.t === 'text' ? readPolicy(source.text, 'device') : undefined
    if (read?.ok === true) this.#now = read
    else this.#now = source.t === 'none' ? undefined : last
    if (read?.ok === true && source.t === 'text') this.#keep(source.text)
    if (read?.ok === true && last?.hash !== read.hash) this.on.told({ t: 'changed', hash: read.hash })
    if (source.t === 'none' && last !== undefined) this.#forget(last)
    if (source.t === 'bad') this.#refuse(source.why)
    else if (read?.ok === false) this.#refuse(sayFault(read.faults[0]))
  }

  #take(text: string): void {
    const read = readPolicy(text, 'device')
    if (read.ok) this.#change(read)
    else this.#refuse(sayFault(read.faults[0]))
  }

  /** The new one holds at once; the old one with it until the file is settled. */
  #change(next: PolicyText | undefined): void {
    const isClosed = this.#before?.isClosed ?? this.#isClosed
    const wasBroken = this.#problem !== undefined
    const before = this.#before === undefined ? this.#now : this.#before.policy // what was settled last, however often the file changed since
    this.#problem = undefined
    this.#isClosed = false
    this.#now = next
    if (next?.hash === before?.hash && !isClosed) {
      this.#before = undefined
      if (wasBroken && next !== undefined) this.on.told({ t: 'changed', hash: next.hash })
      return
    }
    this.#before = { policy: before, isClosed, untilMs: this.on.clock.monotonic() + SETTLE_MS }
  }

  #settle(): void {
    const before = this.#before?.policy
    this.#before = undefined
    if (this.#problem !== undefined) return
    if (this.#now === undefined) {
      if (before !== undefined) this.#forget(before)
      return
    }
    const source = readSource(this.on.path, this.on.owner)
    if (source.t === 'text' && source.mark === this.#mark) this.#keep(source.text)
    this.on.told({ t: 'changed', hash: this.#now.hash })
  }

  /** The last good one stays. */
  #refuse(why: string): void {
    const wasClosed = this.#before?.isClosed ?? this.#isClosed
    if (this.#before !== undefined) this.#now = this.#before.policy
    this.#before = undefined
    this.#isClosed = this.#now === undefined || wasClosed
    const rest = this.#isClosed ? 'nothing is done for other devices until it is mended' : 'the last good one holds'
    this.#problem = `${POLICY_FILE}: ${why}; ${rest}`
    this.on.told({ t: 'invalid', why, hash: this.#now?.hash })
  }

  #keep(text: string): void {
    try {
      this.on.write(this.on.lastPath, Buffer.from(text))
    } catch {
      // A full disk: the next start goes by the file alone, or by the policy that was kept before.
    }
  }

  #forget({ hash }: PolicyText): void {
    rmSync(this.on.lastPath, { force: true })
    this.on.told({ t: 'removed', hash })
  }

  #lastGood(): PolicyText | undefined {
    try {
      const read = readPolicy(readFileSync(this.on.lastPath, 'utf8'), 'device')
      return read.ok ? read : undefined
    } catch {
      return undefined
    }
  }
}

function layerOf({ policy, hash, lineOf }: PolicyText): Layer {
  return { name: POLICY_FILE, policy, hash, lineOf, root: null }
}

function sayFault(fault: Fault | undefined): string {
  return fault === undefined ? 'it cannot be read' : `line ${fault.line}: ${fault.field === '' ? '' : `${fault.field}: `}${fault.message}`
}
