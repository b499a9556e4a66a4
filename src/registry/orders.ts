/**
 * What owners have decided for the mesh: the latest order of each kind on each subject. Pure; every order is verified before it counts.
 * Orders narrow, name and say who counts; what somebody may do is said by tokens alone.
 */
import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { ORDER, ORDERS, type Order, type OrderBody, type OrderKind, Order as OrderSchema } from '../../protocols/member/orders.ts'
import { OWNERS, type OwnersBody } from '../../protocols/member/owners.ts'
import { DOMAIN, encode } from '../../protocols/wire.ts'
import { open, seal } from '../identity/envelope.ts'
import type { Did, Identity } from '../identity/identity.ts'
import type { Owners } from './owners.ts'
import { digestOf, type RecordSet, recordId } from './records.ts'

/** What an owner says of a device, whatever key it has at the moment. */
const OF_DEVICES: readonly OrderKind[] = ['label', 'trust', 'lockdown']

interface Held {
  readonly id: string
  readonly bytes: Uint8Array
  readonly value: Order
  readonly by: Did
}

export class Orders {
  /** By kind, then by subject. */
  readonly #held = new Map<string, Map<string, Held>>()
  #size = 0

  /** The keys that a device had before. */
  #before: (did: string) => readonly string[] = () => []

  constructor(readonly owners: Owners) {}

  /** Ceilings and names are of the device: a new key does not lift them. */
  followDevices(before: (did: string) => readonly string[]): void {
    this.#before = before
  }

  /** An order counts when an owner signed it and its body is what its kind demands. One of somebody who is no owner any more is known, and forgotten. */
  admit(bytes: Uint8Array): 'new' | 'known' | 'refused' {
    const seen = this.#read(bytes)
    if (seen === undefined) return 'refused'
    if (seen.value.kind === 'owners') return this.#admitOwners(seen)
    if (!this.owners.counts(seen.by, bytes)) return this.owners.isFormer(seen.by) ? 'known' : 'refused'
    const { kind, subject, at } = seen.value
    const held = this.#of(kind, subject)
    if (held === undefined && this.#size >= ORDER.maxOrders) return 'refused'
    if (held !== undefined && !isNewer({ id: seen.id, at }, { id: held.id, at: held.value.at })) return 'known'
    this.#keep(seen)
    return 'new'
  }

  /** What the signatures in it come to decides, not its time; whoever brings a chain is of no matter, and of two wrappings the lesser id is kept. */
  #admitOwners(seen: Held): 'new' | 'known' | 'refused' {
    const verdict = this.owners.admit(seen.value.body as OwnersBody)
    const held = this.#of('owners', '')
    if (verdict === 'refused') return 'refused'
    if (verdict === 'known' || (verdict === 'same' && held !== undefined && held.id <= seen.id)) return 'known'
    this.#keep(seen)
    if (verdict === 'new') this.#forgetFormer()
    return 'new'
  }

  #keep(seen: Held): void {
    const { kind, subject } = seen.value
    const ofKind = this.#held.get(kind) ?? new Map<string, Held>()
    if (!ofKind.has(subject)) this.#size++
    this.#held.set(kind, ofKind.set(subject, seen))
  }

  #forgetFormer(): void {
    for (const ofKind of this.#held.values()) {
      for (const [subject, { by, bytes, value }] of ofKind) {
        if (value.kind === 'owners' || this.owners.counts(by, bytes)) continue
        ofKind.delete(subject)
        this.#size--
      }
    }
  }

  /** What holds for a subject, or undefined. */
  get<K extends OrderKind>(kind: K, subject: string): OrderBody<K> | undefined {
    const subjects = OF_DEVICES.includes(kind) && subject !== '' ? [subject, ...this.#before(subject)] : [subject]
    const held = subjects.map((one) => this.#of(kind, one)).find((one) => one !== undefined)
    return held?.value.body as OrderBody<K> | undefined
  }

  /** When the order that holds for a subject was given, milliseconds since the epoch; by its signer's clock. */
  atOf(kind: OrderKind, subject: string): number | undefined {
    return this.#of(kind, subject)?.value.at
  }

  /** The signed order that holds for a subject, to show it to somebody. */
  bytesOf(kind: OrderKind, subject: string): Uint8Array | undefined {
    return this.#of(kind, subject)?.bytes
  }

  /** Who signed the order that holds for a subject. */
  signerOf(kind: OrderKind, subject: string): Did | undefined {
    return this.#of(kind, subject)?.by
  }

  /** Orders that were signed by one of these. */
  signedBy(dids: readonly string[]): Uint8Array[] {
    return [...this.#held.values()].flatMap((ofKind) => [...ofKind.values()].flatMap(({ by, bytes }) => (dids.includes(by) ? [bytes] : [])))
  }

  /** All orders of a kind, with what each is about. */
  all<K extends OrderKind>(kind: K): readonly (readonly [subject: string, body: OrderBody<K>])[] {
    return [...(this.#held.get(kind)?.values() ?? [])].map(({ value }) => [value.subject, value.body as OrderBody<K>] as const)
  }

  /** Signs an order that follows whatever is known here, however its clock stood. */
  sign<K extends OrderKind>(owner: Identity, order: { kind: K; subject: string; body: OrderBody<K> }, now: number): Uint8Array {
    const before = this.atOf(order.kind, order.subject) ?? 0
    return seal(owner, DOMAIN.order, this.owners.mesh.id, { v: 1, ...order, at: Math.max(now, before + 1) })
  }

  /** Who owns the mesh comes first: it says which of the others count. */
  set(): RecordSet {
    const all = (): Held[] => {
      const first = this.#of('owners', '')
      const rest = [...this.#held.values()].flatMap((ofKind) => [...ofKind.values()]).filter((one) => one !== first)
      return first === undefined ? rest : [first, ...rest]
    }
    return { digest: () => digestOf(all().map(({ id }) => id)), records: () => all().map(({ id, bytes }) => [id, bytes] as const) }
  }

  #of(kind: string, subject: string): Held | undefined {
    return this.#held.get(kind)?.get(subject)
  }

  #read(bytes: Uint8Array): Held | undefined {
    if (bytes.length > OWNERS.maxOrderBytes) return undefined
    try {
      const { value, by } = open(OrderSchema, DOMAIN.order, this.owners.mesh.id, bytes)
      if (value.kind !== 'owners' && bytes.length > ORDER.maxBodyBytes) return undefined
      return isWellFormed(value, by) ? { id: recordId(bytes), bytes, value, by } : undefined
    } catch {
      return undefined
    }
  }
}

/** Where an order is kept: one place for each kind and subject. */
export function orderKey({ kind, subject }: Pick<Order, 'kind' | 'subject'>): string {
  return createHash('sha256')
    .update(encode([kind, subject]))
    .digest('hex')
}

function isWellFormed({ kind, subject, body }: Order, by: Did): boolean {
  if (!Object.hasOwn(ORDERS, kind)) return true
  const known = ORDERS[kind as OrderKind]
  if (kind === 'consent' && !subject.endsWith(` ${by}`)) return false // nobody agrees for somebody else
  return v.is(known.subject, subject) && v.is(known.body, body)
}

/** Of two equally late ones the lesser id, so that every device keeps the same one. */
function isNewer(a: { id: string; at: number }, b: { id: string; at: number }): boolean {
  return a.at > b.at || (a.at === b.at && a.id < b.id)
}
