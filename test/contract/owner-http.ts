/** What an owner asks, over the HTTP routes, as any program asks them. */
import type { LocalClient } from '../../src/local/client.ts'
import type { OwnerClient } from '../../src/local/runtime-client.ts'

type Approving = 'approvals' | 'approve' | 'deny' | 'requestRight'
type Sessions = 'openSession' | 'listSessions' | 'getSession' | 'closeSession'
/** The areas that the contract holds both faces to. */
export type Areas = Pick<OwnerClient, 'why' | 'grant' | 'listGrants' | 'call' | Approving | Sessions>

const PATH = '/api/runtime'

export function overHttp(client: LocalClient): Areas {
  const at = (area: string, id: string, act = ''): string => `${PATH}/${area}/${encodeURIComponent(id)}${act}`
  return {
    why: (request) => client.call('POST', `${PATH}/why`, request),
    grant: (request) => client.grant(request),
    listGrants: () => client.call('GET', `${PATH}/grants`),
    call: (method, path, body) => client.call(method, path, body),
    approvals: (o) => client.call('GET', `${PATH}/approvals${o?.mine === true ? '?mine=true' : ''}`),
    approve: (id, request) => client.call('POST', at('approvals', id, '/approve'), request ?? {}),
    deny: (id, request) => client.call('POST', at('approvals', id, '/deny'), request ?? {}),
    requestRight: (request) => client.call('POST', `${PATH}/approvals`, request),
    openSession: (request) => client.call('POST', `${PATH}/sessions`, request),
    listSessions: () => client.call('GET', `${PATH}/sessions`),
    getSession: (session) => client.call('GET', at('sessions', session)),
    closeSession: (session) => client.call('POST', at('sessions', session, '/close')),
  }
}
