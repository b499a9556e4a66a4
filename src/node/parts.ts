/** What a node is started with: everything that is decided before its first room opens. */
import type { JoinRequest, JoinView, ListenRequest, Status } from '../../protocols/local/messages.ts'
import type { Identity } from '../identity/identity.ts'
import type { KnownMesh } from '../runtime/joining.ts'
import type { Config } from './config.ts'
import type { Home } from './home.ts'

export type Log = (event: string, facts: Record<string, unknown>) => void
type BroughtSet = 'orders' | 'members' | 'addresses' | 'revocations' | 'delegations'

export interface NodeParts {
  readonly home: Home
  readonly config: Config
  readonly listen: readonly string[]
  readonly device: Identity
  readonly mesh: KnownMesh
  readonly membership: Uint8Array
  /** Records that founding or joining brought along; empty at a restart. */
  readonly brought: readonly (readonly [set: BroughtSet, bytes: Uint8Array])[]
  /** Addresses, with PeerId, where a device of this mesh was met a moment ago. */
  readonly met?: readonly string[]
  /** This device founds or joins the mesh right now, so an empty database is what is expected. */
  readonly isNewHere: boolean
  readonly version: string
  /** Of the commands that run here: the user's. */
  readonly umask: number
  /** The bundled exec-host program. */
  readonly hostFile: string
  /** The bundled thread for UCAN 0.8 tokens. */
  readonly bridgeFile: string
  /** Monotonic milliseconds. */
  readonly startedAt: number
  readonly log: Log
  /** Where the HTTP API listens at the moment. */
  readonly api: () => Status['api']
  readonly join: (request: JoinRequest) => Promise<JoinView>
  readonly relisten: (request: ListenRequest) => Promise<{ addresses: string[] }>
  readonly shutdown: (request: { drainMs?: number | undefined }) => void
}
