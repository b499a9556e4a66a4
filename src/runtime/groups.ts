/** Groups of devices: names that owners give. A grant for a group is one grant for each of its devices, and says for which group it was given. */
import type { Delegation } from '../authority/token.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { Orders } from '../registry/orders.ts'

/** Names the group on whose account a grant is about this device, or was given to this device: `meta`. A name there adds no right. */
export const FOR_GROUP = { on: 'errand/group-on', to: 'errand/group-to' } as const
export type GroupEnd = keyof typeof FOR_GROUP

/** One end of a grant: a device, or all those of a group. */
export interface Ends {
  readonly devices: readonly Did[]
  readonly group?: string
}

export class Groups {
  constructor(private readonly on: { readonly orders: Orders; readonly directory: Directory }) {}

  names(): string[] {
    return this.on.orders
      .all('group')
      .flatMap(([name, { devices }]) => (devices.length === 0 ? [] : [name]))
      .sort()
  }

  /** The devices that an owner put there, members or not. */
  listed(name: string): readonly Did[] {
    return (this.on.orders.get('group', name)?.devices ?? []) as readonly string[] as readonly Did[]
  }

  /** Those of them that are members now. */
  devices(name: string): readonly Did[] {
    return this.listed(name).filter((did) => this.on.directory.isMember(did))
  }

  /** A device, or a group. @throws UNKNOWN_DEVICE, AMBIGUOUS_DEVICE; EMPTY_GROUP when none of its devices is a member. */
  resolve(text: string): Ends {
    const { directory } = this.on
    if (this.listed(text).length === 0) return { devices: [directory.resolve(text)] }
    if (directory.everyone().some(({ name }) => name === text))
      throw new ErrandError('AMBIGUOUS_DEVICE', `"${text}" is a device and a group`, {
        hint: 'name the device by its DID, or rename one of them: errand group list',
      })
    const devices = this.devices(text)
    if (devices.length === 0)
      throw new ErrandError('EMPTY_GROUP', `no device of the group "${text}" is in this mesh`, { hint: `errand group add ${text} DEVICE` })
    return { devices, group: text }
  }

  /** For what would lead a guest beyond its circle. @throws GUEST */
  refuseGuests(devices: readonly Did[]): void {
    const guest = devices.find((did) => this.on.directory.isGuest(did))
    if (guest === undefined) return
    const name = this.on.directory.named(guest)
    throw new ErrandError('GUEST', `"${name}" is a guest, and a guest has no role and is in no group`, {
      hint: `give it single rights: errand grant ${name} --on DEVICE --can RIGHT --for DURATION`,
    })
  }
}

/** The marks of a grant that was given on account of groups. */
export function groupMarks(ends: { readonly [E in GroupEnd]?: Ends | undefined }): Readonly<Record<string, string>> {
  const marks = (['on', 'to'] as const).flatMap((end) => {
    const group = ends[end]?.group
    return group === undefined ? [] : [[FOR_GROUP[end], group] as const]
  })
  return Object.fromEntries(marks)
}

export function groupOf({ meta }: Pick<Delegation, 'meta'>, end: GroupEnd): string | undefined {
  const name = meta?.[FOR_GROUP[end]]
  return typeof name === 'string' ? name : undefined
}
