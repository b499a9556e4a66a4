/** The first frame of a command, an attachment or a watch: decoded once, then the runtime has the link. Knows no sockets and answers no errors. */
import { FAN_TAG, FanRequest } from '../../protocols/local/fans.ts'
import { CarryRequest, ForwardRequest } from '../../protocols/local/forwards.ts'
import { AttachRequest, ExecRequest, LOCAL_TAG, WatchRequest } from '../../protocols/local/messages.ts'
import { ErrandError } from '../base/errors.ts'
import type { Frame, FrameLink } from '../base/frames.ts'
import type { Actor, Runtime } from '../runtime/runtime.ts'
import { checked } from './door.ts'
import { serveMany } from './many-face.ts'

export interface AskedOn {
  readonly runtime: Pick<Runtime, 'exec' | 'attach' | 'fans' | 'forwards'>
  readonly actor: Actor
  /** Where updates are asked for by frames as well. */
  readonly updates?: Runtime['streamTaskUpdates']
}

/** Resolves when all is said on the link. @throws BAD_REQUEST */
export async function serveFirst(on: AskedOn, { tag, payload }: Frame, link: FrameLink, o: { signal: AbortSignal }): Promise<void> {
  const { runtime, actor, updates } = on
  const asked = jsonOf(payload.subarray())
  if (tag === LOCAL_TAG.request) await runtime.exec(actor, checked(ExecRequest, asked), link, o)
  else if (tag === LOCAL_TAG.attach) await runtime.attach(actor, checked(AttachRequest, asked), link, o)
  else if (tag === FAN_TAG.fan) await runtime.fans.run(checked(FanRequest, asked), link, o)
  else if (tag === LOCAL_TAG.forward) await runtime.forwards.forward(checked(ForwardRequest, asked), link, o)
  else if (tag === LOCAL_TAG.carry) await runtime.forwards.carry(checked(CarryRequest, asked), link, o)
  else if (tag === FAN_TAG.many) await serveMany((first, piece, of) => serveFirst(on, first, piece, of), link, o)
  else if (tag === LOCAL_TAG.watch && updates !== undefined) await tell(updates, checked(WatchRequest, asked), link, o)
  else throw new ErrandError('BAD_REQUEST', `the first frame has to be a request, not 0x${tag.toString(16)}`)
}

/** Reads on only when its reader has: who falls behind gets a gap from the runtime, and costs no memory here. */
async function tell(updates: Runtime['streamTaskUpdates'], { cursor }: WatchRequest, link: FrameLink, { signal }: { signal: AbortSignal }): Promise<void> {
  for await (const update of updates({ ...(cursor === undefined ? {} : { cursor }), signal }))
    await link.write(LOCAL_TAG.update, Buffer.from(JSON.stringify(update)))
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString())
  } catch (cause) {
    throw new ErrandError('BAD_REQUEST', 'the request is not JSON', { cause })
  }
}
