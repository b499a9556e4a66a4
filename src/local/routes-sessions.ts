/** Routes for sessions. In one, a caller sees and closes that one only. */
import * as v from 'valibot'
import { SessionClosed, SessionOpened, SessionRequest, SessionView } from '../../protocols/local/sessions.ts'
import { Text } from '../../protocols/wire.ts'
import { json, type Route, route } from './route.ts'

export const SessionPath = v.object({ session: Text(128) })

export const SESSION_ROUTES: readonly Route[] = [
  route(
    {
      ...{ method: 'POST', path: '/api/runtime/sessions', answer: json(SessionOpened) },
      does: 'Opens a session: rights of its own, for a while. Its token is told once.',
    },
    { body: SessionRequest },
    ({ runtime, body }) => runtime.sessions.open(body),
  ),
  route(
    { method: 'GET', path: '/api/runtime/sessions', does: 'Sessions that are open, and the last ones that ended.', answer: json(v.array(SessionView)) },
    {},
    ({ runtime }) => runtime.sessions.list(),
  ),
  route(
    { method: 'GET', path: '/api/runtime/sessions/{session}', does: 'One session, by its id, a part of it, or its name.', answer: json(SessionView) },
    { params: SessionPath },
    ({ runtime, params }) => runtime.sessions.get(params.session),
  ),
  route(
    { method: 'POST', path: '/api/runtime/sessions/{session}/close', does: 'Ends a session and all that runs in it.', answer: json(SessionClosed) },
    { params: SessionPath },
    ({ runtime, params }) => runtime.sessions.close(params.session),
  ),
]
