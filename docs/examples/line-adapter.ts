/**
 * An adapter: the runtime as lines of JSON on a Unix socket, one connection a call.
 * The caller writes {"call":"getTask","task":"9fk2q7"}, or {"call":"executeStream","request":{…},"o":{…}}; `o` holds the options.
 * It reads {"item":…} for each part of a stream, {"more":true} when a piece of input is wanted, and last {"done":…} or {"error":{…}}.
 * Meanwhile it may write {"stdin":"base64"} for each piece that was wanted, {"stdin":null} at the end of input, and {"cancel":true}.
 * Hanging up is leaving. Bytes are base64. Whoever can open the socket acts as this device: keep it in a directory of one user.
 */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { Adapter, AttachOptions, ErrandError, ExecuteRequest, RuntimeClient } from 'errand'

interface Asked {
  readonly call: string
  readonly task: string
  readonly request: ExecuteRequest
  readonly o?: { readonly all?: boolean; readonly events?: boolean; readonly cursor?: number; readonly maxOutputBytes?: number } & Pick<
    AttachOptions,
    'from' | 'follow'
  >
}

interface On {
  /** The caller hung up, or the node stops. */
  readonly left: AbortSignal
  /** That, or the caller asked for an end. */
  readonly cancel: AbortSignal
  readonly stdin: AsyncIterable<Uint8Array>
}

type Call = (runtime: RuntimeClient, asked: Asked, on: On) => Promise<unknown> | AsyncIterable<unknown>

/** What may be called, and nothing else that an object happens to have. */
const CALLS: ReadonlyMap<string, Call> = new Map<string, Call>([
  ['getStatus', (runtime, _, { left }) => runtime.getStatus({ signal: left })],
  ['listDevices', (runtime, _, { left }) => runtime.listDevices({ signal: left })],
  ['listAgents', (runtime, _, { left }) => runtime.listAgents({ signal: left })],
  ['listSkills', (runtime, _, { left }) => runtime.listSkills({ signal: left })],
  ['listTasks', (runtime, { o }, { left }) => runtime.listTasks({ ...o, signal: left })],
  ['submitTask', (runtime, { request }, { left }) => runtime.submitTask(request, { signal: left })],
  ['getTask', (runtime, { task, o }, { left }) => runtime.getTask(task, { ...o, signal: left })],
  ['cancelTask', (runtime, { task }, { left }) => runtime.cancelTask(task, { signal: left })],
  ['pauseTask', (runtime, { task }, { left }) => runtime.pauseTask(task, { signal: left })],
  ['resumeTask', (runtime, { task }, { left }) => runtime.resumeTask(task, { signal: left })],
  ['streamTaskUpdates', (runtime, { o }, { left }) => runtime.streamTaskUpdates({ ...o, signal: left })],
  ['attach', (runtime, { task, o }, { left }) => runtime.attach(task, { ...o, signal: left })],
  ['execute', (runtime, { request, o }, { cancel }) => runtime.execute(request, { ...o, signal: cancel })],
  ['executeStream', (runtime, { request }, { cancel }) => runtime.executeStream(request, { signal: cancel })],
  ['executeInteractive', (runtime, { request }, { cancel, stdin }) => runtime.executeInteractive(request, stdin, { signal: cancel })],
])

export function lineAdapter(socketPath: string): Adapter {
  return {
    name: 'JSON lines',
    async start(runtime) {
      const open = new Set<Connection>()
      const server = createServer((socket) => {
        const connection = new Connection(socket, runtime)
        open.add(connection)
        void connection.over.then(() => open.delete(connection))
      })
      server.listen(socketPath)
      await once(server, 'listening')
      return async () => {
        server.close()
        for (const { leave } of open) leave()
        await Promise.all([...open].map(({ over }) => over))
      }
    },
  }
}

/** Prompts, inputs and contexts fit. */
const MAX_LINE_CHARS = 1 << 22

class Connection {
  /** Resolves when nothing is done for the caller any more; never rejects. */
  readonly over: Promise<void>
  readonly #left = new AbortController()
  readonly #cancel = new AbortController()
  #wanted: ((piece: Uint8Array | null) => void) | undefined
  #serving: Promise<void> | undefined

  constructor(
    private readonly socket: Socket,
    private readonly runtime: RuntimeClient,
  ) {
    socket.on('error', () => undefined) // whoever is gone is gone; 'close' follows
    this.over = this.#hear()
  }

  readonly leave = (): void => void this.socket.destroy()

  async #hear(): Promise<void> {
    try {
      for await (const line of linesOf(this.socket)) this.#take(line)
    } catch {
      // Cut, or a line without an end.
    }
    this.#left.abort()
    this.#wanted?.(null)
    await this.#serving
    this.socket.destroy()
  }

  #take(line: string): void {
    try {
      // The one decoder: each field of a request is checked by the runtime, which says BAD_REQUEST.
      const said = JSON.parse(line) as Asked | { readonly cancel: true } | { readonly stdin: string | null }
      if ('call' in said && this.#serving === undefined) this.#serving = this.#serve(said)
      else if ('cancel' in said) this.#cancel.abort()
      else if ('stdin' in said && this.#wanted !== undefined) this.#wanted(said.stdin === null ? null : Buffer.from(said.stdin, 'base64'))
      else throw new Error('this was not wanted now')
    } catch (thrown) {
      this.#left.abort()
      void this.#say({ error: wireOf(thrown) }).then(() => this.socket.end())
    }
  }

  async #serve(asked: Asked): Promise<void> {
    const left = this.#left.signal
    try {
      const call = CALLS.get(asked.call)
      if (call === undefined) throw new Error(`there is no call ${String(asked.call)}`)
      const answer = call(this.runtime, asked, { left, cancel: AbortSignal.any([left, this.#cancel.signal]), stdin: this.#stdin() })
      if (Symbol.asyncIterator in answer) {
        for await (const item of answer) await this.#say({ item: plain(item) })
        await this.#say({ done: null })
      } else await this.#say({ done: plain(await answer) })
    } catch (thrown) {
      await this.#say({ error: wireOf(thrown) })
    }
    this.socket.end()
  }

  /** A piece is asked for when the command has room for it, so that input is never held here. */
  async *#stdin(): AsyncGenerator<Uint8Array> {
    while (!this.#left.signal.aborted) {
      const next = new Promise<Uint8Array | null>((resolve) => {
        this.#wanted = resolve
      })
      await this.#say({ more: true })
      const piece = await next
      this.#wanted = undefined
      if (piece === null) return
      yield piece
    }
  }

  /** Resolves when the caller has room for more: a caller that stops reading stops the command. */
  async #say(line: object): Promise<void> {
    if (this.socket.destroyed || this.socket.write(`${JSON.stringify(line)}\n`)) return
    await once(this.socket, 'drain', { signal: this.#left.signal }).catch(() => undefined)
  }
}

async function* linesOf(socket: Socket): AsyncGenerator<string> {
  let rest = ''
  for await (const text of socket.setEncoding('utf8')) {
    const lines = `${rest}${text}`.split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > MAX_LINE_CHARS) throw new Error('a line without an end')
    yield* lines
  }
}

function plain(said: unknown): unknown {
  if (typeof said !== 'object' || said === null || Array.isArray(said)) return said
  const base64 = (value: unknown): unknown => (value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value)
  return Object.fromEntries(Object.entries(said).map(([name, value]) => [name, base64(value)]))
}

/** What the runtime throws is an ErrandError; what has no code was thrown here, of what the caller sent. */
function wireOf(thrown: unknown): Pick<ErrandError, 'code' | 'message' | 'hint'> {
  const { code = 'BAD_REQUEST', message, hint } = thrown as ErrandError
  return { code, message, hint }
}
