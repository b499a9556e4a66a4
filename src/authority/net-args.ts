/** What an invocation of `/net/forward` declares, and that everything in it follows from its host and port. */
import * as v from 'valibot'
import { type Host, hostOf } from '../base/address.ts'

export const NET_MODES = ['connect', 'listen'] as const
export type NetMode = (typeof NET_MODES)[number]

const Byte = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255))

export const NetForwardArgs = v.pipe(
  v.strictObject({
    /** The device connects to it, or listens on it. */
    mode: v.picklist(NET_MODES),
    /** In its one form. */
    host: v.pipe(v.string(), v.minLength(1), v.maxLength(253)),
    /** 0 only where it listens: any. */
    port: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535)),
    /** What `host` is, so that policies can bound it. */
    kind: v.picklist(['name', 'address', 'loopback', 'link-local', 'any', 'never']),
    family: v.picklist([0, 4, 6]),
    ip: v.pipe(v.array(Byte), v.maxLength(16)),
  }),
  v.check(({ host, kind, family, ip }) => isWhole({ host, kind, family, ip }), 'the host is not in its one form, or the rest does not follow from it'),
  v.check(({ mode, kind }) => kind !== 'never' && (mode === 'listen' || kind !== 'any'), 'nobody connects to such an address'),
  v.check(({ mode, port }) => mode === 'listen' || port > 0, 'a connection needs a port'),
  v.check(({ mode, kind, family }) => mode === 'connect' || family !== 0 || kind === 'loopback', 'it is listened on an address, not on a name'),
)
export type NetForwardArgs = v.InferOutput<typeof NetForwardArgs>

function isWhole(said: Host): boolean {
  const seen = hostOf(said.host)
  return (
    seen !== undefined &&
    seen.host === said.host &&
    seen.kind === said.kind &&
    seen.family === said.family &&
    seen.ip.length === said.ip.length &&
    seen.ip.every((byte, at) => byte === said.ip[at])
  )
}

/** @returns undefined where `host` is neither an address nor a name. */
export function netArgs(mode: NetMode, host: string, port: number): NetForwardArgs | undefined {
  const seen = hostOf(host)
  return seen && { mode, ...seen, ip: [...seen.ip], port }
}
