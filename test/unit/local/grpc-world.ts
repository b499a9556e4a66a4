/** The other side of the gRPC face for these tests: a real server on a real socket with a scripted runtime behind it, and gRPC's own client. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CallOptions, Client, type ClientOptions, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import { loadSync, type MethodDefinition } from '@grpc/proto-loader'
import { type GrpcOptions, startGrpc } from '../../../src/local/grpc.ts'
import type { Runtime } from '../../../src/runtime/runtime.ts'
import { DID, scripted } from './scripted.ts'

const ROOT = join(import.meta.dirname, '..', '..', '..')
const proto = loadSync(join(ROOT, 'protocols', 'local', 'exec.proto'), { longs: Number, enums: String, oneofs: true })
const health = loadSync(join(ROOT, 'node_modules', 'grpc-health-check', 'proto', 'health', 'v1', 'health.proto'), { enums: String })
const REFLECTION = join(ROOT, 'node_modules', '@grpc', 'reflection', 'build', 'proto', 'grpc', 'reflection')
const reflections = ['v1', 'v1alpha'].map((version) => loadSync(join(REFLECTION, version, 'reflection.proto')))

export type Message = Record<string, unknown>

/** Talks like any client: by full names of methods, in plain messages. */
export class Caller implements Disposable {
  readonly client: Client
  /** Metadata of every call. */
  says: Readonly<Record<string, string>> = {}

  constructor(address: string, creds = credentials.createInsecure(), o: ClientOptions = {}) {
    this.client = new Client(address, creds, o)
  }

  /** @throws ServiceError */
  ask(path: string, message: Message, options: CallOptions = {}, left?: AbortSignal): Promise<Message> {
    const { requestSerialize, responseDeserialize } = methodOf(path)
    return new Promise((resolve, reject) => {
      const answer = (error: ServiceError | null, said?: Message): void => (error === null ? resolve(said ?? {}) : reject(error))
      const call = this.client.makeUnaryRequest(path, requestSerialize, plain(responseDeserialize), message, this.#metadata(), options, answer)
      left?.addEventListener('abort', () => call.cancel(), { once: true })
    })
  }

  listen(path: string, message: Message, options: CallOptions = {}) {
    const { requestSerialize, responseDeserialize } = methodOf(path)
    return this.client.makeServerStreamRequest(path, requestSerialize, plain(responseDeserialize), message, this.#metadata(), options)
  }

  talk(path: string, options: CallOptions = {}) {
    const { requestSerialize, responseDeserialize } = methodOf(path)
    return this.client.makeBidiStreamRequest(path, requestSerialize, plain(responseDeserialize), this.#metadata(), options)
  }

  close(): void {
    this.client.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #metadata(): Metadata {
    const metadata = new Metadata()
    for (const [name, value] of Object.entries(this.says)) metadata.set(name, value)
    return metadata
  }
}

/** How a call failed. */
export interface Failed {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly hint: string
  readonly fields: Message
}

/** @throws when it did not fail. */
export async function failureOf(asked: Promise<unknown>): Promise<Failed> {
  const error: ServiceError = await asked.then(
    () => Promise.reject(new Error('it did not fail')),
    (thrown: ServiceError) => thrown,
  )
  const [code = '', hint = '', fields = '{}'] = ['errand-code', 'errand-hint-bin', 'errand-fields-bin'].map((name) => error.metadata?.get(name)[0]?.toString())
  return { status: error.code, code, message: error.details, hint, fields: JSON.parse(fields) }
}

/** All that a stream says. @throws ServiceError */
export async function all(stream: AsyncIterable<Message>): Promise<Message[]> {
  const said: Message[] = []
  for await (const message of stream) said.push(message)
  return said
}

export function bytesIn(events: readonly Message[], name: 'stdout' | 'stderr'): Buffer {
  return Buffer.concat(events.flatMap((event) => (event['event'] === name && event[name] instanceof Uint8Array ? [event[name]] : [])))
}

export interface GrpcWorld extends AsyncDisposable {
  readonly caller: Caller
  readonly socketPath: string
  stop(): Promise<void>
}

export async function grpcWorld(runtime: Partial<Runtime>, o: Partial<GrpcOptions> = {}): Promise<GrpcWorld> {
  const home = await mkdtemp(join(tmpdir(), 'errand-grpc-'))
  const socketPath = join(home, 'grpc.sock')
  const server = await startGrpc({ runtime: scripted(runtime), actorDid: DID, socketPath, ...o })
  const caller = new Caller(`unix:${socketPath}`)
  const end = async (): Promise<void> => {
    caller.close()
    await server.close()
    await rm(home, { recursive: true, force: true })
  }
  return { caller, socketPath, stop: () => server.close(), [Symbol.asyncDispose]: end }
}

function methodOf(path: string): MethodDefinition<object, object> {
  const [, service = '', method = ''] = path.split('/')
  const found = Object.assign({}, proto, health, ...reflections)[service]
  if (found === undefined || 'format' in found || found[method] === undefined) throw new Error(`no method ${path}`)
  return found[method]
}

function plain(deserialize: (bytes: Buffer) => object): (bytes: Buffer) => Message {
  return (bytes) => Object.fromEntries(Object.entries(deserialize(bytes)))
}
