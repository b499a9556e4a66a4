/** What the HTTP API on TCP rests on, read once at the start: certificate, key, clients' CA, token. Refuses what others could have read or changed. */
import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { systemRandom } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Config } from './config.ts'
import { type Home, writeWhole } from './home.ts'

/** PEM chains and tokens; longer is another file. */
const MAX_API_FILE_BYTES = 256 * 1_024
const MIN_TOKEN_CHARS = 16
const TOKEN_BYTES = 32

export interface ApiSecrets {
  readonly tls: { readonly cert: string; readonly key: string; readonly clientCa: string | undefined } | undefined
  readonly token: string | undefined
  /** Where the token is, for people. */
  readonly tokenFile: string | null
}

/**
 * Who must prove who they are and has nothing to do it with gets a token of this node's making: `<home>/api.token`.
 * @throws API_FILE_MISSING, API_FILE_EXPOSED, API_FILE_NOT_OURS, BAD_API_FILE
 */
export function readApiSecrets({ transport: { api }, security }: Pick<Config, 'transport' | 'security'>, home: Home): ApiSecrets {
  const tls = api?.tls === undefined ? undefined : { cert: read('cert', api.tls.certPath), key: secret('key', api.tls.keyPath), clientCa: clientCaOf(api.tls) }
  const mustMake = api !== undefined && security.requireAuth && api.tokenPath === undefined && tls?.clientCa === undefined
  const tokenFile = mustMake ? ownToken(home) : api?.tokenPath
  return { tls, token: tokenFile === undefined ? undefined : tokenIn(tokenFile), tokenFile: tokenFile ?? null }
}

function clientCaOf({ clientCaPath }: { readonly clientCaPath: string | undefined }): string | undefined {
  return clientCaPath === undefined ? undefined : read('clientCa', clientCaPath)
}

function ownToken(home: Home): string {
  const file = home.at('api.token')
  if (!existsSync(file)) writeWhole(file, Buffer.from(`${Buffer.from(systemRandom(TOKEN_BYTES)).toString('base64url')}\n`))
  return file
}

function tokenIn(file: string): string {
  const token = secret('token', file).trim()
  if (token.length >= MIN_TOKEN_CHARS && /^[A-Za-z0-9._~+/-]+=*$/.test(token)) return token
  throw new ErrandError('BAD_API_FILE', `${file} holds no token`, {
    hint: `one line of ${MIN_TOKEN_CHARS} characters at least, of A-Z a-z 0-9 . _ ~ + / - =; for example: openssl rand -base64 32`,
  })
}

const WHAT = { cert: 'certificate', key: 'key', clientCa: 'CA of its clients', token: 'token' } as const
const SETTING = { cert: 'transport.api.tls.cert', key: 'transport.api.tls.key', clientCa: 'transport.api.tls.clientCa', token: 'transport.api.token' } as const

/** Others may see it, and must not be able to change it. */
function read(what: keyof typeof WHAT, path: string): string {
  return opened(what, path, 0o022)
}

/** Others must not even see it. */
function secret(what: keyof typeof WHAT, path: string): string {
  return opened(what, path, 0o077)
}

/** What is judged is what is read: one descriptor, so that no other file can be put in its place in between. */
function opened(what: keyof typeof WHAT, path: string, forbidden: number): string {
  const fd = open(what, path)
  try {
    const seen = fstatSync(fd)
    if (!seen.isFile() || seen.size > MAX_API_FILE_BYTES) throw new ErrandError('BAD_API_FILE', `${path} is no file that holds a ${WHAT[what]}`)
    if (process.platform !== 'win32') refuseExposed(what, path, { ...seen, forbidden })
    return readFileSync(fd, 'utf8')
  } finally {
    closeSync(fd)
  }
}

function open(what: keyof typeof WHAT, path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK) // a pipe would be waited for
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT' ? 'is not there' : `cannot be read: ${String(cause)}`
    throw new ErrandError('API_FILE_MISSING', `the HTTP API’s ${WHAT[what]}, ${path}, ${why}`, { hint: `${SETTING[what]} names it`, cause })
  }
}

function refuseExposed(what: keyof typeof WHAT, path: string, { mode, uid, forbidden }: { mode: number; uid: number; forbidden: number }): void {
  const own = process.getuid?.()
  if (uid !== own && uid !== 0)
    throw new ErrandError('API_FILE_NOT_OURS', `the HTTP API’s ${WHAT[what]}, ${path}, belongs to another user`, {
      hint: `chown it to the node’s user, ${own}`,
    })
  if ((mode & forbidden) === 0) return
  const isSecret = forbidden === 0o077
  throw new ErrandError('API_FILE_EXPOSED', `other users of this machine can ${isSecret ? 'read' : 'change'} the HTTP API’s ${WHAT[what]}, ${path}`, {
    hint: isSecret ? `chmod 600 ${path}; if somebody may have read it, make a new one` : `chmod go-w ${path}`,
  })
}
