/**
 * What owners have decided for the mesh: the latest order of each kind on each subject. Pure; every order is verified before it counts.
 * Orders narrow, name and say who counts; what somebody may do is said by tokens alone.
 */
import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { ORDER, ORDERS, type Order, type OrderBody, type OrderKind, Order as OrderSchema } from '../../protocols/member/orders.ts'
import { DOMAIN, encode } from '../../protocols/wire.ts'
import { open, seal } from '../identity/envelope.ts'
import type { Identity } from '../identity/identity.ts'
import { digestOf, type RecordSet, recordId } from './records.ts'

interface Held {
  readonly id: string
  readonly bytes: Uint8Array
  readonly value: Order
}

export interface OrdersOf {
  /** The mesh's id. */
  readonly id: Uint8Array
  readonly owners: readonly string[]
}

export class Orders {
  /** By kind, then by subject. */
  readonly #held = new Map<string, Map<string, Held>>()
  #size = 0

  constructor(private readonly mesh: OrdersOf) {}

  /** An order counts when an owner signed it and its body is what its kind demands. */
  admit(bytes: Uint8Array): 'new' | 'known' | 'refused' {
    const seen = this.#read(bytes)
    if (seen === undefined) return 'refused'
    const ofKind = this.#held.get(seen.kind) ?? new Map<string, Held>()
    const held = ofKind.get(seen.subject)
    const id = recordId(bytes)
    if (held === undefined && this.#size >= ORDER.maxOrders) return 'refused'
    if (held !== undefined && !isNewer({ id, at: seen.at }, { id: held.id, at: held.value.at })) return 'known'
    this.#held.set(seen.kind, ofKind.set(seen.subject, { id, bytes, value: seen }))
    if (held === undefined) this.#size++
    return 'new'
  }

  /** What holds for a subject, or undefined. */
  get<K extends OrderKind>(kind: K, subject: string): OrderBody<K> | undefined {
    return this.#of(kind, subject)?.value.body as OrderBody<K> | undefined
  }

  /** When the order that holds for a subject was given, milliseconds since the epoch; by its signer's clock. */
  atOf(kind: OrderKind, subject: string): number | undefined {
    return this.#of(kind, subject)?.value.at
  }

  /** The signed order that holds for a subject, to show it to somebody. */
  bytesOf(kind: OrderKind, subject: string): Uint8Array | undefined {
    return this.#of(kind, subject)?.bytes
  }

  /** All orders of a kind, with what each is about. */
  all<K extends OrderKind>(kind: K): readonly (readonly [subject: string, body: OrderBody<K>])[] {
    return [...(this.#held.get(kind)?.values() ?? [])].map(({ value }) => [value.subject, value.body as OrderBody<K>] as const)
  }

  /** Signs an order that follows whatever is known here, however its clock stood. */
  sign<K extends OrderKind>(owner: Identity, order: { kind: K; subject: string; body: OrderBody<K> }, now: number): Uint8Array {
    const before = this.atOf(order.kind, order.subject) ?? 0
    return seal(owner, DOMAIN.order, this.mesh.id, { v: 1, ...order, at: Math.max(now, before + 1) })
  }

  set(): RecordSet {
    const all = (): Held[] => [...this.#held.values()].flatMap((ofKind) => [...ofKind.values()])
    return { digest: () => digestOf(all().map(({ id }) => id)), records: () => all().map(({ id, bytes }) => [id, bytes] as const) }
  }

  #of(kind: string, subject: string): Held | undefined {
    return this.#held.get(kind)?.get(subject)
  }

  #read(bytes: Uint8Array): Order | undefined {
    if (bytes.length > ORDER.maxBodyBytes) return undefined
    try {
      const { value, by } = open(OrderSchema, DOMAIN.order, this.mesh.id, bytes)
      return this.mesh.owners.includes(by) && isWellFormed(value) ? value : undefined
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

function isWellFormed({ kind, subject, body }: Order): boolean {
  if (!Object.hasOwn(ORDERS, kind)) return true
  const known = ORDERS[kind as OrderKind]
  return v.is(known.subject, subject) && v.is(known.body, body)
}

/** Of two equally late ones the lesser id, so that every device keeps the same one. */
function isNewer(a: { id: string; at: number }, b: { id: string; at: number }): boolean {
  return a.at > b.at || (a.at === b.at && a.id < b.id)
}
