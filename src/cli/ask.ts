/** One question to the person at the terminal. */
import { ErrandError } from '../base/errors.ts'

/** Asks on stderr, so that stdout stays data. The end of input counts as an empty answer. */
export async function ask(question: string): Promise<string> {
  const { createInterface } = await import('node:readline/promises')
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  const ended = new AbortController()
  let interrupted = false
  lines.once('close', () => ended.abort())
  lines.once('SIGINT', () => {
    interrupted = true
    lines.close()
  })
  try {
    return await lines.question(question, { signal: ended.signal })
  } catch {
    if (interrupted) throw new ErrandError('CANCELLED', 'cancelled')
    return ''
  } finally {
    lines.close()
  }
}
