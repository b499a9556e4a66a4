/**
 * Anonymous pipes in plain Node: named ones that are made, opened at both ends and unlinked ahead of their command.
 * Pipes and not sockets, since a command may open `/dev/stdout`; and ahead, so that a command finds its descriptors ready.
 */
import { execFile } from 'node:child_process'
import { closeSync, constants, openSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { ErrandError } from '../base/errors.ts'

/** 64 pipes: a burst of 20 commands without waiting; making them takes 3 ms. */
const BATCH = 64
const LOW = 32

export interface Pipe {
  readonly reading: number
  readonly writing: number
}

interface Waiting {
  readonly count: number
  resolve(pipes: Pipe[]): void
  reject(fault: Error): void
}

export class SparePipes {
  readonly #ready: Pipe[] = []
  readonly #waiting: Waiting[] = []
  #made = 0
  #making = false

  /** @param directory ours alone, on a file system with named pipes. @param path where mkfifo is looked for. */
  constructor(
    private readonly directory: string,
    private readonly path: readonly string[],
  ) {
    this.#refill()
  }

  /** Resolves with so many fresh pipes, the caller's from then on. @throws SPAWN_FAILED when none can be made. */
  take(count: number): Promise<Pipe[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ count, resolve, reject })
      this.#serve()
    })
  }

  #serve(): void {
    let [next] = this.#waiting
    while (next !== undefined && this.#ready.length >= next.count) {
      this.#waiting.shift()
      next.resolve(this.#ready.splice(0, next.count))
      next = this.#waiting[0]
    }
    if (this.#ready.length < LOW || this.#waiting.length > 0) this.#refill()
  }

  #refill(): void {
    if (this.#making) return
    this.#making = true
    const names = Array.from({ length: BATCH }, () => join(this.directory, `${process.pid}-${this.#made++}`))
    execFile('mkfifo', ['-m', '600', ...names], { env: { PATH: this.path.join(':') } }, (cause) => {
      this.#making = false
      try {
        if (cause !== null) throw cause
        for (const name of names) this.#ready.push(openBoth(name))
        this.#serve()
      } catch (thrown) {
        const fault = cannotMake(thrown)
        for (const waiting of this.#waiting.splice(0)) waiting.reject(fault)
      }
    })
  }
}

export function closePipes(pipes: readonly Pipe[]): void {
  for (const { reading, writing } of pipes) {
    closeSync(reading)
    closeSync(writing)
  }
}

/** O_NONBLOCK so that the first open does not wait for the second. The child gets its end blocking: libuv sees to it. */
function openBoth(name: string): Pipe {
  const reading = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK)
  const writing = openSync(name, constants.O_WRONLY | constants.O_NONBLOCK)
  unlinkSync(name)
  return { reading, writing }
}

function cannotMake(cause: unknown): ErrandError {
  return new ErrandError('SPAWN_FAILED', `cannot make named pipes: ${cause instanceof Error ? cause.message : String(cause)}`, {
    hint: 'errand needs mkfifo (coreutils, busybox) and a home on a file system that has pipes',
    cause,
  })
}
