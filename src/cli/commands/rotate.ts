/** `errand device rotate`: a new key for this device, and the node under it. */
import type { RotateView } from '../../../protocols/local/devices.ts'
import { startInBackground } from '../background.ts'
import type { Context } from '../context.ts'
import { clean, shortDid } from '../render.ts'
import { heardBy } from './device.ts'
import { untilGone } from './down.ts'

/** The node ends with its key, and another one starts in the background under the new one. */
export async function rotate(context: Context): Promise<number> {
  const { pid } = await context.client.status()
  const seen = await context.client.call<RotateView>('POST', '/api/runtime/device/rotate', {})
  await context.client.shutdown({})
  await untilGone(pid)
  const node = await startInBackground(context.home, [])
  const told = heardBy({ kind: 'succession', subject: seen.did, stopped: [], acknowledged: seen.acknowledged, unreachable: seen.unreachable })
  context.print({ ...seen, pid: node.pid }, () => context.tick(`${clean(node.name)} is ${shortDid(seen.did)} (${seen.words}) from now on · ${told}`))
  if (!context.json) context.say(`a node runs in the background (process ${node.pid}); its grants follow as their givers come online`)
  return 0
}
