/** Questions and answers with a node: JSON over HTTP, connections kept warm between questions. Client side only. */

import type { ClientRequest, IncomingMessage } from 'node:http'
import { LOCAL } from '../../protocols/local/frames.ts'
import { ErrandError } from '../base/errors.ts'
import { cancelled, checkVersion, connectionFault, faultOf, gone } from './fault.ts'
import type { Where } from './where.ts'

export interface Question {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: unknown
  readonly signal: AbortSignal
}

export class JsonDoor {
  readonly #requests: ReturnType<Where['requests']>

  /** Loads the HTTP client only now: a bundle evaluates static imports of Node's modules at its start, and running a command needs none of it. */
  constructor(private readonly where: Where) {
    this.#requests = where.requests()
  }

  /** @returns the answer's body. @throws ErrandError as the node said it, or NO_NODE, NODE_GONE, NODE_SILENT, CANCELLED. */
  async ask<T>(question: Question): Promise<T> {
    try {
      const answer = await this.#answer(question)
      const body = await textOf(answer)
      return JSON.parse(body) as T // The decoder: what a node of our own user says under a known API version is taken at its word.
    } catch (error) {
      throw connectionFault(error, this.where.name)
    }
  }

  /** The lines of an NDJSON answer; pulls no further than its reader. Leaving the loop closes the request. */
  async *lines<T>(question: Question): AsyncGenerator<T> {
    let answer: IncomingMessage | undefined
    try {
      answer = await this.#answer(question)
      answer.setEncoding('utf8')
      let rest = ''
      for await (const text of answer) {
        const lines = `${rest}${text}`.split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) yield lineOf<T>(line)
      }
      if (rest !== '' || !answer.complete) throw gone()
    } catch (error) {
      throw connectionFault(error, this.where.name)
    } finally {
      answer?.destroy()
    }
  }

  /** The data of a stream of Server-Sent Events (HTML Standard, 9.2); what only keeps it alive is left out. */
  async *events<T>(question: Question): AsyncGenerator<T> {
    let answer: IncomingMessage | undefined
    try {
      answer = await this.#answer(question)
      answer.setEncoding('utf8')
      let rest = ''
      for await (const text of answer) {
        const blocks = `${rest}${text}`.split('\n\n')
        rest = blocks.pop() ?? ''
        for (const block of blocks) {
          const data = /^data: (.*)$/m.exec(block)?.[1]
          if (data !== undefined) yield lineOf<T>(data)
        }
      }
      throw gone()
    } catch (error) {
      throw connectionFault(error, this.where.name)
    } finally {
      answer?.destroy()
    }
  }

  close(): void {
    this.#requests.close()
  }

  async #answer(question: Question, again = false): Promise<IncomingMessage> {
    if (question.signal.aborted) throw question.signal.reason ?? cancelled()
    const asked = this.#send(question)
    try {
      const answer = await answerTo(asked)
      checkVersion(headerOf(answer, 'x-errand-api'))
      if (answer.statusCode !== 200) throw faultOf(answer.statusCode ?? 0, await textOf(answer))
      return answer
    } catch (error) {
      // A warm connection may have been closed by the node while the question was on its way; asking twice is harmless only for GET.
      if (asked.reusedSocket && question.method === 'GET' && !again && isReset(error)) return await this.#answer(question, true)
      throw error
    }
  }

  #send({ method, path, body, signal }: Question): ClientRequest {
    const text = body === undefined ? '' : JSON.stringify(body)
    // The node answers the same, and closes at once: whoever still writes would hear of a broken connection only.
    if (Buffer.byteLength(text) > LOCAL.maxBodyBytes) throw tooLarge(Buffer.byteLength(text))
    const headers = {
      ...this.where.headers,
      'x-errand-api': String(LOCAL.version),
      ...(text === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    }
    const asked = this.#requests.send({ method, path, headers, signal })
    asked.end(text)
    return asked
  }
}

function tooLarge(bytes: number): ErrandError {
  return new ErrandError('TOO_LARGE', `a request of ${bytes} bytes where ${LOCAL.maxBodyBytes} are taken`, {
    hint: 'send what is long as input of the command, or put it into a file there',
  })
}

function answerTo(asked: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    asked.once('response', resolve)
    asked.on('error', (error) => reject(asked.destroyed && error.name === 'AbortError' && error.cause instanceof Error ? error.cause : error))
  })
}

async function textOf(answer: IncomingMessage): Promise<string> {
  answer.setEncoding('utf8')
  let text = ''
  for await (const part of answer) text += String(part)
  return text
}

/** A stream that fails midway can no longer answer with a status; its last line then is the error. */
function lineOf<T>(line: string): T {
  const value: unknown = JSON.parse(line)
  if (typeof value === 'object' && value !== null && 'error' in value && Object.keys(value).length === 1) throw faultOf(200, line)
  return value as T
}

function headerOf(answer: IncomingMessage, name: string): string | undefined {
  const value = answer.headers[name]
  return Array.isArray(value) ? value[0] : value
}

function isReset(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
}
