/** A client of the WebSocket face, over the library that people use: the conversation of `errand/client`, one frame a message. */
import WebSocket from 'ws'
import { LOCAL } from '../../protocols/local/frames.ts'
import type { AttachRequest, ExecOutcome, ExecRequest } from '../../protocols/local/messages.ts'
import { connect, type Home } from '../../src/local/client.ts'
import { attach, exec } from '../../src/local/exec.ts'
import type { AttachOptions, ExecOptions, Faces } from '../../src/local/exec-options.ts'
import { Handover } from '../../src/local/handover.ts'
import { QuickLink } from '../../src/local/quick-link.ts'
import type { Calls } from '../../src/local/runtime-of.ts'
import type { Address } from '../../src/local/where.ts'

/** Where to, as `ws` wants it. */
export function webSocketTo(to: Required<Pick<Home, 'socketPath'>> | Address, headers: Record<string, string> = {}): WebSocket {
  if (!('url' in to)) return new WebSocket(`ws+unix:${to.socketPath}:${LOCAL.webSocketPath}`, { headers: { host: 'errand', ...headers } })
  const authorization = to.token === undefined ? {} : { authorization: `Bearer ${to.token}` }
  const { ca, cert, key } = to
  const tls = { ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) }
  return new WebSocket(`${to.url.replace(/^http/, 'ws')}${LOCAL.webSocketPath}`, LOCAL.subprotocol, { ...tls, headers: { ...authorization, ...headers } })
}

/** All calls of `errand/client`; commands and output over WebSocket, questions over HTTP beside it. */
export function webSocketCalls(to: Required<Pick<Home, 'socketPath'>> | Address): Calls & { close(): void } {
  const client = connect(to)
  const faces = new WebSocketFaces(to)
  const over: Pick<Calls, 'exec' | 'attach'> = {
    exec: (request: Omit<ExecRequest, 'stdin'>, o: ExecOptions = {}): Promise<ExecOutcome> => exec(faces, request, o),
    attach: (request: AttachRequest, o: AttachOptions = {}): Promise<ExecOutcome | undefined> => attach(faces, request, o),
  }
  return new Proxy(client, {
    get: (target, name) => {
      if (name === 'exec') return over.exec
      if (name === 'attach') return over.attach
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

class WebSocketFaces implements Faces {
  readonly socketPath: string

  constructor(private readonly to: Parameters<typeof webSocketTo>[0]) {
    this.socketPath = 'url' in to ? to.url : to.socketPath
  }

  take(): ReturnType<Faces['take']> {
    const socket = webSocketTo(this.to)
    const source = new Handover<Uint8Array>()
    const opened = new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject))
    opened.catch((error: unknown) => source.fail(error))
    socket.on('message', (data: Buffer) => {
      socket.pause() // reads on when the reader has
      void source.put(prefixed(data)).then(() => socket.resume())
    })
    socket.on('close', () => source.end())
    socket.on('error', () => undefined)
    const write = async (bytes: Iterable<Uint8Array>): Promise<void> => {
      await opened
      await new Promise<void>((resolve) => socket.send(unprefixed(Buffer.concat([...bytes])), () => resolve()))
    }
    const abort = (error: Error): void => {
      source.fail(error)
      socket.terminate()
    }
    return {
      link: new QuickLink({ source, write: (bytes) => write(bytes).catch(() => undefined), abort }, LOCAL.maxFrameBytes),
      socket: { destroy: () => socket.close() },
    }
  }

  prepare(): void {}
}

function prefixed(frame: Uint8Array): Uint8Array {
  const head = []
  let rest = frame.length
  for (; rest > 0x7f; rest >>>= 7) head.push((rest & 0x7f) | 0x80)
  return Buffer.concat([Uint8Array.of(...head, rest), frame])
}

/** One whole frame without its length. */
function unprefixed(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(bytes.findIndex((byte) => byte < 0x80) + 1)
}
