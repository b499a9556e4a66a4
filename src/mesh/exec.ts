/** `/errand/exec/1` on libp2p: opens a stream to another device, hands inbound ones to the door. Carries frames, understands none. */
import type { Stream } from '@libp2p/interface'
import { EXEC } from '../../protocols/exec/messages.ts'
import { FrameLink } from '../base/frames.ts'
import type { Did } from '../identity/identity.ts'
import type { Host } from './host.ts'
import type { Links, Peer } from './links.ts'
import { byteLink, LinkClosed } from './streams.ts'

/** Who opened an exec stream, as the connection proved it. */
export interface ExecCaller {
  readonly did: Did
  /** What its invocation has to carry. */
  readonly challenge: Uint8Array
  readonly address: string
  /** Resolves when this device has the revocations that the caller knows. */
  readonly synced: Promise<void>
}

export interface ExecDoor {
  /** Serves one command and ends the link. Never rejects. The signal aborts when the stream is gone. */
  serve(link: FrameLink, caller: ExecCaller, o: { signal: AbortSignal }): Promise<void>
}

export async function serveExec(host: Host, on: { links: Links; door: ExecDoor }): Promise<void> {
  await host.handle(
    [...EXEC.ids],
    async (stream, connection) => {
      const link = new FrameLink(byteLink(stream), EXEC.maxFrameBytes)
      const peer = on.links.peerOn(connection)
      if (peer === undefined) return stream.abort(new Error('exec is served after hello only'))
      await on.door.serve(link, callerOf(peer), { signal: goneSignal(stream) })
    },
    { maxInboundStreams: EXEC.streamsPerPeer, maxOutboundStreams: EXEC.streamsPerPeer },
  )
}

/** @throws LinkClosed when the connection went away meanwhile. */
export async function openExec(peer: Peer, { signal }: { signal: AbortSignal }): Promise<FrameLink> {
  try {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(EXEC.openMs)])
    return new FrameLink(byteLink(await peer.connection.newStream([...EXEC.ids], { signal: bounded })), EXEC.maxFrameBytes)
  } catch (cause) {
    throw new LinkClosed(cause)
  }
}

function callerOf(peer: Peer): ExecCaller {
  return { did: peer.did, challenge: peer.ourChallenge, address: peer.connection.remoteAddr.toString(), synced: peer.synced }
}

/** Aborts when the stream was reset or its connection lost; a stream that closed in order aborts too, when all is over anyway. */
function goneSignal(stream: Stream): AbortSignal {
  const gone = new AbortController()
  if (stream.status !== 'open') gone.abort(new LinkClosed())
  stream.addEventListener('close', (event) => gone.abort(new LinkClosed(event.error)), { once: true })
  return gone.signal
}
