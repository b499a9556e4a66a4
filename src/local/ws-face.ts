/**
 * The WebSocket face (RFC 6455): the conversation of the exec face, one frame a message, for terminals and programs that speak WebSocket.
 * Loads the library; decides nothing about who may do what.
 */
import { type WebSocket, WebSocketServer } from 'ws'
import { LOCAL } from '../../protocols/local/messages.ts'
import { ErrandError } from '../base/errors.ts'
import { FrameLink } from '../base/frames.ts'
import { converse } from './conversation.ts'
import { type FaceParts, hungUp, READ_AHEAD_BYTES, refuse, type Upgrade } from './execface.ts'
import { watchLife } from './ws-life.ts'
import { CLOSE, WsLink } from './ws-link.ts'

/** TCP asks a silent machine whether it is still there. */
const PROBE_MS = 30_000

/** Listens to nothing and keeps nothing: one for all nodes of a process. A message that says it is longer than a frame is refused before it is read. */
const server = new WebSocketServer({
  ...{ noServer: true, clientTracking: false, perMessageDeflate: false, maxPayload: LOCAL.maxFrameBytes, autoPong: false },
  handleProtocols: (offered) => (offered.has(LOCAL.subprotocol) ? LOCAL.subprotocol : false),
})
server.on('headers', (headers) => headers.push(`X-Errand-Api: ${LOCAL.version}`))
server.on('wsClientError', (error, socket) => refuse(socket, new ErrandError('BAD_REQUEST', `no WebSocket handshake: ${error.message}`)))

/** Resolves when the conversation is over and its connection closed. */
export async function serveWebSocket(on: FaceParts, { request, socket: wire, head, actor }: Upgrade): Promise<void> {
  let talking: Promise<void> | undefined
  wire.setKeepAlive(true, PROBE_MS)
  server.handleUpgrade(request, wire, Buffer.from(head), (socket) => {
    talking = talk(on, { socket, wire, actor })
  })
  await talking
  await hungUp(wire, on.clock)
}

async function talk(on: FaceParts, { socket, wire, actor }: Pick<Upgrade, 'actor'> & { socket: WebSocket; wire: Upgrade['socket'] }): Promise<void> {
  const gone = new AbortController()
  const over = (): void => gone.abort(new ErrandError('CLIENT_GONE', 'the client hung up'))
  socket.on('close', over)
  socket.on('error', over) // what it sent was no WebSocket, or too long; the library says so in its close code
  watchLife(socket, wire, on.clock)
  // Answers to whoever does not read them would pile up here; so there are none then.
  const ifRead = (answer: () => void): void => (wire.writableNeedDrain ? undefined : answer())
  socket.on('ping', (data) => ifRead(() => socket.pong(data)))
  const link = new FrameLink(new WsLink({ socket, wire, readAheadBytes: READ_AHEAD_BYTES }), LOCAL.maxFrameBytes)
  const { runtime } = on
  await converse({ ...on, actor, updates: (o) => runtime.streamTaskUpdates(o) }, link, gone.signal)
  if (on.stopping.aborted) socket.close(CLOSE.stopping, 'the node is stopping')
  await link.end()
}
