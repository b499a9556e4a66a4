/** One command on many devices, through the node: its frames to whoever takes them, by device. Client side only; loaded when somebody asks for it. */
import { TAG } from '../../protocols/exec/frames.ts'
import { FAN_TAG } from '../../protocols/local/fan-caps.ts'
import type { FanEnd, FanOutcome, FanRequest, FanView } from '../../protocols/local/fans.ts'
import type { WireError } from '../base/errors.ts'
import { ErrandError } from '../base/errors.ts'
import type { Faces } from './exec-options.ts'
import { cancelled, connectionFault, gone, wireFault } from './fault.ts'
import type { QuickFrame, QuickLink } from './quick-link.ts'

export type { FanEnd, FanOutcome, FanRequest, FanView } from '../../protocols/local/fans.ts'

export interface FanTakers {
  /** First: which devices it goes to. `index` is a place in `children`. */
  readonly onFanned?: (view: FanView) => void
  /** A returned promise stops the output of all of them until it resolves. The bytes are the taker's. */
  readonly onOutput?: (index: number, fd: 1 | 2, bytes: Uint8Array) => Promise<void> | undefined | void
  /** It runs; or waits, and why. */
  readonly onNews?: (index: number, news: string) => void
  readonly onSettled?: (end: FanEnd) => Promise<void> | undefined | void
  /** Ends all of it; the outcome still follows. */
  readonly signal?: AbortSignal
  /** Hangs up at once. */
  readonly abandon?: AbortSignal
}

/** @throws ErrandError when none of it ran: BAD_EXPRESSION, NO_DEVICE_FITS, DENIED, …; NODE_GONE; CANCELLED. */
export async function fanOut(faces: Faces, request: FanRequest, o: FanTakers = {}): Promise<FanOutcome> {
  const { link, socket } = faces.take()
  let left = false
  const ask = (): void => void link.write(TAG.cancel)
  const hangUp = (): void => {
    left = true
    link.abort(cancelled())
  }
  o.signal?.addEventListener('abort', ask, { once: true })
  o.abandon?.addEventListener('abort', hangUp, { once: true })
  try {
    void link.write(FAN_TAG.fan, Buffer.from(JSON.stringify(request)))
    if (o.signal?.aborted === true) ask()
    return await hear(link, o)
  } catch (thrown) {
    throw left ? cancelled() : connectionFault(thrown, faces.socketPath)
  } finally {
    o.signal?.removeEventListener('abort', ask)
    o.abandon?.removeEventListener('abort', hangUp)
    socket.destroy()
  }
}

async function hear(link: QuickLink, o: FanTakers): Promise<FanOutcome> {
  for (let frame = await link.read(); frame !== undefined; frame = await link.read()) {
    if (frame.tag === FAN_TAG.fanEnded) return parse<FanOutcome>(frame)
    if (frame.tag === TAG.refused) throw wireFault(parse<WireError>(frame))
    const taken = take(frame, o)
    if (taken !== undefined) await taken
  }
  throw gone()
}

function take(frame: QuickFrame, o: FanTakers): Promise<void> | undefined {
  if (frame.tag === FAN_TAG.fanned) return o.onFanned?.(parse<FanView>(frame)) as undefined
  if (frame.tag === FAN_TAG.settled) return o.onSettled?.(parse<FanEnd>(frame)) as Promise<void> | undefined
  if (frame.tag !== FAN_TAG.child) throw new ErrandError('UNSUPPORTED', `the node sent a frame 0x${frame.tag.toString(16)} that this client does not know`)
  const bytes = Buffer.concat(frame.payload)
  const [high = 0, low = 0, tag = 0] = bytes
  const index = high * 0x100 + low
  const payload = bytes.subarray(HEAD_BYTES)
  if (tag === TAG.stdout || tag === TAG.stderr) return o.onOutput?.(index, tag === TAG.stdout ? 1 : 2, payload) as Promise<void> | undefined
  const news = newsOf(tag, payload)
  if (news !== undefined) o.onNews?.(index, news)
  return undefined
}

const HEAD_BYTES = 3

/** A function and no table: a table of computed names stays in a bundle that never asks for it. */
function newsOf(tag: number, payload: Uint8Array): string | undefined {
  if (tag === TAG.accepted) return 'running'
  if (tag === TAG.queued) return `queued, place ${JSON.parse(payload.toString()).place}`
  return tag === TAG.waits ? 'waits for approval' : undefined
}

function parse<T>({ payload }: QuickFrame): T {
  return JSON.parse(Buffer.concat(payload).toString()) as T
}
