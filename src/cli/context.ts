/** What every command gets: whom to ask, and where to put data (stdout) and talk (stderr). */

import { existsSync } from 'node:fs'
import type { WireError } from '../base/errors.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { homeOf, LocalClient, socketPathOf } from '../local/client.ts'
import { exitCodeOfError } from './exitcodes.ts'
import type { Paint } from './render.ts'
import { clean, errorText, paintFor, sayCommand } from './render.ts'

export interface Shared {
  readonly home?: string
  readonly json?: boolean
}

export class Context {
  readonly home: string
  readonly json: boolean
  /** What `--home` said, as it was typed. */
  readonly givenHome: string | undefined
  /** A session to act in: its token, its id or its name. */
  session = process.env['ERRAND_SESSION']
  /** For stdout. */
  readonly paint: Paint = paintFor(process.stdout)
  #client: LocalClient | undefined

  constructor({ home, json }: Shared) {
    if (home === '') throw new ErrandError('BAD_SETTING', '--home names no directory', { hint: 'leave it out for $ERRAND_HOME or ~/.errand' })
    this.home = homeOf(home)
    this.givenHome = home
    this.json = json ?? false
  }

  get client(): LocalClient {
    this.#client ??= new LocalClient(socketPathOf(this.home), this.session)
    return this.#client
  }

  /** Data: with --json the value on one line, else its text. */
  print(value: unknown, text: () => string): void {
    process.stdout.write(`${this.json ? JSON.stringify(value) : text()}\n`)
  }

  /** Talk: for people, never for pipes. Cleaned line by line. */
  say(text: string): void {
    process.stderr.write(`${text.split('\n').map(clean).join('\n')}\n`)
  }

  tick(text: string): string {
    return `${this.paint.good('✓')} ${clean(text)}`
  }
}

/** An error where the caller looks for it: one JSON document on stdout, or words on stderr. */
export function printError(
  thrown: ErrandError,
  { json, device, givenHome }: { json: boolean; device?: string | undefined; givenHome?: string | undefined },
): void {
  const error = thrown.code === 'NO_NODE' && givenHome !== undefined ? noNodeIn(givenHome, thrown) : thrown
  if (json) process.stdout.write(`${JSON.stringify({ error: wireOf(error) })}\n`)
  else process.stderr.write(errorText(error, device))
}

/** Says why a command could not be carried out. @returns its exit code. */
export function failed(thrown: unknown, o: { json: boolean; givenHome?: string | undefined }): number {
  const error = asErrand(thrown)
  printError(error, o)
  return exitCodeOfError(error.code)
}

/** A home that was typed may be the wrong one: it is said, and so is the command that fits it. */
function noNodeIn(home: string, { code, fields }: ErrandError): ErrandError {
  const missing = existsSync(home) ? '' : ', and there is no such directory'
  return new ErrandError(code, `no node is running in ${home}${missing}`, { hint: `start it with: errand up --home ${sayCommand([home])}`, fields })
}

function wireOf(error: ErrandError): WireError {
  const { source, ...fields } = error.fields
  const from = source === 'command' || source === 'device' ? source : 'errand'
  const rest = new ErrandError(error.code, error.message, { fields, ...(error.hint === undefined ? {} : { hint: error.hint }) })
  return rest.toWire(from)
}
