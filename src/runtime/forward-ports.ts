/** What forwards need of the rest of the house. */

import type { FrameLink } from '../base/frames.ts'
import type { Pipe } from '../base/pipe.ts'
import type { ExecCaller } from './exec-admission.ts'

/** TCP of this machine. */
export interface Network {
  /** @throws NO_SUCH_HOST */
  lookup(name: string): Promise<readonly (readonly number[])[]>
  /** @throws CONNECT_FAILED */
  connect(ip: string, port: number, o: { signal: AbortSignal }): Promise<Pipe>
  /** @throws CANNOT_LISTEN */
  listen(ip: string, port: number, taken: (pipe: Pipe) => void): Promise<Listening>
  ownAddresses(): readonly (readonly number[])[]
}

export interface Listening {
  readonly address: string
  readonly port: number
  close(): void
}

/** Who opened a forward stream, and the way back to them. */
export interface ForwardCaller extends ExecCaller {
  /** A stream of the same kind to the caller, on the same connection. @throws LINK_CLOSED */
  readonly back: (o: { signal: AbortSignal }) => Promise<FrameLink>
}
