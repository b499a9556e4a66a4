/** The two directions of a running command's pipes, each with back pressure and nothing read ahead. */
import type { Socket } from 'node:net'

/** One output pipe. Hands chunks over in order and reads on only when the taker is ready. */
export class OutputPipe {
  #waiting = false
  #over = false

  /**
   * @param socket owned from here on; nothing was read from it.
   * @param take gets each chunk (the bytes are the taker's); a promise pauses the pipe and must not reject.
   * @param closed called once, after end of file and after the last chunk was taken, or after `close`.
   */
  constructor(
    private readonly socket: Socket,
    private readonly take: (chunk: Uint8Array) => Promise<void> | undefined,
    private readonly closed: () => void,
  ) {
    this.socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.socket.on('error', () => undefined) // 'close' follows
    this.socket.on('close', () => this.#settle())
  }

  /** True while the taker holds the pipe back. */
  get waiting(): boolean {
    return this.#waiting
  }

  get isClosed(): boolean {
    return this.#over
  }

  /** Stops waiting for the taker; what comes from now on goes through `take` again, which may drop it. */
  release(): void {
    this.#waiting = false
    this.socket.resume()
    if (this.socket.closed) this.#settle()
  }

  /** Reads no more; writers get EPIPE. */
  close(): void {
    this.#waiting = false
    this.socket.destroy()
  }

  #read(chunk: Uint8Array): void {
    const wait = this.take(chunk)
    if (wait === undefined) return
    this.#waiting = true
    this.socket.pause()
    void wait.then(() => this.release())
  }

  #settle(): void {
    if (this.#over || this.#waiting) return
    this.#over = true
    this.closed()
  }
}

/** The command's stdin. A command that closed it takes and drops everything, as it would under a shell. */
export class InputPipe {
  /** @param socket a terminal's: it carries the output too, and is owned by that. @param farewell what says that no more comes, where the end of the stream cannot. */
  constructor(
    private readonly socket: Socket,
    private readonly farewell?: Uint8Array,
  ) {
    this.socket.on('error', () => undefined) // EPIPE: the command reads no more
  }

  /** Resolves when the pipe has taken the bytes, or will never take any. */
  write(chunk: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      if (!this.socket.writable) return resolve()
      this.socket.write(chunk, () => resolve())
    })
  }

  end(): void {
    if (this.farewell === undefined) this.socket.end()
    else if (this.socket.writable) this.socket.write(this.farewell)
  }

  close(): void {
    this.socket.destroy()
  }
}
