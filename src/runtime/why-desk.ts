/**
 * `errand why`: walks the way that a command would take, up to where it would end, and says what each step says. What this device can know it
 * says itself; the rest the device that would run it is asked, with the very invocation of that command, marked as a question. Runs nothing.
 */
import { type Ask, WHY, type WhyStep } from '../../protocols/call/messages.ts'
import type { PathView, WhyRequest, WhyStepView, WhyView } from '../../protocols/local/messages.ts'
import { expiryOf } from '../authority/chain.ts'
import { coversPath } from '../authority/commands.ts'
import type { Revocations } from '../authority/revocations.ts'
import { sayRight } from '../authority/rights.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Clock, Random } from '../base/clock.ts'
import { sayAbout, sayDuration } from '../base/duration.ts'
import { asErrand, type ErrandError } from '../base/errors.ts'
import { type Did, isDid } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import { type Declared, declare } from './declared.ts'
import type { FarSide } from './far.ts'
import type { Keyring, Proof } from './keyring.ts'
import type { Questions } from './questions.ts'
import type { Session } from './session.ts'
import type { CallRoute } from './task-finder.ts'

export interface WhyDeskOn {
  readonly self: Did
  readonly directory: Directory
  readonly keyring: Keyring
  readonly wallet: Wallet
  readonly revocations: Revocations
  readonly side: FarSide
  readonly calls: CallRoute
  /** Resolves when there is a line to a device. @throws NO_ROUTE, NOT_ADMITTED */
  readonly meet: (did: Did, o: { signal: AbortSignal }) => Promise<void>
  readonly lineTo: (did: Did) => { path: 'direct' | 'relayed'; rttMs: number } | undefined
  /** Answers for this device. */
  readonly questions: Pick<Questions, 'answer'>
  readonly clock: Clock
  readonly random: Random
  readonly newTaskId: () => string
}

/** A person waits; a dial that takes longer is no answer. */
const DIAL_MS = 9_000
const ASK_MS = 8_000
const MAX_PATHS = 8
const MAX_HELD = 6

interface Way {
  readonly device: Did
  readonly name: string
  readonly scope: Session | undefined
}

/** What the steps come to. */
interface Seen {
  readonly steps: readonly WhyStepView[]
  /** Of the step that fails, where it names one. */
  readonly hint?: string | undefined
}

export class WhyDesk {
  constructor(private readonly on: WhyDeskOn) {}

  /** @param scope the session in which it would run: it answers for that one's rights. @throws UNKNOWN_DEVICE, AMBIGUOUS_DEVICE; DENIED for a device that a session is not for. */
  async why(request: WhyRequest, scope?: Session): Promise<WhyView> {
    const named = (text: string): Did => this.on.directory.resolve(text)
    const device = scope === undefined ? named(request.device) : scope.deviceNamed(request.device, named)
    const way: Way = { device, name: this.on.directory.nameOf(device) ?? device, scope }
    const declared = request.command === undefined ? undefined : this.#declared({ ...request, command: request.command }, way)
    const near = device === this.on.self ? [{ step: 'discovery', ok: true, detail: 'this device itself' }] : [this.#discovery(way), await this.#dial(way)]
    const isThere = near.every(({ ok }) => ok) || near.at(-1)?.ok === true
    const { steps, hint } = await this.#decided(way, { declared, isThere })
    const all = [...near, ...steps]
    const allowed = declared !== undefined && isThere && steps.every(({ ok }) => ok)
    return { allowed, device: way.name, steps: all, next: this.#next(all, { request, way, allowed, hint }) }
  }

  /** As it would be sent: a session gives its commands an environment of its own. */
  #declared(request: WhyRequest & { readonly command: string[] }, { device, scope }: Way): Declared {
    const plain = declare(request, this.on.newTaskId())
    const asked = Object.fromEntries(plain.args.env.map((name) => [name, '']))
    return scope === undefined ? plain : { ...plain, args: { ...plain.args, env: Object.keys(scope.dress(device, plain.args, asked)).sort() } }
  }

  #discovery({ device }: Way): WhyStepView {
    const { directory, clock, lineTo } = this.on
    const addresses = directory.addressesOf(device)
    const at = directory.addressedAt(device)
    const heard = directory.announcementOf(device)
    const said = heard === undefined || lineTo(device) !== undefined ? '' : `, heard of ${sayAbout(Math.max(0, clock.now() - heard.heardAt))} ago`
    if (at === undefined) return { step: 'discovery', ok: false, detail: `it never said where it is${said}` }
    const age = sayAbout(Math.max(0, clock.now() - at))
    return { step: 'discovery', ok: addresses.length > 0, detail: `record ${age} old, ${count(addresses.length, 'address', 'addresses')}${said}` }
  }

  async #dial({ device }: Way): Promise<WhyStepView> {
    const { lineTo, meet } = this.on
    try {
      if (lineTo(device) === undefined) await meet(device, { signal: AbortSignal.timeout(DIAL_MS) })
    } catch (thrown) {
      return { step: 'dial', ok: false, detail: this.#sayTried(device, asErrand(thrown)) }
    }
    const line = lineTo(device)
    return { step: 'dial', ok: true, detail: line === undefined ? 'answers' : `${line.path}, ${line.rttMs} ms` }
  }

  /** What was tried, and where it answered, what it said. */
  #sayTried(device: Did, { fields, code }: ErrandError): string {
    const listed = Array.isArray(fields['tried']) ? fields['tried'].map(String) : []
    const known = this.on.directory.addressesOf(device)
    const said = listed.filter((one) => !one.startsWith('/'))
    const tried = listed.length > 0 ? listed.filter((one) => one.startsWith('/')) : known
    if (tried.length === 0) return 'no address to try'
    const where = tried.slice(0, 4).map((address) => address.replace(/\/p2p\/.*$/, ''))
    const how = code === 'CANCELLED' ? `no answer within ${DIAL_MS / 1_000} s` : 'no answer'
    return [`${how} on ${count(tried.length, 'address', 'addresses')} (${where.join(', ')})`, ...said].join('; ')
  }

  async #decided(way: Way, { declared, isThere }: { declared: Declared | undefined; isThere: boolean }): Promise<Seen> {
    if (declared === undefined) return { steps: [this.#held(way)] }
    const paths = this.#paths(way, declared)
    if (!isThere) return this.#fromHere(way, { declared, paths })
    try {
      const said = way.device === this.on.self ? await this.#ownAnswer(way, declared) : await this.#theirAnswer(way, declared)
      return { steps: said.map(({ hint: _, ...step }) => (step.step === 'authority' ? { ...step, ...pathsIn(paths) } : step)), hint: hintOf(said) }
    } catch (thrown) {
      const error = asErrand(thrown)
      if (error.code === 'DENIED') return { steps: [{ step: 'authority', ok: false, detail: error.message, ...pathsIn(paths) }], hint: error.hint }
      const silent = { step: 'authority', ok: false, unknown: true, detail: `${way.name} gave no answer: ${error.message}`, ...pathsIn(paths) }
      return { steps: [silent], hint: error.hint ?? `does ${way.name} run an older version? errand status there says` }
    }
  }

  async #ownAnswer({ scope }: Way, { args }: Declared): Promise<WhyStep[]> {
    const { self, random, side, questions } = this.on
    const caller = { did: self, challenge: random(16), address: 'this device', synced: Promise.resolve() }
    return await questions.answer(await side.in(scope).sign(self, '/exec/run', args, { ...caller, asks: true }), caller)
  }

  async #theirAnswer({ device, scope }: Way, { args }: Declared): Promise<WhyStep[]> {
    const ask = async (far: { challenge: Uint8Array; synced: Promise<void> }): Promise<Ask> => ({
      ...{ question: WHY, task: '' },
      ...(await this.on.side.in(scope).sign(device, '/exec/run', args, { ...far, asks: true })),
    })
    return [...((await this.on.calls.call(device, ask, { signal: AbortSignal.timeout(ASK_MS) })).steps ?? [])]
  }

  /** Nobody there to ask: what this device knows of its right, and that it knows nothing of the rest. */
  #fromHere({ device, name, scope }: Way, { declared, paths }: { declared: Declared; paths: PathView[] }): Seen {
    const { doubt, chain } = this.#proof({ device, scope }, declared)
    const exp = expiryOf(chain)
    const left = exp === null ? 'without end' : `${sayAbout(exp * 1_000 - this.on.clock.now())} left`
    const detail = doubt === undefined ? `${left}, as far as this device knows` : `${this.on.directory.named(doubt)}, as far as this device knows`
    const rest = {
      step: 'policy',
      ok: false,
      unknown: true,
      detail: `cannot know: trust, policy, approvals and room are ${name}'s to say, and it was not reached`,
    }
    return { steps: [{ step: 'authority', ok: doubt === undefined, detail, ...pathsIn(paths) }, rest] }
  }

  #proof({ device, scope }: Pick<Way, 'device' | 'scope'>, { args }: Declared): Proof {
    try {
      return (scope ?? this.on.keyring).prove(device, '/exec/run', args)
    } catch (thrown) {
      return { chain: [], doubt: asErrand(thrown).message }
    }
  }

  /** Every chain this device could show for the command: as itself, and as the owner where it holds that key. None of them is a session's to see. */
  #paths({ device, scope }: Way, { args }: Declared): PathView[] {
    if (scope !== undefined) return []
    const { keyring, wallet, revocations, directory } = this.on
    const wanted = { subject: device, command: '/exec/run', args, now: keyring.nowSeconds(), revocations }
    const found = keyring.keys().flatMap((key) => wallet.paths({ ...wanted, issuer: key.did }))
    return found.slice(0, MAX_PATHS).map(({ chain, problem }) => {
      const last = chain.findLast(({ pol }) => pol.length > 0) ?? chain.at(-1)
      const gives = last === undefined ? '' : sayRight(last.cmd, last.pol)
      return { grants: chain.map(({ cid }) => cid), ok: problem === undefined, detail: directory.named(problem ?? gives) }
    })
  }

  /** Without a command: which rights on it this device holds. */
  #held({ device, name, scope }: Way): WhyStepView {
    if (scope !== undefined) {
      const words = scope.links.rights.filter(({ subject }) => subject === device).map((right) => right.words)
      return { step: 'authority', ok: true, detail: `in this session: ${words.join(' · ')}` }
    }
    const { keyring, wallet, revocations, clock, self } = this.on
    if (device === self) return { step: 'authority', ok: true, detail: 'a device may do everything on itself' }
    const keys = new Set<string>(keyring.keys().map(({ did }) => did))
    const living = wallet
      .list()
      .filter((link) => keys.has(link.aud) && (link.sub === device || link.sub === null) && (link.exp ?? Infinity) * 1_000 > clock.now())
    const held = living.filter((link) => revocations.kills([link]) === undefined && coversPath(link.cmd, '/exec/run'))
    if (held.length === 0) return { step: 'authority', ok: false, detail: `this device holds no right to run anything on ${name}` }
    const words = held.slice(0, MAX_HELD).map(({ cmd, pol, exp }) => {
      const until = exp === null ? 'without end' : `for ${sayDuration(Math.round((exp * 1_000 - clock.now()) / 60_000) * 60_000)}`
      return `${sayRight(cmd, pol)} ${until}`
    })
    return { step: 'authority', ok: true, detail: `${words.join(' · ')}${held.length > MAX_HELD ? ` · and ${held.length - MAX_HELD} more` : ''}` }
  }

  #next(steps: readonly WhyStepView[], o: { request: WhyRequest; way: Way; allowed: boolean; hint: string | undefined }): string {
    const { request, way, allowed, hint } = o
    const name = isDid(way.name) ? request.device : way.name
    if (allowed) return `errand run ${name} -- ${(request.command ?? []).map(sayTyped).join(' ')}`
    const no = steps.find(({ ok }) => !ok)
    if (no === undefined) return `ask about a command: errand why ${name} -- COMMAND`
    if (no.step === 'dial' || no.step === 'discovery')
      return `${name} is offline: is it up, and on a network that this device reaches? errand devices shows when it was last seen`
    return hint ?? this.#askFor(name)
  }

  #askFor(name: string): string {
    return `${name} itself, or whoever holds that right there, can allow it: errand grant ${this.on.directory.named(this.on.self)} --on ${name} --can 'exec: …' --for 1h`
  }
}

function hintOf(steps: readonly WhyStep[]): string | undefined {
  return steps.find(({ ok }) => !ok)?.hint
}

function pathsIn(paths: PathView[]): { paths?: PathView[] } {
  return paths.length === 0 ? {} : { paths }
}

/** As one could type it again. */
function sayTyped(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

function count(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`
}
