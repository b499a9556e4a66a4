/**
 * Opens the exec face: one HTTP upgrade, written by hand on a bare socket so that a command line needs no HTTP client to run a command.
 * The first frames may follow the request at once: the node reads them after it has switched, which saves a round trip.
 */

import type { Socket } from 'node:net'
import { LOCAL } from '../../protocols/local/frames.ts'
import { systemClock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { SocketLink } from '../base/socket-link.ts'
import type { Faces } from './exec-options.ts'
import { checkVersion, faultOf, gone } from './fault.ts'
import { QuickLink } from './quick-link.ts'
import type { Where } from './where.ts'

const MAX_HEAD_BYTES = 16_384
/** One read of a socket; more would only move the back pressure away from the command. */
const READ_AHEAD_BYTES = 1 << 16

interface Face {
  readonly link: QuickLink
  readonly socket: Socket
}

/** Below the time that a node waits for the request on an open connection. */
const SPARE_MS = 8_000

/** Connections to the exec face. A program that runs command after command finds the next one open already: one, for seconds, used once. */
export class ExecFaces implements Faces {
  #spare: (Face & { readonly cancel: () => void }) | undefined
  #taken = 0

  constructor(private readonly where: Where) {}

  get socketPath(): string {
    return this.where.name
  }

  take(): Face {
    this.#taken++
    const spare = this.#spare
    this.#spare = undefined
    spare?.cancel()
    if (spare === undefined || spare.socket.destroyed || spare.socket.readableEnded) return openExec(this.where)
    spare.socket.ref()
    return spare
  }

  /** Opens the next connection, from the second command on: a single one does not pay for it. */
  prepare(): void {
    if (this.#taken < 2 || this.#spare !== undefined || !this.where.isQuiet) return
    const face = openExec(this.where)
    face.socket.unref()
    this.#spare = { ...face, cancel: systemClock.after(SPARE_MS, () => this.close()) }
  }

  close(): void {
    this.#spare?.cancel()
    this.#spare?.socket.destroy()
    this.#spare = undefined
  }
}

/** @returns a link that is not open yet: the first `read` reports a missing node, a refusal or a version that is too new. */
function openExec(where: Where): Face {
  const socket = where.open()
  const plain = new SocketLink(socket, new Uint8Array(), READ_AHEAD_BYTES)
  socket.write(requestTo(where))
  const link = new QuickLink(
    {
      source: switched(plain.source),
      write: (bytes) => plain.write(bytes),
      abort: () => plain.abort(),
    },
    LOCAL.maxFrameBytes,
  )
  return { link, socket }
}

function requestTo({ headers }: Where): string {
  const all = { ...headers, connection: 'Upgrade', upgrade: LOCAL.upgrade, 'x-errand-api': LOCAL.version }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  return ['GET /api/runtime/exec HTTP/1.1', ...lines, '\r\n'].join('\r\n')
}

/** The bytes behind `101 Switching Protocols`. @throws ErrandError what the node answered instead. */
async function* switched(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let head = Buffer.alloc(0)
  let status: number | undefined
  for await (const chunk of source) {
    if (status === 101) {
      yield chunk
      continue
    }
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0 && head.length > MAX_HEAD_BYTES) throw new ErrandError('BAD_ANSWER', 'what answers on the socket is not an errand node')
    if (end < 0 || status !== undefined) continue
    status = statusOf(head.toString('latin1', 0, end))
    const rest = head.subarray(end + 4)
    if (status === 101 && rest.length > 0) yield rest
    head = rest
  }
  if (status === undefined) throw gone()
  if (status !== 101) throw faultOf(status, head.toString())
}

function statusOf(head: string): number {
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1])
  checkVersion(/^x-errand-api: *(\d+)/im.exec(head)?.[1])
  return status
}
