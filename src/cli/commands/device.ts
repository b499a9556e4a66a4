/** What an owner decides about a device, and who has heard of it. */
import type { OrderView } from '../../../protocols/local/orders.ts'
import { ErrandError } from '../../base/errors.ts'
import { ask } from '../ask.ts'
import type { Context } from '../context.ts'
import { clean, plural } from '../render.ts'

export async function label(context: Context, device: string, labels: Record<string, string>, { remove }: { remove?: string[] }): Promise<number> {
  const request = { device, labels, ...(remove === undefined ? {} : { remove }) }
  const seen = await context.client.call<OrderView>('POST', '/api/runtime/devices/label', request)
  context.print(seen, () => context.tick(`labels of ${clean(device)} changed · ${heardBy(seen)}`))
  return 0
}

export async function trust(context: Context, device: string, level: 'untrusted' | 'verified' | 'trusted'): Promise<number> {
  const seen = await context.client.call<OrderView>('POST', '/api/runtime/devices/trust', { device, level })
  context.print(seen, () => context.tick(`${clean(device)} is ${level}${ended(seen)} · ${heardBy(seen)}`))
  return 0
}

export async function remove(context: Context, device: string, { reason, yes }: { reason?: string; yes?: boolean }): Promise<number> {
  if (yes !== true) await agree(context, device)
  const seen = await context.client.call<OrderView>('POST', '/api/runtime/devices/remove', { device, ...(reason === undefined ? {} : { reason }) })
  context.print(seen, () => context.tick(`${clean(device)} is removed${ended(seen)} · ${heardBy(seen)}`))
  return 0
}

export interface LockdownOptions {
  readonly on?: string
  readonly here?: boolean
  readonly reason?: string
}

export async function lockdown(context: Context, state: 'on' | 'off', { on: device, here, reason }: LockdownOptions): Promise<number> {
  const request = {
    ...{ on: state === 'on' },
    ...(reason === undefined ? {} : { reason }),
    ...(device === undefined ? {} : { device }),
    ...(here === undefined ? {} : { here }),
  }
  const seen = await context.client.call<OrderView>('POST', '/api/runtime/lockdown', request)
  const whose = here === true ? 'this device alone' : device === undefined ? 'the whole mesh' : clean(device)
  const words = state === 'on' ? `lockdown of ${whose}${ended(seen)}` : `lockdown of ${whose} is over`
  context.print(seen, () => context.tick(here === true ? words : `${words} · ${heardBy(seen)}`))
  return 0
}

async function agree(context: Context, device: string): Promise<void> {
  if (context.json || process.stdin.isTTY !== true) {
    throw new ErrandError('NOT_AGREED', 'nobody is here to agree to the removal', { hint: `errand device remove ${device} --yes` })
  }
  process.stderr.write(
    `  ${clean(device)} will be refused by every device, and its rights and what it handed on end; what runs on them is stopped.
  It keeps the copies it has. Only an owner can admit it again.
`,
  )
  const answer = await ask(`  Remove ${clean(device)}? [y/N] `)
  if (!/^y(es)?$/i.test(answer.trim())) throw new ErrandError('NOT_AGREED', 'not removed')
}

function ended({ stopped }: OrderView): string {
  return stopped.length === 0 ? '' : ` · ${plural(stopped.length, 'live task')} stopped`
}

/** Who knows of an order by now. */
export function heardBy({ acknowledged, unreachable }: OrderView): string {
  const known = acknowledged.length === 0 ? 'no other device has heard of it yet' : `acknowledged by ${acknowledged.map(clean).join(', ')}`
  return unreachable.length === 0 ? known : `${known} · out of reach: ${unreachable.map(clean).join(', ')} (they hear of it when they come back)`
}
