/** The exec face without a socket: the same first frame, the same frames after it, over memory. For callers in the node's own process. */

import { Uint8ArrayList } from 'uint8arraylist'
import { TAG } from '../../protocols/exec/frames.ts'
import { LOCAL } from '../../protocols/local/frames.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { type ByteLink, FrameLink } from '../base/frames.ts'
import { memoryLinks } from '../base/memory-link.ts'
import { type AskedOn, serveFirst } from './asked.ts'
import { wireOf } from './door.ts'
import type { Faces } from './exec-options.ts'
import { QuickLink, type QuickPipe } from './quick-link.ts'

export class MemoryFaces implements Faces {
  readonly socketPath = 'this process'
  readonly #open = new Set<Promise<void>>()

  constructor(
    private readonly on: AskedOn,
    /** Aborts what runs: the node stops. */
    private readonly stopping: AbortSignal,
  ) {}

  take(): ReturnType<Faces['take']> {
    const [near, far] = memoryLinks()
    const gone = new AbortController()
    const served = this.#serve(new FrameLink(far, LOCAL.maxFrameBytes), AbortSignal.any([gone.signal, this.stopping]))
    this.#open.add(served)
    void served.finally(() => this.#open.delete(served))
    const destroy = (): void => {
      const left = new ErrandError('CLIENT_GONE', 'the caller hung up')
      gone.abort(left)
      near.abort(left)
    }
    return { link: new QuickLink(quick(near), LOCAL.maxFrameBytes), socket: { destroy } }
  }

  prepare(): void {}

  /** Resolves when every caller has what there was to say. */
  async idle(): Promise<void> {
    await Promise.all(this.#open)
  }

  /** Never rejects. */
  async #serve(link: FrameLink, signal: AbortSignal): Promise<void> {
    try {
      const first = await link.read()
      if (first !== undefined) await serveFirst(this.on, first, link, { signal })
    } catch (thrown) {
      try {
        await link.write(TAG.refused, Buffer.from(JSON.stringify(wireOf(asErrand(thrown)))))
      } catch {
        // The caller hung up.
      }
    }
    await link.end()
  }
}

/** The client's reader takes plain chunks. */
function quick(link: ByteLink): QuickPipe {
  return {
    source: chunksOf(link.source),
    write: (bytes) => link.write(new Uint8ArrayList<ArrayBufferLike>(...bytes)),
    abort: (error) => link.abort(error),
  }
}

async function* chunksOf(source: ByteLink['source']): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    if (piece instanceof Uint8Array) yield piece
    else yield* piece
  }
}
