/**
 * A command on a terminal of its own: a session whose controlling terminal is the slave of a pty, and the master for us. Made by the
 * native half of `@lydell/node-pty`; its JavaScript half closes the master by a clock and so loses the last output of a command that
 * ends. Here the slave is held open until a mark, written behind everything, has come out of the master (docs/decisions/0038).
 */
import { randomBytes } from 'node:crypto'
import { chownSync, closeSync, constants as open, openSync, write } from 'node:fs'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { constants } from 'node:os'
import { ReadStream } from 'node:tty'
import type { Terminal, WindowSize } from '../../protocols/task/messages.ts'
import type { Clock } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { UntilMark } from './until-mark.ts'

/** The rest of what the native half's `fork` takes: user and group (-1: ours), whether the terminal is UTF-8, a helper (macOS), and whom to tell. */
type Told = [uid: number, gid: number, isUtf8: boolean, helper: string, onExit: (code: number, signal: number) => void]

/** What is used of `pty.node`, 1.1.0. */
interface Native {
  fork(...args: [file: string, argv: readonly string[], env: readonly string[], cwd: string, columns: number, rows: number, ...Told]): {
    readonly fd: number
    readonly pid: number
    readonly pty: string
  }
  resize(fd: number, columns: number, rows: number): void
}

export interface OnTerminal {
  readonly file: string
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly terminal: Terminal
  readonly clock: Clock
  /** Whose the terminal is to be; absent: the node's user. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined
}

export type ToldOfExit = (code: number | null, signal: string | null) => void

/** What ends the input of a program that reads lines (termios VEOF). */
const END_OF_INPUT = Uint8Array.of(0x04)
const MARK_BYTES = 16
const AGAIN_MS = 20

/** Where the native half is found, for the host, which may be bundled elsewhere. @returns undefined where the package has none for this machine. */
export function ptyModule(): string | undefined {
  try {
    const path = createRequire(import.meta.url).resolve('@lydell/node-pty/requireBinary.js')
    nativeAt(path)
    return path
  } catch {
    return undefined
  }
}

function nativeAt(path: string): Native {
  return (createRequire(path)(path) as { requireBinary(file: string): Native }).requireBinary('pty.node')
}

export class Pty {
  readonly pid: number
  /** What the command prints comes out, what is typed goes in. */
  readonly socket: Socket
  readonly endOfInput = END_OF_INPUT
  readonly #native: Native
  readonly #clock: Clock
  readonly #master: number
  readonly #slave: number
  #until: UntilMark | undefined
  #exit: Parameters<ToldOfExit> | undefined
  #toldOfExit: ToldOfExit | undefined
  #isClosed = false
  #isWriting = false

  private constructor(native: Native, { file, argv, env, cwd, terminal, clock, user }: OnTerminal) {
    this.#native = native
    this.#clock = clock
    const { term, columns, rows } = terminal
    const words = Object.entries({ ...env, TERM: term }).map(([name, value]) => `${name}=${value}`)
    const exited = (code: number, signal: number): void => this.#exited(signal === 0 ? [code, null] : [null, nameOf(signal)])
    const { fd, pid, pty } = native.fork(file, argv, words, cwd, columns, rows, -1, -1, true, '', exited)
    this.pid = pid
    this.#master = fd
    try {
      if (user !== undefined) chownSync(pty, user.uid, user.gid)
      this.#slave = openSync(pty, open.O_RDWR | open.O_NOCTTY | open.O_NONBLOCK)
      this.socket = new ReadStream(fd)
    } catch (cause) {
      closeSync(fd) // it hears SIGHUP
      process.kill(pid, 'SIGKILL') // nobody could read it, or end it
      throw cause
    }
    this.socket.once('close', () => this.#close())
  }

  /** @param module what `ptyModule` found. @throws ErrandError UNSUPPORTED or SPAWN_FAILED; then nothing runs. */
  static start(module: string | undefined, on: OnTerminal): Pty {
    if (module === undefined)
      throw new ErrandError('UNSUPPORTED', 'this device has no terminals to give', {
        hint: `there is no @lydell/node-pty for ${process.platform}-${process.arch} here; run it without -t`,
      })
    try {
      return new Pty(nativeAt(module), on)
    } catch (cause) {
      throw asErrand(cause, 'SPAWN_FAILED')
    }
  }

  /** Once; at once when it is gone already. */
  onExit(told: ToldOfExit): void {
    this.#toldOfExit = told
    if (this.#exit !== undefined) told(...this.#exit)
  }

  resize({ columns, rows }: WindowSize): void {
    if (!this.#isClosed) this.#native.resize(this.#master, columns, rows)
  }

  /** Nobody is left who prints: what comes before the mark is all there is. Not where the terminal is stopped (Ctrl-S): nothing more comes then. */
  finish(): void {
    if (this.#until !== undefined) return
    const mark = Buffer.from(randomBytes(MARK_BYTES).toString('hex').toUpperCase(), 'latin1') // goes through the terminal as it is
    this.#until = new UntilMark(mark)
    this.#mark(mark)
  }

  /** A chunk without what is ours in it. */
  read(chunk: Uint8Array): { readonly bytes: Uint8Array; readonly isOver: boolean } {
    return this.#until?.push(chunk) ?? { bytes: chunk, isOver: false }
  }

  #mark(rest: Uint8Array): void {
    if (this.#isClosed) return
    this.#isWriting = true
    write(this.#slave, rest, (error, written) => {
      this.#isWriting = false
      if (this.#isClosed) return closeSync(this.#slave)
      const left = error === null ? rest.subarray(written) : rest
      if (left.length > 0) this.#clock.after(AGAIN_MS, () => this.#mark(left)) // full: its reader is slow
    })
  }

  #exited(how: Parameters<ToldOfExit>): void {
    this.#exit = how
    this.#toldOfExit?.(...how)
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (!this.#isWriting) closeSync(this.#slave) // its number may be another file's as soon as it is closed
  }
}

function nameOf(signal: number): string {
  return Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ?? `SIG${signal}`
}
