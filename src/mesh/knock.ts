/**
 * Finds the first of some addresses behind which somebody takes a TCP connection, and asks all of them anew twice a second: a connect that
 * was begun while the link was cut is repeated by the system after 1, 3, 7 … seconds, and a list of addresses is dialled one by one.
 * Sends no byte and proves nothing; whoever answers is dialled next.
 */
import { createConnection } from 'node:net'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../base/clock.ts'

const KNOCK_EVERY_MS = 500
/** A round trip on the slowest of links. */
const KNOCK_MS = 3_000

export interface KnockOn {
  readonly clock: Clock
  /** Ends it. */
  readonly signal: AbortSignal
}

/** Resolves with the first address that answers; never when none does. Leaves an ordinary dial the first half second. */
export function knocked(addresses: () => Promise<readonly Multiaddr[]>, { clock, signal }: KnockOn): Promise<Multiaddr> {
  return new Promise((resolve) => {
    const round = async (): Promise<void> => {
      if (signal.aborted) return
      clock.after(KNOCK_EVERY_MS, () => void round().catch(() => undefined))
      for (const address of await addresses()) knockAt(address, signal, () => resolve(address))
    }
    const cancel = clock.after(KNOCK_EVERY_MS, () => void round().catch(() => undefined))
    signal.addEventListener('abort', cancel, { once: true })
  })
}

function knockAt(address: Multiaddr, signal: AbortSignal, answered: () => void): void {
  const [, family, host, transport, port] = address.toString().split('/')
  if (signal.aborted || transport !== 'tcp' || host === undefined || (family !== 'ip4' && family !== 'ip6')) return
  const socket = createConnection({ host, port: Number(port) })
  const leave = (): void => void socket.destroy()
  const over = AbortSignal.any([signal, AbortSignal.timeout(KNOCK_MS)])
  over.addEventListener('abort', leave, { once: true })
  socket.once('connect', () => {
    leave()
    answered()
  })
  socket.once('error', leave)
  socket.once('close', () => over.removeEventListener('abort', leave))
}
