/** A caller of docs/examples/line-adapter.ts: the runtime over lines of JSON, one connection a call. */
import { connect, type Socket } from 'node:net'
import type { DeviceView, OfferedView, Status, TaskUpdate, TaskView } from '../../protocols/local/messages.ts'
import { ErrandError, fromWire, type WireError } from '../../src/base/errors.ts'
import type {
  AttachOptions,
  ExecuteEvent,
  ExecuteOptions,
  ExecuteRequest,
  ExecuteResponse,
  RuntimeClient,
  SubmitTaskRequest,
  Waiting,
} from '../../src/local/runtime-client.ts'

interface Said {
  readonly item?: unknown
  readonly done?: unknown
  readonly more?: true
  readonly error?: WireError
}

interface Asking {
  /** Leaves the call. */
  readonly left?: AbortSignal | undefined
  /** Asks for the command's end. */
  readonly cancel?: AbortSignal | undefined
  readonly stdin?: AsyncIterable<Uint8Array>
}

export class LineClient implements RuntimeClient {
  constructor(private readonly socketPath: string) {}

  getStatus = (o?: Waiting): Promise<Status> => this.#ask('getStatus', {}, o)
  listDevices = (o?: Waiting): Promise<DeviceView[]> => this.#ask('listDevices', {}, o)
  listAgents = (o?: Waiting): Promise<OfferedView[]> => this.#ask('listAgents', {}, o)
  listSkills = (o?: Waiting): Promise<OfferedView[]> => this.#ask('listSkills', {}, o)
  listTasks = ({ signal, ...o }: Waiting & { readonly all?: boolean } = {}): Promise<TaskView[]> => this.#ask('listTasks', { o }, { signal })
  submitTask = (request: SubmitTaskRequest, o?: Waiting): Promise<TaskView> => this.#ask('submitTask', { request }, o)
  getTask = (task: string, { signal, ...o }: Waiting & { readonly events?: boolean } = {}): Promise<TaskView> => this.#ask('getTask', { task, o }, { signal })
  cancelTask = (task: string, o?: Waiting): Promise<TaskView> => this.#ask('cancelTask', { task }, o)
  pauseTask = (task: string, o?: Waiting): Promise<TaskView> => this.#ask('pauseTask', { task }, o)
  resumeTask = (task: string, o?: Waiting): Promise<TaskView> => this.#ask('resumeTask', { task }, o)

  async *streamTaskUpdates({ signal, ...o }: Waiting & { readonly cursor?: number } = {}): AsyncGenerator<TaskUpdate> {
    yield* quietly(signal, this.#stream<TaskUpdate>({ call: 'streamTaskUpdates', o }, { left: signal }))
  }

  async *attach(task: string, { signal, ...o }: AttachOptions = {}): AsyncGenerator<ExecuteEvent> {
    yield* quietly(signal, withBytes(this.#stream({ call: 'attach', task, o }, { left: signal })))
  }

  async execute(request: ExecuteRequest, { signal, ...o }: ExecuteOptions & { readonly maxOutputBytes?: number } = {}): Promise<ExecuteResponse> {
    if (request.stdin !== undefined) return await this.#withStdin(request, o)
    const answer = await this.#last<ExecuteResponse & { stdout: string; stderr: string }>({ call: 'execute', request, o }, { cancel: signal })
    return { ...answer, stdout: Buffer.from(answer.stdout, 'base64'), stderr: Buffer.from(answer.stderr, 'base64') }
  }

  async *executeStream(request: ExecuteRequest, { signal }: ExecuteOptions = {}): AsyncGenerator<ExecuteEvent> {
    yield* withBytes(this.#stream({ call: 'executeStream', request }, { cancel: signal }))
  }

  async *executeInteractive(request: ExecuteRequest, stdin: AsyncIterable<Uint8Array>, { signal }: ExecuteOptions = {}): AsyncGenerator<ExecuteEvent> {
    yield* withBytes(this.#stream({ call: 'executeInteractive', request }, { cancel: signal, stdin }))
  }

  /** Input is bytes, which a line has no word for: it goes as a conversation. */
  async #withStdin({ stdin, ...request }: ExecuteRequest, _: object): Promise<ExecuteResponse> {
    const printed: Record<1 | 2, Uint8Array[]> = { 1: [], 2: [] }
    const pieces = (async function* () {
      const bytes = Buffer.from(stdin ?? '')
      for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
    })()
    for await (const event of this.executeInteractive(request, pieces)) {
      if (event.t === 'printed') printed[event.fd].push(event.bytes)
      if (event.t === 'ended') return { ...event.end, stdout: Buffer.concat(printed[1]), stderr: Buffer.concat(printed[2]) }
    }
    throw gone()
  }

  #ask<T>(call: string, asked: object, o: { readonly signal?: AbortSignal | undefined } = {}): Promise<T> {
    return this.#last<T>({ call, ...asked }, { left: o.signal })
  }

  async #last<T>(asked: object, o: Asking): Promise<T> {
    const said = this.#say(asked, o)
    for (;;) {
      const next = await said.next()
      if (next.done === true) return next.value as T
    }
  }

  async *#stream<T>(asked: object, o: Asking): AsyncGenerator<T> {
    for await (const item of this.#say(asked, o)) yield item as T
  }

  /** Yields the items, returns the answer. */
  async *#say(asked: object, { left, cancel, stdin }: Asking): AsyncGenerator<unknown, unknown> {
    if (left?.aborted === true || cancel?.aborted === true) throw cancelled()
    const socket = connect(this.socketPath)
    const leave = (): void => void socket.destroy(cancelled())
    const stop = (): void => write(socket, { cancel: true })
    left?.addEventListener('abort', leave, { once: true })
    cancel?.addEventListener('abort', stop, { once: true })
    const input = stdin?.[Symbol.asyncIterator]()
    try {
      write(socket, asked)
      for await (const said of linesOf(socket)) {
        if (said.error !== undefined) throw fromWire(said.error)
        if ('done' in said) return said.done
        if (said.more === true) void feed(socket, input)
        else yield said.item
      }
      throw gone()
    } finally {
      left?.removeEventListener('abort', leave)
      cancel?.removeEventListener('abort', stop)
      socket.destroy()
    }
  }
}

async function feed(socket: Socket, input: AsyncIterator<Uint8Array> | undefined): Promise<void> {
  try {
    const next = await input?.next()
    if (next === undefined || next.done === true) write(socket, { stdin: null })
    else write(socket, { stdin: Buffer.from(next.value).toString('base64') })
  } catch (thrown) {
    socket.destroy(thrown instanceof Error ? thrown : gone())
  }
}

function write(socket: Socket, line: object): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(line)}\n`)
}

async function* linesOf(socket: Socket): AsyncGenerator<Said> {
  let rest = ''
  for await (const text of socket.setEncoding('utf8')) {
    const lines = `${rest}${text}`.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield JSON.parse(line)
  }
}

async function* withBytes(events: AsyncIterable<ExecuteEvent>): AsyncGenerator<ExecuteEvent> {
  for await (const event of events) yield event.t === 'printed' ? { ...event, bytes: Buffer.from(String(event.bytes), 'base64') } : event
}

async function* quietly<T>(signal: AbortSignal | undefined, items: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* items
  } catch (thrown) {
    if (signal?.aborted !== true) throw thrown
  }
}

function cancelled(): ErrandError {
  return new ErrandError('CANCELLED', 'cancelled')
}

function gone(): ErrandError {
  return new ErrandError('NODE_GONE', 'the node closed the connection before it had answered')
}
