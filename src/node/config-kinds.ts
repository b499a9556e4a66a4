/** What a setting can be: each kind brings its check, its unit and its bound in words, so that the three cannot differ. */
import { isAbsolute } from 'node:path'
import * as v from 'valibot'
import { ShortName } from '../../protocols/member/orders.ts'
import { parseDuration, sayDuration } from '../base/duration.ts'
import { parseSize, saySize } from '../base/size.ts'

const MAX_PATH_CHARS = 4_096

export function choice<const Word extends string>(...words: readonly Word[]) {
  const bound = words.map((word) => `\`${word}\``).join(', ')
  return { schema: v.picklist(words, `must be one of ${words.join(', ')}`), unit: '', bound }
}

export function onOff() {
  return { schema: v.boolean('must be true or false'), unit: '', bound: '`true`, `false`' }
}

export function whole({ least, most, unit = '' }: { least: number; most: number; unit?: string }) {
  const said = `${grouped(least)} to ${grouped(most)}`
  const must = `must be a whole number from ${said}`
  return { schema: v.pipe(v.number(must), v.integer(must), v.minValue(least, must), v.maxValue(most, must)), unit, bound: said }
}

/** Written as `90s`, `10m`; read as milliseconds. */
export function duration({ least, most }: { least: string; most: string }) {
  const [leastMs, mostMs] = [parseDuration(least), parseDuration(most)]
  const bound = `${sayDuration(leastMs)} to ${sayDuration(mostMs)}`
  const must = `must be a duration from ${bound}, like 90s, 10m or 8h`
  const schema = v.pipe(v.string(must), v.transform(orNaN(parseDuration)), v.number(must), v.minValue(leastMs, must), v.maxValue(mostMs, must))
  return { schema, unit: 'duration', bound }
}

/** Written as `64MiB` or as a number of bytes; read as bytes. */
export function size({ least, most }: { least: string; most: string }) {
  const [leastBytes, mostBytes] = [parseSize(least), parseSize(most)]
  const bound = `${saySize(leastBytes)} to ${saySize(mostBytes)}`
  const must = `must be a size from ${bound}, like 500kB or 64MiB`
  const written = v.pipe(v.union([v.string(), v.number()], must), v.transform(String))
  const schema = v.pipe(written, v.transform(orNaN(parseSize)), v.number(must), v.minValue(leastBytes, must), v.maxValue(mostBytes, must))
  return { schema, unit: 'bytes', bound }
}

export function listOf<Item extends v.GenericSchema<unknown, string>>(item: Item, { what, most }: { what: string; most: number }) {
  const must = `must be a list of at most ${most} ${what}`
  return { schema: v.pipe(v.array(item, must), v.maxLength(most, must)), unit: '', bound: `at most ${most}` }
}

export const Role = ShortName

export const Path = v.pipe(v.string(), v.maxLength(MAX_PATH_CHARS), v.check(isAbsolute, 'must be an absolute path'))

export function path() {
  return { schema: Path, unit: '', bound: 'absolute' }
}

export const Multiaddr = v.pipe(
  v.string(),
  v.regex(/^\/(ip4|ip6|dns|dns4|dns6)\/[^/]+\/tcp\/\d{1,5}(\/p2p\/[A-Za-z0-9]+)?$/, 'must be a TCP multiaddr, like /ip4/0.0.0.0/tcp/4701'),
)

/** A place to listen on. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

/** `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`; port 0 is any free one. */
export function hostPort() {
  const must = 'must be HOST:PORT, like 127.0.0.1:8080 or [::1]:8080'
  const schema = v.pipe(
    v.string(must),
    v.regex(/^(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9][A-Za-z0-9.-]{0,252}):\d{1,5}$/, must),
    v.transform(split),
    v.check(({ port }) => port <= 65_535, must),
  )
  return { schema, unit: '', bound: 'HOST:PORT' }
}

function split(text: string): HostPort {
  const at = text.lastIndexOf(':')
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) }
}

/** The parsers throw with words of their own; here the kind's words are said, by the check that follows. */
function orNaN(parse: (text: string) => number): (text: string) => number {
  return (text) => {
    try {
      return parse(text)
    } catch {
      return Number.NaN
    }
  }
}

function grouped(n: number): string {
  return n.toLocaleString('en-US')
}
