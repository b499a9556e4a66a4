/**
 * The reader's end of a command's bulk: one TLS connection to the exec-host of the executor, with the key of one ticket. Client side
 * only. `node:tls` is loaded when the first ticket comes: most commands never print that much.
 */
import type { TLSSocket } from 'node:tls'
import { BULK, HOST_TAG } from '../../protocols/host/frames.ts'
import type { BulkOffer } from '../../protocols/local/messages.ts'
import { systemClock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { offsetBytes } from '../base/offset.ts'
import { showSigns } from '../base/sign-of-life.ts'
import { SocketLink } from '../base/socket-link.ts'
import { type QuickFrame, QuickLink } from './quick-link.ts'

/** Longer than that and the output has arrived by the other way. */
const CONNECT_MS = 3_000
const READ_AHEAD_BYTES = 1 << 18

export class BulkReader {
  readonly #link: QuickLink
  #isWaiting = false

  private constructor(private readonly socket: TLSSocket) {
    this.#link = new QuickLink(new SocketLink(socket, new Uint8Array(), READ_AHEAD_BYTES), BULK.maxFrameBytes)
  }

  /** @returns undefined when the executor cannot be reached there, or does not know the key. */
  static connect({ host, port, id, key }: BulkOffer): Promise<BulkReader | undefined> {
    const tls = process.getBuiltinModule('node:tls')
    return new Promise((resolve) => {
      const socket = tls.connect({
        ...{ host, port, minVersion: 'TLSv1.3', ciphers: BULK.ciphers, noDelay: true, timeout: CONNECT_MS },
        pskCallback: () => ({ psk: Buffer.from(key, 'hex'), identity: id }),
        // The key is the identity: whoever has it is the executor that gave it out over Noise. Who shows a certificate instead has not
        // proved the key, whatever authority signed it, and whatever NODE_TLS_REJECT_UNAUTHORIZED says.
        ...{ rejectUnauthorized: true, ca: [], checkServerIdentity: (_name: string, certificate: object) => keyOnly(certificate) },
      })
      const give = (): void => {
        socket.destroy()
        resolve(undefined)
      }
      socket.once('error', give).once('timeout', give)
      socket.once('secureConnect', () => {
        socket.off('error', give).off('timeout', give).setTimeout(0)
        resolve(new BulkReader(socket))
      })
    })
  }

  /** Pieces of output in order, from the offset on. @throws when the connection breaks, or falls silent, before the output is whole. */
  async *read(from: number): AsyncGenerator<QuickFrame> {
    void this.#link.write(HOST_TAG.follow, offsetBytes(from))
    void this.#link.write(HOST_TAG.alive) // from now on it is expected
    showSigns(this.socket, { clock: systemClock, say: () => void this.#link.write(HOST_TAG.alive), expects: () => this.#isWaiting })
    for (let frame = await this.#next(); frame !== undefined; frame = await this.#next()) {
      if (frame.tag === HOST_TAG.ended) return
      // Anything else says that bytes are missing here; the other way says which.
      if (frame.tag !== HOST_TAG.stdout && frame.tag !== HOST_TAG.stderr) break
      yield frame
    }
    throw new ErrandError('LINK_CLOSED', 'the bulk connection ended early')
  }

  async #next(): Promise<QuickFrame | undefined> {
    this.#isWaiting = true
    try {
      return await this.#link.read()
    } finally {
      this.#isWaiting = false
    }
  }

  close(): void {
    this.socket.destroy()
  }
}

function keyOnly(certificate: object): Error | undefined {
  return Object.keys(certificate).length === 0 ? undefined : new Error('a certificate where a key was agreed')
}
