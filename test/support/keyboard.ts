/** The program on a terminal that a test holds: a PTY of our own, and what xterm makes of what is written to it. */
import xterm from '@xterm/headless'
import { systemClock } from '../../src/base/clock.ts'
import { Pty, ptyModule } from '../../src/exec/terminal.ts'
import { PROGRAM } from './program.ts'
import { until } from './until.ts'

const SIZE = { columns: 100, rows: 30 }
const SCROLLBACK = 1_000

export interface KeyboardEnd {
  readonly code: number | null
  readonly signal: string | null
}

export class Keyboard implements AsyncDisposable {
  readonly ended: Promise<KeyboardEnd>
  readonly #display = new xterm.Terminal({ cols: SIZE.columns, rows: SIZE.rows, scrollback: SCROLLBACK, allowProposedApi: true })
  #shown = ''
  #read = 0
  #isOver = false

  private constructor(private readonly pty: Pty) {
    pty.socket.on('error', () => undefined)
    const closed = new Promise((resolve) => pty.socket.once('close', resolve))
    pty.socket.on('data', (chunk: Buffer) => {
      const { bytes, isOver } = pty.read(chunk)
      this.#shown += Buffer.from(bytes).toString()
      this.#display.write(bytes)
      if (isOver) pty.socket.destroy()
    })
    this.ended = new Promise((resolve) => {
      pty.onExit((code, signal) => {
        this.#isOver = true
        pty.finish()
        void closed.then(() => resolve({ code, signal }))
      })
    })
  }

  static start(home: string, [command = '', ...rest]: readonly string[], env: NodeJS.ProcessEnv): Keyboard {
    const argv = [PROGRAM, command, '--home', home, ...rest]
    const terminal = { term: 'xterm-256color', ...SIZE }
    const known = Object.fromEntries(Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
    return new Keyboard(Pty.start(ptyModule(), { file: process.execPath, argv, env: known, cwd: process.cwd(), terminal, clock: systemClock }))
  }

  type(keys: string): void {
    this.pty.socket.write(keys)
  }

  resize(size: typeof SIZE): void {
    this.pty.resize(size)
    this.#display.resize(size.columns, size.rows)
  }

  /** Waits for bytes behind those that were waited for before. */
  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    const found = await until(`the terminal gets ${pattern}`, () => pattern.exec(this.#shown.slice(this.#read)) ?? undefined).catch((cause: unknown) => {
      throw new Error(`it got: ${JSON.stringify(this.#shown.slice(this.#read))}`, { cause })
    })
    this.#read += found.index + found[0].length
    return found
  }

  /** What a person sees now, line by line. */
  async screen(): Promise<string[]> {
    await new Promise<void>((resolve) => this.#display.write('', resolve))
    const { active } = this.#display.buffer
    return Array.from({ length: this.#display.rows }, (_, row) => active.getLine(active.viewportY + row)?.translateToString(true) ?? '')
  }

  /** Closes the window: the program hears SIGHUP. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOver) process.kill(this.pty.pid, 'SIGHUP')
    await this.ended
  }
}
