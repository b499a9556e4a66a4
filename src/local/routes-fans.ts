/** Routes for one command on many devices. Run attached, it goes over the exec face. */
import * as v from 'valibot'
import { ChooseRequest, ChosenView, FanRequest, FanStand, FanView } from '../../protocols/local/fans.ts'
import { Text } from '../../protocols/wire.ts'
import { get, json, post, type Route, route } from './route.ts'

const FanPath = v.object({ task: Text(64) })

export const FAN_ROUTES: readonly Route[] = [
  route(
    post('/api/runtime/fans/choose', 'Which devices a command would go to that names none; runs nothing.', json(ChosenView)),
    { body: ChooseRequest },
    ({ runtime, body }) => runtime.fans.choose(body),
  ),
  route(
    post('/api/runtime/fans', 'Hands one command to many devices: a task each, under one that is the whole.', json(FanView)),
    { body: FanRequest },
    ({ runtime, body }) => runtime.fans.submit(body),
  ),
  route(get('/api/runtime/fans/{task}', 'How each command of such a task stands.', json(FanStand)), { params: FanPath }, ({ runtime, params }) =>
    runtime.fans.stand(params.task),
  ),
]
