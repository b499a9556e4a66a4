/** Questions about invites and short codes that few programs ask; beside the client, which every start of the command line loads. */
import type { InviteAnswer, InviteProgressView, PairRequest, PairView } from '../../protocols/local/messages.ts'
import { JsonDoor } from './http.ts'
import { atSocket } from './where.ts'

const WATCH_MS = 30_000
/** Looking for the inviter, and one try at each that may be it. */
const PAIR_MS = 60_000

export interface InviteCalls {
  /** What has become of an invite; with `after`, the next that does, within 20 s. */
  watchInvite(id: string, after?: number): Promise<InviteProgressView>
  /** Lets in, or not, the device that waits with an invite. */
  answerInvite(id: string, answer: InviteAnswer): Promise<InviteProgressView>
  /** The one try of a short code. */
  pair(request: PairRequest): Promise<PairView>
}

/** Connects when it has to; lasts as long as the program. */
export function inviteCalls(socketPath: string): InviteCalls {
  const door = new JsonDoor(atSocket(socketPath))
  const at = (id: string): string => `/api/runtime/invites/${encodeURIComponent(id)}`
  const within = (ms: number): AbortSignal => AbortSignal.timeout(ms)
  return {
    watchInvite: (id, after) => door.ask({ method: 'GET', path: `${at(id)}${after === undefined ? '' : `?after=${after}`}`, signal: within(WATCH_MS) }),
    answerInvite: (id, answer) => door.ask({ method: 'POST', path: `${at(id)}/answer`, body: answer, signal: within(WATCH_MS) }),
    pair: (request) => door.ask({ method: 'POST', path: '/api/runtime/pair', body: request, signal: within(PAIR_MS) }),
  }
}
