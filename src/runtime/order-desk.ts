/** Gives orders: what an owner decides for the whole mesh. Signed here where the owner's key lies, told to everybody, and in the log. */

import type { LabelRequest, OrderView, PolicyRequest } from '../../protocols/local/orders.ts'
import type { OrderBody, OrderKind } from '../../protocols/member/orders.ts'
import type { Fact } from '../audit/facts.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did, Identity } from '../identity/identity.ts'
import { MESH_NAME } from '../policy/mesh.ts'
import { readPolicy } from '../policy/read.ts'
import type { Directory } from '../registry/directory.ts'
import type { Orders } from '../registry/orders.ts'
import type { Keyring } from './keyring.ts'
import type { MeshRecords } from './records.ts'
import type { Telling } from './rights-desk.ts'

/** What the runtime offers of it. */
export interface OrderRoom {
  /** @throws NOT_AN_OWNER, UNKNOWN_DEVICE */
  label(request: LabelRequest): Promise<OrderView>
  /** Gives the mesh a policy. @throws NOT_AN_OWNER, BAD_POLICY */
  policy(request: PolicyRequest): Promise<OrderView>
}

export interface OrderDeskOn {
  readonly keyring: Keyring
  readonly orders: Orders
  readonly directory: Directory
  readonly records: MeshRecords
  readonly telling: Pick<Telling, 'push'>
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly clock: Clock
}

interface Decision<K extends OrderKind> {
  readonly kind: K
  readonly subject: string
  readonly body: OrderBody<K>
  /** The order has to be later than this, whatever the clock says; milliseconds since the epoch. */
  readonly after?: number
  /** Whose signature wraps it, where that is not an owner's of this moment. */
  readonly by?: Identity | undefined
  /** What the log says of it. */
  readonly fact: Pick<Fact, 'action' | 'details'>
}

export class OrderDesk implements OrderRoom {
  constructor(private readonly on: OrderDeskOn) {}

  async label({ device, labels, remove }: LabelRequest): Promise<OrderView> {
    const { directory, orders } = this.on
    const subject = directory.resolve(device)
    const kept = Object.entries({ ...orders.get('label', subject)?.labels, ...labels }).filter(([name]) => !remove?.includes(name))
    const body = { labels: Object.fromEntries(kept) }
    return await this.decide({ kind: 'label', subject, body, fact: { action: 'device.label', details: { words: sayLabels(body.labels) } } })
  }

  async policy({ text }: PolicyRequest): Promise<OrderView> {
    const read = readPolicy(text, 'mesh')
    if (!read.ok) {
      const [fault] = read.faults
      const what = `line ${fault?.line}: ${fault?.message}`
      throw new ErrandError('BAD_POLICY', `this is no policy of a mesh: ${what}`, { hint: 'errand policy check FILE says all that is wrong with it' })
    }
    const policyApplied = text === '' ? 'none' : `${MESH_NAME}@${read.hash}`
    return await this.decide({ kind: 'policy', subject: '', body: { text }, fact: { action: 'policy.order', details: { policyApplied } } })
  }

  /** It counts here at once, is in the log and on the disk, and everybody who is connected has been told when this resolves. @throws NOT_AN_OWNER */
  async decide<K extends OrderKind>({ kind, subject, body, after = 0, by, fact }: Decision<K>): Promise<OrderView> {
    const { keyring, orders, records, telling, audit, clock } = this.on
    const owner = by ?? keyring.owner
    if (owner === undefined) throw keyring.noOwner('only an owner decides this')
    const bytes = orders.sign(owner, { kind, subject, body }, Math.max(clock.now(), after + 1))
    await audit.append({ actor: keyring.device.did, result: 'ok', ...(subject.startsWith('did:') ? { subject: subject as Did } : {}), ...fact })
    const kept = await records.admit('orders', bytes)
    if (kept.verdict !== 'new')
      throw new ErrandError('BAD_ORDER', `this mesh takes no such order: ${kind}`, { hint: 'too many orders, or one that is too large' })
    const told = await telling.push('orders', [bytes])
    const acknowledged = told.filter((one) => one.acknowledged).map(({ did }) => did)
    return {
      kind,
      subject,
      stopped: [...new Set([...kept.stopped, ...told.flatMap(({ stopped }) => stopped)])],
      acknowledged: acknowledged.map((did) => this.#name(did)),
      unreachable: this.#unreached(acknowledged),
    }
  }

  #unreached(acknowledged: readonly Did[]): string[] {
    const self = this.on.keyring.device.did
    const others = this.on.directory.members().filter(({ device }) => device !== self && !acknowledged.includes(device as Did))
    return others.map(({ name }) => name)
  }

  #name(did: Did): string {
    return this.on.directory.nameOf(did) ?? did
  }
}

function sayLabels(labels: Readonly<Record<string, string>>): string {
  const said = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
  return said.length === 0 ? 'no labels' : `labels ${said.join(' ')}`
}
