/**
 * The daemon's half of the named pipes: spare names made ahead of time, and the ends it holds open.
 * Named pipes and not sockets: the child gets real pipes (`> /dev/stdout` works), its output reaches the daemon without a copy through
 * the host, and plain Node can open both ends. A name lives for a few milliseconds in a 0700 directory and is used once.
 */
import { closeSync, constants, openSync } from 'node:fs'
import { join } from 'node:path'
import { ErrandError } from '../base/errors.ts'
import type { Pipes } from './control.ts'

/** 96 names: a burst of 32 commands with stdin without waiting; making them takes 3 ms of the host's time. */
const BATCH = 96
const LOW = 48

/** Names of pipes that exist and that nobody has opened yet. */
export class SparePipes {
  #ready: string[] = []
  #made = 0
  #asked = false
  #waiting: { readonly count: number; resolve(names: string[]): void; reject(fault: Error): void }[] = []

  constructor(
    private readonly directory: string,
    private readonly make: (paths: string[]) => void,
  ) {
    this.#refill()
  }

  /** Resolves with `count` fresh names. @throws SPAWN_FAILED when none can be made. */
  take(count: number): Promise<string[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ count, resolve, reject })
      this.#serve()
    })
  }

  made(paths: readonly string[]): void {
    this.#asked = false
    this.#ready.push(...paths)
    this.#serve()
  }

  failed(fault: Error): void {
    this.#asked = false
    for (const waiting of this.#waiting.splice(0)) waiting.reject(fault)
  }

  #serve(): void {
    let [next] = this.#waiting
    while (next !== undefined && this.#ready.length >= next.count) {
      next.resolve(this.#ready.splice(0, next.count))
      this.#waiting.shift()
      next = this.#waiting[0]
    }
    if (this.#ready.length < LOW || this.#waiting.length > 0) this.#refill()
  }

  #refill(): void {
    if (this.#asked) return
    this.#asked = true
    this.make(Array.from({ length: BATCH }, () => join(this.directory, String(this.#made++))))
  }
}

/** The ends of one command's pipes that the daemon keeps. */
export interface HeldEnds {
  readonly paths: Pipes
  readonly stdout: number
  readonly stderr: number
  readonly stdin: number | null
  /** Call once the child has its own ends, or never will: from then on the daemon notices that stdin was closed. */
  release(): void
  /** Closes everything; for a command that did not start. */
  close(): void
}

/** Opens the daemon's ends before the host opens the child's, so that neither open can block. */
export function holdEnds(names: readonly string[]): HeldEnds {
  const [stdout, stderr, stdin] = names
  if (stdout === undefined || stderr === undefined) throw new ErrandError('SPAWN_FAILED', 'no pipes for the output')
  const opened: number[] = []
  const open = (path: string, flag: number): number => {
    const fd = openSync(path, flag | constants.O_NONBLOCK)
    opened.push(fd)
    return fd
  }
  const close = (): void => {
    for (const fd of opened.splice(0)) closeSync(fd)
  }
  try {
    const ends = { stdout: open(stdout, constants.O_RDONLY), stderr: open(stderr, constants.O_RDONLY) }
    if (stdin === undefined) return { ...ends, paths: { stdin: null, stdout, stderr }, stdin: null, release: () => undefined, close }
    // a pipe can be opened for writing only while it has a reader: this one stands in until the child holds its end
    const standIn = open(stdin, constants.O_RDWR)
    const release = (): void => {
      opened.splice(opened.indexOf(standIn), 1)
      closeSync(standIn)
    }
    return { ...ends, paths: { stdin, stdout, stderr }, stdin: open(stdin, constants.O_WRONLY), release, close }
  } catch (cause) {
    close()
    throw new ErrandError('SPAWN_FAILED', `cannot open the command's pipes: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}
