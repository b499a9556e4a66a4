/** `errand proxy`: stdin and stdout are a connection to a port of a device. What OpenSSH calls a ProxyCommand. */
import { socketPathOf } from '../../base/paths.ts'
import { ForwardClient, type ForwardEnd } from '../../local/client/forward.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exitcodes.ts'
import { clean } from '../render.ts'
import { drained } from '../writer.ts'

export interface ProxyOptions {
  readonly port: number
  readonly host: string
}

/** Stdout is the connection's alone, so all that is said goes to stderr, and errors too. */
export async function proxy(context: Context, device: string, { host, port }: ProxyOptions): Promise<number> {
  const { stdin, stdout } = process
  const ends = {
    source: stdin as AsyncIterable<Uint8Array>,
    write: (chunk: Uint8Array) => drained(stdout, chunk),
    end: () => undefined,
    abort: () => undefined,
  }
  const client = new ForwardClient(socketPathOf(context.home), context.session)
  const end = await client.single({ device, host, port }, ends, { oneEndIsAll: true })
  return sayEnd(context, device, end)
}

const CODES = { closed: EXIT.ok, reset: EXIT.failed, revoked: EXIT.denied, lost: EXIT.failed, stopped: EXIT.failed } as const
const SAID = {
  reset: 'the connection was cut over there',
  revoked: 'ended: the right to it is gone',
  lost: 'the line to the device was cut',
  stopped: 'the device stops',
} as const

/** @returns the exit code. */
export function sayEnd(context: Context, device: string, { why, message }: ForwardEnd): number {
  if (why !== 'closed') context.say(`errand: ${clean(device)}: ${why === 'revoked' ? `${SAID[why]}${message === undefined ? '' : `: ${message}`}` : SAID[why]}`)
  return CODES[why]
}
