/**
 * Which devices a command goes to that names none: those that an expression fits, where this device may run it as far as it knows. Decides on
 * what devices have signed and owners have ordered; what the device itself says to the command comes on top, when it is asked. Dials nothing.
 */
import type { ChooseRequest, LeftOut } from '../../protocols/local/fans.ts'
import { FAN } from '../../protocols/local/fans.ts'
import type { Membership } from '../../protocols/member/messages.ts'
import type { ExecRunArgs } from '../authority/commands.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { type Did, peerIdOf } from '../identity/identity.ts'
import { type Expression, parseExpression } from '../registry/expression.ts'
import { type Busy, byBusiness, type DeviceFacts, fits } from '../registry/facts.ts'
import type { TaskBook } from '../tasks/book.ts'
import { declare } from './declared.ts'
import { type DeviceViewOn, deviceView } from './device-view.ts'
import type { FarSide } from './far.ts'
import type { Session } from './session.ts'

export interface FanPlanOn extends DeviceViewOn {
  /** The devices that are shown here: everybody, or on a guest those that its grants name. */
  readonly shown: () => readonly Membership[]
  readonly side: Pick<FarSide, 'doubt'>
  readonly book: Pick<TaskBook, 'live'>
  readonly newTaskId: () => string
}

/** A device that the command goes to. */
export interface Target {
  readonly did: Did
  readonly name: string
  readonly online: boolean
}

export interface Planned {
  readonly chosen: readonly Target[]
  readonly leftOut: readonly LeftOut[]
}

type Asked = Pick<ChooseRequest, 'on' | 'all' | 'count' | 'command'> & Omit<Parameters<typeof declare>[0], 'command'>

export class FanPlan {
  constructor(private readonly on: FanPlanOn) {}

  /** @throws BAD_EXPRESSION; NO_DEVICE_FITS; DENIED where it fits and nothing may be run; NOBODY_ONLINE, TOO_FEW_DEVICES. */
  plan(request: Asked, scope: Session | undefined): Planned {
    const expression = request.on === undefined ? undefined : parseExpression(request.on)
    const fitting = this.#fitting(expression, scope)
    if (fitting.length === 0) throw this.#nothingFits(request.on, scope)
    const leftOut: LeftOut[] = []
    const may = fitting.filter((one) => {
      const doubt = this.#doubt(one.did, request, scope)
      if (doubt !== undefined) leftOut.push({ device: one.name, did: one.did, code: 'DENIED', detail: this.on.directory.named(doubt) })
      return doubt === undefined
    })
    if (may.length === 0) throw deniedEverywhere(leftOut)
    const chosen = request.all === true ? may : this.#leastBusy(may, request.count ?? 1)
    if (chosen.length > FAN.maxDevices)
      throw new ErrandError('TOO_LARGE', `${chosen.length} devices fit where one command goes to ${FAN.maxDevices} at most`, { hint: 'narrow it by --on' })
    return { chosen, leftOut }
  }

  #members(scope: Session | undefined): readonly Membership[] {
    const shown = this.on.shown()
    return scope === undefined ? shown : shown.filter(({ device }) => scope.devices.includes(device as Did))
  }

  #fitting(expression: Expression | undefined, scope: Session | undefined): Target[] {
    const fitting = this.#members(scope).filter((member) => expression === undefined || fits(expression, this.#factsOf(member)) === true)
    return fitting.map((member) => ({ did: member.device as Did, name: member.name, online: deviceView(member, this.on).online }))
  }

  /** What an untrusted device says of itself decides nothing. */
  #factsOf({ device, name }: Membership): DeviceFacts {
    const { directory, trustOf, labelsOf } = this.on
    const trust = trustOf(device)
    const said = trust === 'untrusted' ? undefined : directory.announcementOf(device)?.said
    const names = [name, device, peerIdOf(device as Did)]
    const labels = { ...said?.labels, ...labelsOf(device as Did) }
    return said === undefined ? { names, trust, labels } : { names, trust, labels, said }
  }

  #doubt(device: Did, request: Asked, scope: Session | undefined): string | undefined {
    const { args } = declare({ ...request, command: request.command }, this.on.newTaskId())
    if (scope === undefined) return this.on.side.doubt(device, '/exec/run', args)
    return inSession(scope, device, args)
  }

  /** @throws NOBODY_ONLINE, TOO_FEW_DEVICES */
  #leastBusy(may: readonly Target[], count: number): Target[] {
    const online = may.filter((one) => one.online)
    if (online.length < count) throw tooFew({ may, online, count })
    const mine = new Map<string, number>()
    for (const { device } of this.on.book.live()) mine.set(device, (mine.get(device) ?? 0) + 1)
    const busy = (one: Target): Busy => {
      const said = this.on.directory.announcementOf(one.did)?.said
      return { name: one.name, freeSlots: said?.freeSlots, load: (said?.loadPercent ?? 0) / 100 + (mine.get(one.did) ?? 0), cpus: said?.cpus ?? 1 }
    }
    return online
      .map((one) => ({ one, ...busy(one) }))
      .sort(byBusiness)
      .slice(0, count)
      .map(({ one }) => one)
  }

  #nothingFits(on: string | undefined, scope: Session | undefined): ErrandError {
    const members = this.#members(scope)
    const silent = members.filter(({ device }) => this.on.directory.announcementOf(device) === undefined).length
    const unheard = silent === 0 ? '' : `; ${silent} of them said nothing of themselves yet`
    const message = on === undefined ? 'there is no device to run it on' : `none of ${members.length} devices fits ${JSON.stringify(on)}${unheard}`
    return new ErrandError('NO_DEVICE_FITS', message, { hint: 'errand devices --json shows what is known of each' })
  }
}

function inSession(scope: Session, device: Did, args: ExecRunArgs): string | undefined {
  try {
    return scope.prove(device, '/exec/run', { ...args, env: Object.keys(scope.dress(device, args, asked(args))).sort() }).doubt
  } catch (thrown) {
    return asErrand(thrown).message
  }
}

function asked({ env }: ExecRunArgs): Record<string, string> {
  return Object.fromEntries(env.map((name) => [name, '']))
}

const MAX_NAMED = 4

function deniedEverywhere(leftOut: readonly LeftOut[]): ErrandError {
  const named = leftOut.slice(0, MAX_NAMED).map(({ device, detail }) => `${device}: ${detail}`)
  const more = leftOut.length > MAX_NAMED ? `, and ${leftOut.length - MAX_NAMED} more` : ''
  return new ErrandError('DENIED', `this device may not run that on any device that fits (${named.join('; ')}${more})`, {
    hint: `ask for it: errand request ${leftOut[0]?.device ?? 'DEVICE'} --can 'exec: …' --reason "…"`,
    fields: { leftOut },
  })
}

function tooFew({ may, online, count }: { may: readonly Target[]; online: readonly Target[]; count: number }): ErrandError {
  const away = may.filter((one) => !one.online).map(({ name }) => name)
  const hint = `away: ${away.join(', ') || 'none'}; --all takes what is away along, and says so`
  if (online.length === 0) return new ErrandError('NOBODY_ONLINE', `${may.length} devices fit, and none of them is online`, { hint })
  return new ErrandError('TOO_FEW_DEVICES', `${online.length} devices fit, are online and may be used, where ${count} were asked for`, { hint })
}
