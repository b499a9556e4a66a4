/** Streams of known bytes through `errand run`, hashed as they arrive, with the moments at which they did. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createCipheriv, createHash } from 'node:crypto'
import { CLEAN_ENV } from './support.ts'

const BLOCK_BYTES = 1 << 16

/** What is printed: so many bytes of a cipher's key stream, at a pace (0: as fast as can be), and an exit code of its own. */
export interface Printed {
  readonly bytes: number
  readonly bytesPerSecond: number
  readonly exitCode: number
}

const PRINTER = `
const [bytes, pace, code] = process.argv.slice(1).map(Number)
const cipher = require('crypto').createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16))
const piece = Buffer.alloc(pace === 0 ? ${BLOCK_BYTES} : Math.min(${BLOCK_BYTES}, Math.ceil(pace / 20)))
let left = bytes
const print = () => {
  if (left === 0) return (process.exitCode = code)
  const next = cipher.update(piece.subarray(0, Math.min(left, piece.length)))
  left -= next.length
  process.stdout.write(next, () => (pace === 0 ? setImmediate(print) : setTimeout(print, (next.length / pace) * 1000)))
}
print()`

export function printer({ bytes, bytesPerSecond, exitCode }: Printed): string[] {
  return [process.execPath, '-e', PRINTER, `${bytes}`, `${bytesPerSecond}`, `${exitCode}`]
}

export function hashOf(bytes: number): string {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16))
  const hash = createHash('sha256')
  const block = Buffer.alloc(BLOCK_BYTES)
  for (let left = bytes; left > 0; left -= block.length) hash.update(cipher.update(block.subarray(0, Math.min(left, block.length))))
  return hash.digest('hex')
}

export interface Arrived {
  readonly exitCode: number | null
  readonly bytes: number
  readonly sha256: string
  readonly stderr: string
}

export class StreamReader {
  readonly over: Promise<Arrived>
  readonly #child: ChildProcess
  readonly #hash = createHash('sha256')
  readonly #arrivals: number[] = []
  #bytes = 0
  #stderr = ''
  #waiting: { bytes: number; go: () => void }[] = []

  constructor(command: readonly string[]) {
    const [file = '', ...args] = command
    this.#child = spawn(file, args, { env: CLEAN_ENV, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#take(chunk))
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#stderr = `${this.#stderr}${chunk}`.slice(-2_048)))
    this.over = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (exitCode) => {
        resolve({ exitCode, bytes: this.#bytes, sha256: this.#hash.digest('hex'), stderr: this.#stderr.trim() })
        for (const { go } of this.#waiting.splice(0)) go()
      })
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Resolves when so much has arrived, or no more will. */
  arrived(bytes: number): Promise<void> {
    if (this.#bytes >= bytes || this.#child.exitCode !== null) return Promise.resolve()
    return new Promise((go) => this.#waiting.push({ bytes, go }))
  }

  /** The longest time without a byte between a moment and the last byte; null when all had arrived by then. */
  longestSilence(since: number): number | null {
    const after = this.#arrivals.filter((at) => at > since)
    if (after.length === 0) return null
    return Math.max(...after.map((at, i) => at - (after[i - 1] ?? since)))
  }

  end(): void {
    this.#child.kill('SIGKILL')
  }

  #take(chunk: Buffer): void {
    this.#hash.update(chunk)
    this.#bytes += chunk.length
    const now = performance.now()
    if (now - (this.#arrivals.at(-1) ?? 0) >= 1) this.#arrivals.push(now)
    const ready = this.#waiting.filter(({ bytes }) => this.#bytes >= bytes)
    this.#waiting = this.#waiting.filter(({ bytes }) => this.#bytes < bytes)
    for (const { go } of ready) go()
  }
}
