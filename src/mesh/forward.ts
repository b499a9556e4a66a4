/** `/errand/forward/1` on libp2p: one stream a forward or a connection of one, opened by either side. Carries frames, understands none. */
import type { Stream } from '@libp2p/interface'
import { FORWARD, FORWARD_TAG } from '../../protocols/forward/frames.ts'
import { encode } from '../../protocols/wire.ts'
import type { ErrandError } from '../base/errors.ts'
import { FrameLink } from '../base/frames.ts'
import type { Brake } from './brake.ts'
import { callerOf, type ExecCaller, goneSignal, type OpenedExec, openedOn } from './exec.ts'
import type { Host } from './host.ts'
import type { Links, Peer } from './links.ts'
import { byteLink, LinkClosed } from './streams.ts'

/** Who opened a stream, and the way back. */
export interface ForwardCaller extends ExecCaller {
  readonly back: (o: { signal: AbortSignal }) => Promise<FrameLink>
}

export interface ForwardDoor {
  /** Serves one stream and ends the link. Never rejects. The signal aborts when the stream is gone. */
  serve(link: FrameLink, caller: ForwardCaller, o: { signal: AbortSignal }): Promise<void>
}

export async function serveForwards(host: Host, on: { links: Links; brake: Brake; door: ForwardDoor }): Promise<void> {
  await host.handle(
    [...FORWARD.ids],
    async (stream, connection) => {
      const link = new FrameLink(byteLink(stream), FORWARD.maxFrameBytes)
      const peer = on.links.peerOn(connection)
      if (peer === undefined) return stream.abort(new Error('forwards are served after hello only'))
      const refusal = on.brake.refusal(peer.did)
      const back = (o: { signal: AbortSignal }): Promise<FrameLink> => newLink(peer, o).then(({ link }) => link)
      if (refusal === undefined) await on.door.serve(link, { ...callerOf(peer, on.brake), back }, { signal: goneSignal(stream, connection) })
      else await refuse(link, refusal)
      // All is said: what still comes is thrown away, or a caller that was refused could fill our memory through every stream it leaves half open.
      await stream.closeRead()
    },
    { maxInboundStreams: FORWARD.streamsPerPeer, maxOutboundStreams: FORWARD.streamsPerPeer },
  )
}

/** @param watch tells that somebody waits on the connection, so that a dead one is found out. @throws LinkClosed */
export async function openForward(peer: Peer, { signal, watch }: { signal: AbortSignal; watch: (peer: Peer) => () => void }): Promise<OpenedExec> {
  const waited = watch(peer)
  try {
    const { stream, link } = await newLink(peer, { signal })
    stream.addEventListener('close', waited, { once: true })
    if (stream.status !== 'open') waited()
    return openedOn(peer, link)
  } catch (thrown) {
    waited()
    throw thrown
  }
}

async function newLink(peer: Peer, { signal }: { signal: AbortSignal }): Promise<{ stream: Stream; link: FrameLink }> {
  try {
    const stream = await peer.connection.newStream([...FORWARD.ids], { signal: AbortSignal.any([signal, AbortSignal.timeout(FORWARD.openMs)]) })
    return { stream, link: new FrameLink(byteLink(stream), FORWARD.maxFrameBytes) }
  } catch (cause) {
    throw new LinkClosed(cause)
  }
}

/** Before anything of the request is read. */
async function refuse(link: FrameLink, refusal: ErrandError): Promise<void> {
  await Promise.resolve(link.write(FORWARD_TAG.refused, encode(refusal.toWire('device')))).catch(() => undefined)
  await link.end().catch(() => undefined)
}
