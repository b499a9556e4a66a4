/**
 * A command's stdin as it arrives: within its window, and in constant memory however it is cut. Credit goes back when the command has taken the bytes.
 * One write and one credit frame are under way at a time: a caller who sends crumbs, or reads no credit, must not make us keep a promise for each.
 */
import { EXEC, TAG } from '../../protocols/exec/messages.ts'
import { encode } from '../../protocols/wire.ts'
import { ErrandError } from '../base/errors.ts'
import type { FrameLink } from '../base/frames.ts'
import type { RunningCommand } from '../tasks/ports.ts'

export class Input {
  /** What came while a write was under way. Made when first needed. */
  #waiting: Buffer | undefined
  #waitingBytes = 0
  #pendingBytes = 0
  #isBusy = false
  #isEnded = false

  constructor(
    private readonly link: Pick<FrameLink, 'write'>,
    private readonly running: Pick<RunningCommand, 'stdin' | 'endStdin'>,
  ) {}

  /** @throws BAD_FRAME when more is sent than the window allows, or nothing: frames without bytes would be under no window at all. */
  take(bytes: Uint8Array): void {
    if (bytes.length === 0) throw new ErrandError('BAD_FRAME', 'a stdin frame without bytes')
    this.#pendingBytes += bytes.length
    if (this.#pendingBytes > EXEC.stdinWindowBytes) throw new ErrandError('BAD_FRAME', 'more stdin than the window allows')
    if (!this.#isBusy) return void this.#carry(bytes)
    this.#waiting ??= Buffer.allocUnsafe(EXEC.stdinWindowBytes)
    this.#waiting.set(bytes, this.#waitingBytes)
    this.#waitingBytes += bytes.length
  }

  /** No more will come; the command sees the end behind the last byte. */
  end(): void {
    this.#isEnded = true
    if (!this.#isBusy) this.running.endStdin()
  }

  async #carry(first: Uint8Array): Promise<void> {
    this.#isBusy = true
    try {
      for (let bytes = first; bytes.length > 0; bytes = this.#next()) {
        await this.running.stdin(bytes)
        this.#pendingBytes -= bytes.length
        await this.link.write(TAG.stdinCredit, encode({ bytes: bytes.length }))
      }
    } catch {
      // The caller is gone; the end of its stream stops the command.
    }
    this.#isBusy = false
    if (this.#isEnded) this.running.endStdin()
  }

  #next(): Uint8Array {
    const bytes = this.#waiting === undefined ? new Uint8Array() : new Uint8Array(this.#waiting.subarray(0, this.#waitingBytes))
    this.#waitingBytes = 0
    return bytes
  }
}
