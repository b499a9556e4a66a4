/** One HTTP request, said exactly as the test says it. */
import { type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'

export interface Raw {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Asked {
  readonly method?: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

export function ask(socketPath: string, { method = 'GET', path, headers, body }: Asked): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path, headers: { host: 'errand', ...headers } }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (part: string) => (text += part))
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }))
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

/** Sends bytes as they are and reads to the end. */
export function say(to: string | { readonly host: string; readonly port: number }, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = typeof to === 'string' ? connect(to) : connect(to)
    let got = ''
    socket.setEncoding('utf8')
    socket.on('data', (part: string) => (got += part))
    socket.on('end', () => resolve(got))
    socket.on('error', reject)
    socket.write(text)
  })
}
