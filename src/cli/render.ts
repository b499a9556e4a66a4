/** How things look: control characters out, columns aligned, colours only for eyes. Writes nothing. */
import type { ErrandError } from '../base/errors.ts'
import { isDenial } from './exitcodes.ts'

/** Control characters, and those that turn the direction of text or hide in it: with them a name could repaint the terminal or pose as another. */
const UNSAFE = /[\p{Cc}\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff]/gu

/** Text from elsewhere as it may be shown in talk. The output of commands is never passed through here. */
export function clean(text: string): string {
  return text.replace(/[\n\t]/g, ' ').replace(UNSAFE, '')
}

export interface Paint {
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
  readonly dim: (text: string) => string
}

const asIs = (text: string): string => text
const coloured = (code: number) => (text: string) => `\u001b[${code}m${text}\u001b[0m`

/** Colours on a terminal, unless NO_COLOR asks for none (https://no-color.org). */
export function paintFor(stream: { readonly isTTY?: boolean }, env: Readonly<Record<string, string | undefined>> = process.env): Paint {
  const plain = stream.isTTY !== true || (env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb'
  return plain ? { good: asIs, bad: asIs, dim: asIs } : { good: coloured(32), bad: coloured(31), dim: coloured(2) }
}

/** Columns under their heads, two spaces apart; the last one is not padded. Cells are cleaned. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heads, ...rows.map((row) => row.map(clean))]
  const widths = heads.map((_, column) => Math.max(...all.map((row) => [...(row[column] ?? '')].length)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - [...cell].length))
      .join('  ')
      .trimEnd()
  return all.map(line).join('\n')
}

/** A DID by its ends: did:key:z6Mk…f3Qa. Anything shorter stays whole. */
/** What is no DID stays as it is. */
export function shortDid(did: string): string {
  return did.length < 24 || !did.startsWith('did:') ? clean(did) : clean(`${did.slice(0, 12)}…${did.slice(-4)}`)
}

export function shortCid(cid: string): string {
  return cid.length < 16 ? clean(cid) : clean(`${cid.slice(0, 6)}…${cid.slice(-6)}`)
}

/** A command as one could type it again. */
export function sayCommand(argv: readonly string[]): string {
  return argv.map((arg) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${clean(arg).replaceAll("'", "'\\''")}'`)).join(' ')
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** `errand: denied on gpu1: …`, and the next step below it. @param device what the command line called it, when one was meant. */
export function errorText(error: ErrandError, device?: string): string {
  const where = device === undefined ? '' : clean(device)
  const message = clean(error.message)
  const line =
    where !== '' && isDenial(error.code)
      ? `denied on ${where}: ${message}`
      : where !== '' && error.fields['source'] === 'device'
        ? `${where}: ${message}`
        : message
  return `errand: ${line}\n${error.hint === undefined ? '' : `${error.code === 'USAGE' ? '' : 'hint: '}${clean(error.hint)}\n`}`
}
