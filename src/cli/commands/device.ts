/** What an owner decides about a device, and who has heard of it. */
import type { OrderView } from '../../../protocols/local/orders.ts'
import type { Context } from '../context.ts'
import { clean } from '../render.ts'

export async function label(context: Context, device: string, labels: Record<string, string>, { remove }: { remove?: string[] }): Promise<number> {
  const request = { device, labels, ...(remove === undefined ? {} : { remove }) }
  const seen = await context.client.call<OrderView>('POST', '/api/runtime/devices/label', request)
  context.print(seen, () => context.tick(`labels of ${clean(device)} changed · ${heardBy(seen)}`))
  return 0
}

/** Who knows of an order by now. */
export function heardBy({ acknowledged, unreachable }: OrderView): string {
  const known = acknowledged.length === 0 ? 'no other device has heard of it yet' : `acknowledged by ${acknowledged.map(clean).join(', ')}`
  return unreachable.length === 0 ? known : `${known} · out of reach: ${unreachable.map(clean).join(', ')} (they hear of it when they come back)`
}
