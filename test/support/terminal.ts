/**
 * The program on a terminal of its own: `script` of util-linux gives it a PTY, so that it asks as it asks a person. What it shows is read as
 * text; what is typed goes in as keys.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { stripVTControlCharacters } from 'node:util'
import { PROGRAM } from './program.ts'
import { until } from './until.ts'

export interface Shown {
  readonly code: number | null
  /** Everything on the screen, colours and carriage returns left out. */
  readonly screen: string
}

export class Terminal implements AsyncDisposable {
  readonly ended: Promise<Shown>
  #screen = ''
  #read = 0

  private constructor(private readonly child: ChildProcess) {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#screen += plain(text)))
    child.stdin?.on('error', () => undefined)
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve({ code, screen: this.#screen }))
    })
  }

  static start(home: string, [command = '', ...rest]: readonly string[], env: NodeJS.ProcessEnv): Terminal {
    const words = [process.execPath, PROGRAM, command, '--home', home, ...rest].map((word) => `'${word.replaceAll("'", `'\\''`)}'`)
    const shell = { SHELL: '/bin/sh', TERM: 'xterm', COLUMNS: '200' }
    return new Terminal(spawn('script', ['-qefc', words.join(' '), '/dev/null'], { env: { ...env, ...shell }, stdio: ['pipe', 'pipe', 'inherit'] }))
  }

  get screen(): string {
    return this.#screen
  }

  /** Waits until the screen shows it behind what was waited for before. @returns the match. */
  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    const found = await until(`the screen shows ${pattern}`, () => pattern.exec(this.#screen.slice(this.#read)) ?? undefined).catch((cause: unknown) => {
      throw new Error(`this is on the screen: ${this.#screen}`, { cause })
    })
    this.#read += found.index + found[0].length
    return found
  }

  type(line: string): void {
    this.child.stdin?.write(`${line}\r`)
  }

  /** Ends what still runs there. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL')
    await this.ended
  }
}

function plain(text: string): string {
  return stripVTControlCharacters(text).replaceAll('\r', '')
}
