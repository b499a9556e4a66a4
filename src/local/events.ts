/** Updates of tasks as Server-Sent Events (HTML Standard, 9.2): an id to go on from, a comment now and then so that dead readers are noticed. */
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import type { TaskUpdate } from '../../protocols/local/messages.ts'
import { type Clock, every } from '../base/clock.ts'
import { EVENTS_TYPE } from './route.ts'

const ALIVE_MS = 15_000

/** The stream pulls as fast as its reader reads; a reader that falls behind gets a gap from the runtime, and costs no memory here. */
export async function sendEvents(
  reply: FastifyReply,
  updates: AsyncIterable<TaskUpdate>,
  { signal, clock }: { readonly signal: AbortSignal; readonly clock: Clock },
): Promise<FastifyReply> {
  const body = Readable.from(textOf(updates), { objectMode: false })
  const stop = every(clock, ALIVE_MS, () => void (reply.raw.writableNeedDrain || reply.raw.write(': alive\n\n')))
  signal.addEventListener(
    'abort',
    () => {
      stop()
      body.destroy()
    },
    { once: true },
  )
  return await reply.type(EVENTS_TYPE).header('cache-control', 'no-store').send(body)
}

/** The comment in front brings the status out at once: a watcher of a quiet node would wait for it otherwise. */
async function* textOf(updates: AsyncIterable<TaskUpdate>): AsyncGenerator<string> {
  yield ': updates follow\n\n'
  for await (const update of updates) {
    const id = 'cursor' in update ? `id: ${update.cursor}\n` : ''
    yield `event: ${update.t}\n${id}data: ${JSON.stringify(update)}\n\n`
  }
}
