/** The real program, started as a user starts it: its own process, an environment of its own, everything it said kept. */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const PROGRAM = fileURLToPath(new URL('../../dist/errand.cjs', import.meta.url))

/** How a process ended and what it said. */
export interface Ran {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** From its start to its end. */
  readonly tookMs: number
}

export interface StartOptions {
  readonly env: NodeJS.ProcessEnv
  /** Bytes for stdin; its end follows. Without it stdin is empty. */
  readonly stdin?: string
  readonly uid?: number
}

/** A process that runs; `ended` never rejects. */
export class Running {
  readonly ended: Promise<Ran>
  #stdout = ''
  #stderr = ''
  readonly #lines: { resolve: (line: string | undefined) => void }[] = []

  constructor(
    readonly child: ChildProcess,
    stdin: string | undefined,
  ) {
    const began = performance.now()
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      this.#tell()
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text))
    child.stdin?.on('error', () => undefined).end(stdin ?? '')
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => {
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr, tookMs: performance.now() - began })
        for (const { resolve: tell } of this.#lines.splice(0)) tell(undefined)
      })
    })
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  get isOver(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  /** The first whole line of stdout; undefined when the process ended without one. */
  firstLine(): Promise<string | undefined> {
    return new Promise((resolve) => {
      if (this.isOver) return resolve(firstLineOf(this.#stdout))
      this.#lines.push({ resolve })
      this.#tell()
    })
  }

  /** Sends the signal and waits for the end. */
  async end(signal: NodeJS.Signals): Promise<Ran & { readonly stoppedInMs: number }> {
    const began = performance.now()
    if (!this.isOver) this.child.kill(signal)
    const ran = await this.ended
    return { ...ran, stoppedInMs: performance.now() - began }
  }

  #tell(): void {
    const line = firstLineOf(this.#stdout)
    if (line === undefined) return
    for (const { resolve } of this.#lines.splice(0)) resolve(line)
  }
}

function firstLineOf(text: string): string | undefined {
  const end = text.indexOf('\n')
  return end < 0 ? undefined : text.slice(0, end)
}

export function startProgram(args: readonly string[], { env, stdin, uid }: StartOptions): Running {
  const child = spawn(process.execPath, [PROGRAM, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'], ...(uid === undefined ? {} : { uid, gid: uid }) })
  return new Running(child, stdin)
}

/** What a command printed with --json. The type is the caller's claim about the contract; tests look at every field they use. */
export function jsonOf<T>(ran: Pick<Ran, 'stdout' | 'stderr' | 'code'>): T {
  try {
    return JSON.parse(ran.stdout)
  } catch {
    throw new Error(`no JSON on stdout (exit ${ran.code}): ${ran.stdout.slice(0, 500)}\nstderr: ${ran.stderr.slice(-1_000)}`)
  }
}

/** The same for commands that print one document a line. */
export function jsonLinesOf<T>(ran: Pick<Ran, 'stdout'>): T[] {
  return ran.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line): T => JSON.parse(line))
}

/** The error document that `--json` prints. */
export interface Failure {
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string; readonly source: string; readonly [field: string]: unknown }
}

export function failureOf(ran: Pick<Ran, 'stdout' | 'stderr' | 'code'>): Failure['error'] {
  return jsonOf<Failure>(ran).error
}
