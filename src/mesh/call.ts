/** `/errand/call/1` on libp2p: one question and one answer a stream. Carries them, understands none. */
import { Answer, Ask, CALL, CALL_TAG, Refused } from '../../protocols/call/messages.ts'
import { decodeAs, encode } from '../../protocols/wire.ts'
import type { Clock } from '../base/clock.ts'
import { asErrand, ErrandError, fromWire } from '../base/errors.ts'
import { FrameLink } from '../base/frames.ts'
import type { Brake } from './brake.ts'
import { callerOf, type ExecCaller } from './exec.ts'
import type { Host } from './host.ts'
import type { Links, Peer } from './links.ts'
import { byteLink, LinkClosed } from './streams.ts'

export interface CallDoor {
  /** @throws ErrandError what the caller is refused with. */
  answer(ask: Ask, caller: ExecCaller): Promise<Answer>
}

export async function serveCalls(host: Host, on: { links: Links; brake: Brake; door: CallDoor; clock: Clock }): Promise<void> {
  await host.handle(
    [...CALL.ids],
    async (stream, connection) => {
      const peer = on.links.peerOn(connection)
      if (peer === undefined) return stream.abort(new Error('calls are served after hello only'))
      const link = new FrameLink(byteLink(stream), CALL.maxFrameBytes)
      const refusal = on.brake.refusal(peer.did)
      try {
        if (refusal !== undefined) throw refusal
        const ask = await readAsk(link, on.clock)
        await link.write(CALL_TAG.answer, encode(await on.door.answer(ask, callerOf(peer, on.brake))))
      } catch (thrown) {
        if (refusal === undefined) on.brake.answered(peer.did, asErrand(thrown))
        await Promise.resolve(link.write(CALL_TAG.refused, encode(asErrand(thrown).toWire('device')))).catch(() => undefined)
      }
      await link.end().catch(() => undefined)
    },
    { maxInboundStreams: CALL.streamsPerPeer, maxOutboundStreams: CALL.streamsPerPeer },
  )
}

/** @throws the device's refusal; LINK_CLOSED when it fell silent. */
export async function callPeer(peer: Peer, ask: Ask, { signal }: { signal: AbortSignal }): Promise<Answer> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(CALL.answerMs)])
  const stream = await peer.connection.newStream([...CALL.ids], { signal: bounded }).catch((cause: unknown) => {
    throw new LinkClosed(cause)
  })
  const link = new FrameLink(byteLink(stream), CALL.maxFrameBytes)
  const late = (): void => link.abort(new LinkClosed())
  bounded.addEventListener('abort', late, { once: true })
  try {
    await link.write(CALL_TAG.ask, encode(ask))
    const frame = await link.read()
    if (frame === undefined) throw new LinkClosed()
    if (frame.tag === CALL_TAG.refused) throw fromWire(decodeAs(Refused, frame.payload.subarray(), CALL.maxFrameBytes))
    return decodeAs(Answer, frame.payload.subarray(), CALL.maxFrameBytes)
  } finally {
    bounded.removeEventListener('abort', late)
    await link.end().catch(() => undefined)
  }
}

async function readAsk(link: FrameLink, clock: Clock): Promise<Ask> {
  const cancel = clock.after(CALL.openMs, () => link.abort(new Error('no question in time')))
  const frame = await link.read().finally(cancel)
  if (frame?.tag !== CALL_TAG.ask) throw new ErrandError('UNSUPPORTED', 'a call begins with a question')
  return decodeAs(Ask, frame.payload.subarray(), CALL.maxFrameBytes)
}
