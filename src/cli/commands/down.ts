/** `errand down`: asks the node to stop and waits until its process has gone, so that the home can be used again at once. */
import { readFileSync } from 'node:fs'
import { stayAwake } from '../../base/awake.ts'
import { pause, systemClock } from '../../base/clock.ts'
import { sayDuration } from '../../base/duration.ts'
import { ErrandError } from '../../base/errors.ts'
import type { Context } from '../context.ts'
import { plural } from '../render.ts'

const STOP_MS = 15_000
const LOOK_EVERY_MS = 20

export async function down(context: Context, { drain }: { readonly drain?: number }): Promise<number> {
  const began = systemClock.monotonic()
  const { pid } = await context.client.status()
  const { active, detached, waitsMs } = await context.client.shutdown(drain === undefined ? {} : { drainMs: drain })
  if (waitsMs > 0 && active > 0) context.say(`waiting up to ${sayDuration(waitsMs)} for ${plural(drain === undefined ? detached : active, 'running task')}`)
  await untilGone(pid, began + (drain ?? 0) + waitsMs + STOP_MS)
  const tookMs = Math.round(systemClock.monotonic() - began)
  context.print({ stopped: true, active, detached, tookMs }, () => context.tick(`stopped in ${sayDuration(tookMs)}`))
  if (detached > 0) context.say('a detached task that has not ended goes on without the node; errand up finds it again')
  return 0
}

/** The node leaves no door open to ask at; its process is what tells. @param until monotonic milliseconds. @throws NODE_STUCK */
export async function untilGone(pid: number, until = systemClock.monotonic() + STOP_MS): Promise<void> {
  const rest = stayAwake()
  while (isAlive(pid)) {
    if (systemClock.monotonic() > until)
      throw new ErrandError('NODE_STUCK', `the node (process ${pid}) has not stopped`, { hint: `end it with: kill -9 ${pid}`, fields: { pid } })
    await pause(systemClock, LOOK_EVERY_MS)
  }
  rest()
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** A process that has ended and waits for its parent to notice: in a container whose first process is slow at that, for seconds. */
function isZombie(pid: number): boolean {
  try {
    return /\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false // Not Linux, or gone this moment; the next look tells.
  }
}
