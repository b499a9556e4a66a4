/** One conversation with a client, whatever carries its frames: a first frame within its time, then the runtime, then the last word. */
import { TAG } from '../../protocols/exec/messages.ts'
import type { Clock } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Frame, FrameLink } from '../base/frames.ts'
import { type AskedOn, serveFirst } from './asked.ts'
import { wireOf } from './door.ts'

const OPEN_MS = 10_000

export interface ConversationOn extends AskedOn {
  readonly clock: Clock
  /** Aborts when the node stops: what runs is cancelled, and its outcome still told. */
  readonly stopping: AbortSignal
}

/** Resolves when all is said; never rejects. The link is then to be closed. @param gone aborts when the client hung up. */
export async function converse(on: ConversationOn, link: FrameLink, gone: AbortSignal): Promise<void> {
  try {
    const first = await firstFrame(on, link)
    if (first !== undefined) await serveFirst(on, first, link, { signal: AbortSignal.any([gone, on.stopping]) })
  } catch (error) {
    void link.write(TAG.refused, Buffer.from(JSON.stringify(wireOf(asErrand(error)))))
  }
}

/** @returns undefined when the client left before it had asked. */
async function firstFrame({ clock, stopping }: ConversationOn, link: FrameLink): Promise<Frame | undefined> {
  const giveUp = (): void => link.abort(new ErrandError('NO_REQUEST', 'no request came'))
  const cancel = clock.after(OPEN_MS, giveUp)
  stopping.addEventListener('abort', giveUp, { once: true }) // a connection kept for later must not hold up the stop
  try {
    return await link.read()
  } finally {
    cancel()
    stopping.removeEventListener('abort', giveUp)
  }
}

export function stopping(): ErrandError {
  return new ErrandError('STOPPING', 'the node is stopping', { hint: 'start it again with: errand up', retryable: true })
}
