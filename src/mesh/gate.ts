/** One gate before every protocol, and what is said there to a device that is out. */
import type { Connection, Libp2p, Stream, StreamMiddleware } from '@libp2p/interface'
import { ErrandError } from '../base/errors.ts'

export function ended(at: number): ErrandError {
  return new ErrandError('GUEST_ENDED', `the time of this guest was over at ${new Date(at).toISOString()}`, {
    hint: 'ask whoever invited it for a new code: errand invite --guest',
  })
}

export function removed(who: string): ErrandError {
  return new ErrandError('REMOVED', `${who} removed from this mesh by an owner`, { hint: 'an owner can admit a removed device again: errand invite' })
}

/**
 * Puts one middleware before every protocol, present and future. `libp2p.use()` cannot: libp2p 3.3 pushes each inbound
 * stream's handler onto the registered array, so the second stream would run the first one's handler again; a fresh array per stream avoids it.
 */
export function gateEveryStream(libp2p: Libp2p, gate: (stream: Stream, connection: Connection) => Promise<void>): void {
  const { components } = libp2p as unknown as { components: { registrar: { getMiddleware(protocol: string): StreamMiddleware[] } } }
  components.registrar.getMiddleware = () => [
    async (stream, connection, next) => {
      await gate(stream, connection)
      next(stream, connection)
    },
  ]
}
