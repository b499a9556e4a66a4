/** A caller of the gRPC face as a program in another language has one: messages of exec.proto in, the runtime's words out. */
import type { ServiceError } from '@grpc/grpc-js'
import { v4 as uuid } from 'uuid'
import type { DeviceView, OfferedView, Status, TaskUpdate, TaskView } from '../../protocols/local/messages.ts'
import { ErrandError } from '../../src/base/errors.ts'
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
import { Caller, type Message } from '../unit/local/grpc-world.ts'
import { deviceIn, endIn, errorOf, eventIn, list, listOf, requestIn, statusIn, taskIn, updateIn } from './grpc-words.ts'

type Call = ReturnType<Caller['listen']>

export class GrpcClient implements RuntimeClient {
  readonly #caller: Caller

  constructor(address: string) {
    this.#caller = new Caller(address)
  }

  close(): void {
    this.#caller.close()
  }

  getStatus = async (o?: Waiting): Promise<Status> => statusIn(await this.#ask('Tasks/GetStatus', {}, o))
  listDevices = async (o?: Waiting): Promise<DeviceView[]> => list((await this.#ask('Tasks/ListDevices', {}, o))['devices']).map(deviceIn)
  listAgents = async (o?: Waiting): Promise<OfferedView[]> => listOf((await this.#ask('Tasks/ListAgents', {}, o))['offered'])
  listSkills = async (o?: Waiting): Promise<OfferedView[]> => listOf((await this.#ask('Tasks/ListSkills', {}, o))['offered'])
  listTasks = async ({ all = false, ...o }: Waiting & { readonly all?: boolean } = {}): Promise<TaskView[]> =>
    list((await this.#ask('Tasks/ListTasks', { all }, o))['tasks']).map(taskIn)
  submitTask = async (request: SubmitTaskRequest, o?: Waiting): Promise<TaskView> => taskIn(await this.#ask('Tasks/SubmitTask', requestIn(request), o))
  getTask = async (id: string, { events = false, ...o }: Waiting & { readonly events?: boolean } = {}): Promise<TaskView> =>
    taskIn(await this.#ask('Tasks/GetTask', { id, events }, o))
  cancelTask = async (id: string, o?: Waiting): Promise<TaskView> => taskIn(await this.#ask('Tasks/CancelTask', { id }, o))
  pauseTask = async (id: string, o?: Waiting): Promise<TaskView> => taskIn(await this.#ask('Tasks/PauseTask', { id }, o))
  resumeTask = async (id: string, o?: Waiting): Promise<TaskView> => taskIn(await this.#ask('Tasks/ResumeTask', { id }, o))

  async *streamTaskUpdates({ cursor, signal }: Waiting & { readonly cursor?: number } = {}): AsyncGenerator<TaskUpdate> {
    const tasks: TaskView[] = []
    for await (const message of this.#left('Tasks/StreamTaskUpdates', cursor === undefined ? {} : { cursor: unsigned(cursor) }, signal)) {
      const update = updateIn(message, tasks)
      if (update !== undefined) yield update
    }
  }

  async *attach(id: string, { from, follow, signal }: AttachOptions = {}): AsyncGenerator<ExecuteEvent> {
    for await (const message of this.#left('Tasks/Attach', { id, offset: unsigned(from ?? 0), noFollow: follow === false }, signal)) yield eventIn(message)
  }

  async execute(request: ExecuteRequest, { maxOutputBytes, signal }: ExecuteOptions & { readonly maxOutputBytes?: number } = {}): Promise<ExecuteResponse> {
    if (maxOutputBytes !== undefined) return await this.#collected(request, maxOutputBytes)
    const { id, message } = identified(request)
    using _ = this.#cancels(signal, id)
    const answer = await this.#ask('Exec/Execute', message)
    return { ...endIn(answer), stdout: bytes(answer['stdout']), stderr: bytes(answer['stderr']) }
  }

  async *executeStream(request: ExecuteRequest, { signal }: ExecuteOptions = {}): AsyncGenerator<ExecuteEvent> {
    const { id, message } = identified(request)
    using _ = this.#cancels(signal, id)
    yield* this.#events(this.#caller.listen(path('Exec/ExecuteStream'), message))
  }

  async *executeInteractive(request: ExecuteRequest, stdin: AsyncIterable<Uint8Array>, { signal }: ExecuteOptions = {}): AsyncGenerator<ExecuteEvent> {
    const { id, message } = identified(request)
    using _ = this.#cancels(signal, id)
    const call = this.#caller.talk(path('Exec/ExecuteInteractive'))
    const say = (said: Message): Promise<void> => new Promise((resolve) => call.write(said, () => resolve()))
    let broken: { readonly thrown: unknown } | undefined
    const feed = async (): Promise<void> => {
      await say({ start: message })
      for await (const piece of stdin) await say({ stdin: piece })
      call.end()
    }
    feed().catch((thrown: unknown) => {
      broken = { thrown }
      call.cancel()
    })
    try {
      yield* this.#events(call)
    } catch (thrown) {
      throw broken === undefined ? thrown : broken.thrown
    }
  }

  async #collected(request: ExecuteRequest, maxOutputBytes: number): Promise<ExecuteResponse> {
    const printed: Record<1 | 2, Uint8Array[]> = { 1: [], 2: [] }
    let held = 0
    for await (const event of this.executeStream(request)) {
      if (event.t === 'ended') return { ...event.end, stdout: Buffer.concat(printed[1]), stderr: Buffer.concat(printed[2]) }
      if (event.t !== 'printed') continue
      held += event.bytes.length
      if (held > maxOutputBytes) throw new ErrandError('OUTPUT_TOO_LARGE', 'it printed more than was allowed for')
      printed[event.fd].push(event.bytes)
    }
    throw new ErrandError('NODE_GONE', 'nothing was said of the end')
  }

  /** An abort asks for the command's end; the call goes on and hears of it. */
  #cancels(signal: AbortSignal | undefined, id: string): Disposable {
    const cancel = (): void => void this.#ask('Exec/Cancel', { id }).catch(() => undefined)
    if (signal?.aborted === true) throw new ErrandError('CANCELLED', 'cancelled before it began')
    signal?.addEventListener('abort', cancel, { once: true })
    return { [Symbol.dispose]: () => signal?.removeEventListener('abort', cancel) }
  }

  /** Leaving the loop hangs up. @throws ErrandError */
  async *#said(call: AsyncIterable<Message> & Pick<Call, 'cancel' | 'on'>): AsyncGenerator<Message> {
    call.on('error', () => undefined)
    try {
      yield* call
    } catch (thrown) {
      throw errorOf(thrown as ServiceError)
    } finally {
      call.cancel()
    }
  }

  async *#events(call: AsyncIterable<Message> & Pick<Call, 'cancel' | 'on'>): AsyncGenerator<ExecuteEvent> {
    for await (const message of this.#said(call)) yield eventIn(message)
  }

  /** A stream that an abort ends without an error. */
  async *#left(name: string, message: Message, signal: AbortSignal | undefined): AsyncGenerator<Message> {
    const isLeft = (): boolean => signal?.aborted === true
    if (isLeft()) return
    const call = this.#caller.listen(path(name), message)
    const leave = (): void => call.cancel()
    signal?.addEventListener('abort', leave, { once: true })
    try {
      yield* this.#said(call)
    } catch (thrown) {
      if (!isLeft()) throw thrown
    } finally {
      signal?.removeEventListener('abort', leave)
    }
  }

  async #ask(name: string, message: Message, { signal }: Waiting = {}): Promise<Message> {
    if (signal?.aborted === true) throw new ErrandError('CANCELLED', 'cancelled before it began')
    try {
      return await this.#caller.ask(path(name), message, {}, signal)
    } catch (thrown) {
      throw errorOf(thrown as ServiceError)
    }
  }
}

/** A uint64 has no word for it; gRPC's packages would send another number. */
function unsigned(n: number): number {
  if (n >= 0) return n
  throw new ErrandError('BAD_REQUEST', `${n} is no offset and no cursor`, { hint: 'they begin at 0' })
}

function path(name: string): string {
  return `/errand.v1.${name}`
}

/** Without an id of the caller's nobody could cancel it before it has begun. */
function identified(request: ExecuteRequest): { readonly id: string; readonly message: Message } {
  const id = request?.id ?? uuid()
  return { id, message: { ...requestIn(request), id } }
}

function bytes(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array()
}
