/**
 * The runtime as programs see it, over whatever asks the node: its socket, or a node in this process. Puts requests into the words of the
 * local API and turns callbacks into loops; decides nothing.
 */
import type {
  AttachRequest,
  DeviceView,
  ExecAccepted,
  ExecOutcome,
  ExecRequest,
  ExecWaits,
  OfferedView,
  Status,
  TaskUpdate,
  TaskView,
} from '../../protocols/local/messages.ts'
import type { WireError } from '../base/errors.ts'
import { ErrandError } from '../base/errors.ts'
import type { ExecOptions, AttachOptions as Takers } from './exec-options.ts'
import { Handover } from './handover.ts'
import type {
  AttachOptions,
  ExecuteEnd,
  ExecuteEvent,
  ExecuteOptions,
  ExecuteRequest,
  ExecuteResponse,
  RuntimeClient,
  SubmitTaskRequest,
  Waiting,
} from './runtime-client.ts'

/** What asks a node. LocalClient is one. */
export interface Calls {
  status(o?: Waiting): Promise<Status>
  devices(o?: Waiting): Promise<DeviceView[]>
  agents(o?: Waiting): Promise<OfferedView[]>
  skills(o?: Waiting): Promise<OfferedView[]>
  tasks(o?: Waiting & { readonly all?: boolean }): Promise<TaskView[]>
  submit(request: Omit<ExecRequest, 'stdin'>, o?: Waiting): Promise<TaskView>
  task(task: string, o?: Waiting & { readonly events?: boolean }): Promise<TaskView>
  cancel(task: string, o?: Waiting): Promise<TaskView>
  pause(task: string, o?: Waiting): Promise<TaskView>
  resume(task: string, o?: Waiting): Promise<TaskView>
  watch(o?: Waiting & { readonly cursor?: number }): AsyncIterable<TaskUpdate>
  attach(request: AttachRequest, o?: Takers): Promise<ExecOutcome | undefined>
  exec(request: Omit<ExecRequest, 'stdin'>, o?: ExecOptions): Promise<ExecOutcome>
}

const MAX_OUTPUT_BYTES = 64 * (1 << 20)

/** The runtime of the node that `calls` asks. It holds nothing that would have to be closed. */
export function runtimeOf(calls: Calls): RuntimeClient {
  return new RuntimeOver(calls)
}

class RuntimeOver implements RuntimeClient {
  constructor(private readonly calls: Calls) {}

  getStatus(o?: Waiting): Promise<Status> {
    return this.calls.status(o)
  }

  listDevices(o?: Waiting): Promise<DeviceView[]> {
    return this.calls.devices(o)
  }

  listAgents(o?: Waiting): Promise<OfferedView[]> {
    return this.calls.agents(o)
  }

  listSkills(o?: Waiting): Promise<OfferedView[]> {
    return this.calls.skills(o)
  }

  listTasks(o?: Waiting & { readonly all?: boolean }): Promise<TaskView[]> {
    return this.calls.tasks(o)
  }

  async submitTask(request: SubmitTaskRequest, o?: Waiting): Promise<TaskView> {
    refuseOdd(request)
    return await this.calls.submit(requestOf(request), o)
  }

  getTask(task: string, o?: Waiting & { readonly events?: boolean }): Promise<TaskView> {
    return this.calls.task(task, o)
  }

  cancelTask(task: string, o?: Waiting): Promise<TaskView> {
    return this.calls.cancel(task, o)
  }

  pauseTask(task: string, o?: Waiting): Promise<TaskView> {
    return this.calls.pause(task, o)
  }

  resumeTask(task: string, o?: Waiting): Promise<TaskView> {
    return this.calls.resume(task, o)
  }

  async *streamTaskUpdates(o: Waiting & { readonly cursor?: number } = {}): AsyncGenerator<TaskUpdate> {
    try {
      yield* this.calls.watch(o)
    } catch (thrown) {
      if (o.signal?.aborted !== true) throw thrown
    }
  }

  async *attach(task: string, { signal, ...rest }: AttachOptions = {}): AsyncGenerator<ExecuteEvent> {
    try {
      yield* heard(({ abandon, ...takers }) => this.calls.attach({ task, ...rest }, { ...takers, abandon: any(abandon, signal) }))
    } catch (thrown) {
      if (signal?.aborted !== true) throw thrown
    }
  }

  async execute(request: ExecuteRequest, o: ExecuteOptions & { readonly maxOutputBytes?: number } = {}): Promise<ExecuteResponse> {
    const { maxOutputBytes = MAX_OUTPUT_BYTES, ...options } = o
    const printed: Record<1 | 2, Uint8Array[]> = { 1: [], 2: [] }
    let held = 0
    for await (const event of this.executeStream(request, options)) {
      if (event.t === 'ended') return { ...event.end, stdout: Buffer.concat(printed[1]), stderr: Buffer.concat(printed[2]) }
      if (event.t !== 'printed') continue
      held += event.bytes.length
      if (held > maxOutputBytes) throw tooLarge(maxOutputBytes)
      printed[event.fd].push(event.bytes)
    }
    throw new ErrandError('NODE_GONE', 'the node said nothing of how the command ended')
  }

  async *executeStream(request: ExecuteRequest, o: ExecuteOptions = {}): AsyncGenerator<ExecuteEvent> {
    refuseOdd(request)
    if (request.interactive === true) throw unsupported('interactive', 'input that goes on comes by executeInteractive')
    const { stdin } = request
    yield* this.#exec(request, { ...o, ...(stdin === undefined ? {} : { stdin: once(stdin) }) })
  }

  async *executeInteractive(request: ExecuteRequest, stdin: AsyncIterable<Uint8Array>, o: ExecuteOptions = {}): AsyncGenerator<ExecuteEvent> {
    refuseOdd(request)
    if (request.stdin !== undefined) throw new ErrandError('BAD_REQUEST', 'stdin is given twice', { hint: 'leave it out of the request' })
    yield* this.#exec(request, { ...o, stdin })
  }

  async *#exec(request: ExecuteRequest, o: ExecOptions): AsyncGenerator<ExecuteEvent> {
    const { stdin: _all, interactive: _, ...plain } = request
    yield* heard((takers) => this.calls.exec(requestOf(plain), { ...o, ...takers }))
  }
}

/** Events of one conversation. Leaving the loop hangs up, whatever state it is in. */
async function* heard(begin: (takers: Takers & { readonly abandon: AbortSignal }) => Promise<ExecOutcome | undefined>): AsyncGenerator<ExecuteEvent> {
  const events = new Handover<ExecuteEvent>()
  const left = new AbortController()
  const print = (fd: 1 | 2) => (bytes: Uint8Array) => events.put({ t: 'printed', fd, bytes })
  const takers = {
    onStdout: print(1),
    onStderr: print(2),
    onAccepted: ({ task: id, device, startTime }: ExecAccepted) => void events.put({ t: 'started', id, device, startTime }),
    onQueued: ({ task: id, place }: { task: string; place: number }) => void events.put({ t: 'queued', id, place }),
    onWaits: ({ task: id, message, need, have }: ExecWaits) => void events.put({ t: 'waiting', id, message, need, have }),
    onSkipped: (bytes: number) => void events.put({ t: 'skipped', bytes }),
  }
  const over = begin({ ...takers, abandon: left.signal }).then(
    (outcome) => {
      if (outcome !== undefined) void events.put({ t: 'ended', end: endOf(outcome) })
      events.end()
    },
    (error: unknown) => events.fail(error),
  )
  try {
    yield* events
  } finally {
    left.abort()
    await over
  }
}

/** Adapters hand on what somebody sent them. The node checks every field; whether there are any has to be known before. */
function refuseOdd(request: unknown): void {
  if (typeof request === 'object' && request !== null && 'command' in request && Array.isArray(request.command)) return
  throw new ErrandError('BAD_REQUEST', 'a request is an object with a command, which is a list', {
    hint: "such as { device: 'gpu1', command: ['npm', 'test'] }",
  })
}

function requestOf({ workDir, environment, timeout, requestedBy, requestTime, ...rest }: SubmitTaskRequest): Omit<ExecRequest, 'stdin'> {
  const { command, metadata, context, ...words } = rest
  const said = { ...metadata, ...given({ requestedBy, requestTime }) }
  const local = given({ cwd: workDir, env: environment === undefined ? undefined : { ...environment }, timeoutMs: timeout })
  const about = given({
    metadata: Object.keys(said).length === 0 && metadata === undefined ? undefined : said,
    context: context === undefined ? undefined : { ...context },
  })
  return { ...given(words), ...local, ...about, device: rest.device, command: command.slice() }
}

/** `exactOptionalPropertyTypes`: what is absent is absent, not undefined. */
function given<T extends object>(from: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(from).filter(([, value]) => value !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> }
}

const CODE_OF_WHY: Readonly<Record<string, string>> = { timeout: 'TIMED_OUT', limit: 'OUTPUT_LIMIT', 'not-found': 'COMMAND_NOT_FOUND' }
const ITS_OWN_END: ReadonlySet<string> = new Set(['exit', 'cancelled'])

/** A command's outcome in the words of every face. */
export function endOf(outcome: ExecOutcome): ExecuteEnd {
  const { task: id, device, exitCode, signal, why, startTime, endTime, durationMs: duration, stdoutBytes, stderrBytes } = outcome
  const cancelled = why === 'cancelled'
  return { id, device, exitCode, signal, why, startTime, endTime, duration, error: errorOf(outcome), cancelled, stdoutBytes, stderrBytes }
}

function errorOf({ why, message, device }: ExecOutcome): WireError | null {
  if (ITS_OWN_END.has(why)) return null
  const code = CODE_OF_WHY[why] ?? why.toUpperCase().replaceAll('-', '_')
  return { code, message: message ?? `${device} ended the command: ${why}`, source: 'device' }
}

async function* once(stdin: Uint8Array | string): AsyncGenerator<Uint8Array> {
  yield typeof stdin === 'string' ? Buffer.from(stdin) : stdin
}

function any(one: AbortSignal, other: AbortSignal | undefined): AbortSignal {
  return other === undefined ? one : AbortSignal.any([one, other])
}

function tooLarge(bytes: number): ErrandError {
  return new ErrandError('OUTPUT_TOO_LARGE', `the command printed more than ${bytes} bytes and was ended`, {
    hint: 'read it with executeStream, or allow more by maxOutputBytes',
    fields: { maxOutputBytes: bytes },
  })
}

function unsupported(what: string, hint: string): ErrandError {
  return new ErrandError('UNSUPPORTED', `${what}: true is not possible here`, { hint })
}
