/** `errand forward`: ports here that are ports over there, or with `--reverse` the other way round, for as long as the program runs. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { hostOf, sayEnd as sayPlace } from '../../base/address.ts'
import { asErrand, ErrandError } from '../../base/errors.ts'
import { socketPathOf } from '../../base/paths.ts'
import { SocketPipe } from '../../base/pipe.ts'
import { type ByteEnds, ForwardClient, type ForwardEnd, type IncomingConnection } from '../../local/client/forward.ts'
import type { Context } from '../context.ts'
import { exitCodeOfSignal } from '../exitcodes.ts'
import { clean } from '../render.ts'
import { type Spec, specOf } from '../spec.ts'
import { sayEnd } from './proxy.ts'

interface ForwardOptions {
  readonly reverse?: boolean
}

const STOPPERS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const BACKLOG = 128

export async function forward(context: Context, device: string, texts: string[], { reverse }: ForwardOptions): Promise<number> {
  const specs = texts.map(specOf)
  const stop = new AbortController()
  let code: number | undefined
  for (const signal of STOPPERS)
    process.once(signal, () => {
      code ??= exitCodeOfSignal(signal)
      stop.abort()
    })
  const way = new Way(context, device, stop.signal)
  try {
    const ends = specs.map((spec) => (reverse === true ? way.inwards(spec) : way.outwards(spec)))
    const first = await Promise.race(ends)
    return code ?? sayEnd(context, device, first)
  } catch (thrown) {
    if (code !== undefined) return code
    throw thrown
  } finally {
    stop.abort() // one that ends ends all: whoever wants them apart starts several
  }
}

class Way {
  readonly #client: ForwardClient
  /** Said once each: a browser tries often. */
  readonly #said = new Set<string>()

  constructor(
    private readonly context: Context,
    private readonly device: string,
    private readonly signal: AbortSignal,
  ) {
    this.#client = new ForwardClient(socketPathOf(context.home), context.session)
  }

  /** Listens here, once the device has agreed. */
  async outwards({ bind, port, host, toPort }: Spec): Promise<ForwardEnd> {
    let server: Server | undefined
    let failed: (error: unknown) => void = () => undefined
    const broken = new Promise<never>((_resolve, reject) => {
      failed = reject
    })
    const accepted = ({ forward, device }: { forward: string; device: string }): void => {
      server = createServer({ allowHalfOpen: true, keepAlive: true }, (socket) => this.#carry({ forward }, socket))
      server.on('error', (error) => failed(cannotListen(bind, port, error)))
      server.listen({ host: bind, port, backlog: BACKLOG }, () => this.#sayListening(device, server, { host, toPort }))
    }
    const held = this.#client.hold({ device: this.device, host, port: toPort }, { accepted, incoming: () => undefined, signal: this.signal })
    try {
      return await Promise.race([held, broken])
    } finally {
      server?.close()
    }
  }

  /** The device listens; what comes in there goes out from here. */
  async inwards({ bind, port, host, toPort }: Spec): Promise<ForwardEnd> {
    const target = sayPlace(host, toPort)
    const accepted = ({ device, address, port: at }: { device: string; address: string; port: number }): void =>
      this.#print({ event: 'listening', device, address, port: at, to: target, reverse: true }, `${clean(device)} ${sayPlace(address, at)} → ${target}`)
    const incoming = ({ connection }: IncomingConnection): void => {
      const socket = connect({ host, port: toPort, allowHalfOpen: true, keepAlive: true })
      const refused = (error: Error): void => this.#sayOnce(`${target}: ${error.message}`)
      socket.once('error', refused)
      socket.once('connect', () => {
        socket.off('error', refused)
        this.#carry({ connection }, socket)
      })
    }
    return await this.#client.hold({ device: this.device, host: bind, port, listen: true }, { accepted, incoming, signal: this.signal })
  }

  #carry(what: { forward: string } | { connection: string }, socket: Socket): void {
    void this.#client.carry(what, endsOf(socket)).catch((thrown: unknown) => {
      const { message, hint } = asErrand(thrown)
      this.#sayOnce(hint === undefined ? message : `${message}\nhint: ${hint}`)
      if (!socket.destroyed) socket.resetAndDestroy()
    })
  }

  #sayOnce(text: string): void {
    if (this.signal.aborted || this.#said.has(text)) return
    if (this.#said.size < 64) this.#said.add(text)
    this.context.say(`errand: ${clean(this.device)}: ${text}`)
  }

  #sayListening(device: string, server: Server | undefined, { host, toPort }: Pick<Spec, 'host' | 'toPort'>): void {
    const at = server?.address()
    if (typeof at !== 'object' || at === null) return
    const to = sayPlace(host, toPort)
    this.#print({ event: 'listening', device, address: at.address, port: at.port, to }, `${sayPlace(at.address, at.port)} → ${clean(device)} ${to}`)
  }

  #print(value: unknown, text: string): void {
    this.context.print(value, () => text)
  }
}

function endsOf(socket: Socket): ByteEnds {
  const pipe = new SocketPipe(socket)
  return {
    source: pipe.source,
    write: (chunk) => pipe.write([chunk]),
    end: () => void pipe.end(),
    abort: () => pipe.abort(),
  }
}

function cannotListen(bind: string, port: number, error: Error): ErrandError {
  const code = 'code' in error ? error.code : undefined
  const why = code === 'EADDRINUSE' ? 'the port is taken' : code === 'EACCES' ? 'that port is not for this user' : error.message
  return new ErrandError('CANNOT_LISTEN', `cannot listen on ${sayPlace(hostOf(bind)?.host ?? bind, port)}: ${why}`, {
    hint: 'port 0 picks a free one',
    cause: error,
  })
}
