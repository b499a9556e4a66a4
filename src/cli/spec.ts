/** `[BIND:]PORT:HOST:PORT`, as OpenSSH writes it. */
import { hostOf } from '../base/address.ts'
import { ErrandError } from '../base/errors.ts'

export interface Spec {
  /** Where it is listened. */
  readonly bind: string
  /** 0: any. */
  readonly port: number
  readonly host: string
  readonly toPort: number
}

const SPEC = /^(?:(\[[^\]]+\]|[^:[\]]*):)?(\d{1,5}):(\[[^\]]+\]|[^:[\]]+):(\d{1,5})$/
const MAX_PORT = 65_535

/** @throws USAGE */
export function specOf(text: string): Spec {
  const [, bind = '127.0.0.1', port = '', host = '', toPort = ''] = SPEC.exec(text) ?? []
  const at = hostOf(bind === 'localhost' ? '127.0.0.1' : bind)
  const to = hostOf(host)
  if (at === undefined || at.family === 0 || to === undefined || Number(port) > MAX_PORT || Number(toPort) > MAX_PORT || Number(toPort) === 0)
    throw new ErrandError('USAGE', `${JSON.stringify(text.slice(0, 128))} is no forward`, {
      hint: 'write [BIND:]PORT:HOST:PORT, like 8080:localhost:80 or [::1]:8080:10.0.0.7:80',
    })
  return { bind: at.host, port: Number(port), host: to.host, toPort: Number(toPort) }
}
