/** Updates of tasks as Server-Sent Events (HTML Standard, 9.2): an id to go on from, a comment now and then so that dead readers are noticed. */
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { every, systemClock } from '../base/clock.ts'
import type { Runtime } from '../runtime/runtime.ts'

const ALIVE_MS = 15_000

/** The stream pulls as fast as its reader reads; a reader that falls behind gets a gap from the runtime, and costs no memory here. */
export async function sendEvents(
  reply: FastifyReply,
  runtime: Pick<Runtime, 'streamTaskUpdates'>,
  { cursor, stopping }: { cursor: number | undefined; stopping: AbortSignal },
): Promise<FastifyReply> {
  const gone = new AbortController()
  const signal = AbortSignal.any([gone.signal, stopping])
  const updates = runtime.streamTaskUpdates({ ...(cursor === undefined ? {} : { cursor }), signal })
  const body = Readable.from(textOf(updates), { objectMode: false })
  const stop = every(systemClock, ALIVE_MS, () => void (reply.raw.writableNeedDrain || reply.raw.write(': alive\n\n')))
  reply.raw.once('close', () => {
    stop()
    gone.abort()
    body.destroy()
  })
  return await reply.type('text/event-stream').header('cache-control', 'no-store').send(body)
}

async function* textOf(updates: ReturnType<Runtime['streamTaskUpdates']>): AsyncGenerator<string> {
  for await (const update of updates) {
    const id = 'cursor' in update ? `id: ${update.cursor}\n` : ''
    yield `event: ${update.t}\n${id}data: ${JSON.stringify(update)}\n\n`
  }
}
