/**
 * Reads the text of runtime.yaml into settings with their lines. Names are nested (`transport: {listen: …}`) or dotted; the flat names of
 * config.yaml are understood as well. Checks each setting by itself; what several mean together is in config-modes.ts.
 */
import * as v from 'valibot'
import { type Document, isMap, isScalar, LineCounter, type Pair, parseDocument, type YAMLMap } from 'yaml'
import { ErrandError } from '../base/errors.ts'
import { CONFIG_VERSION, canonical, isSection, type SettingName, settingOf, unknownSetting } from './config-schema.ts'

/** A value as it stands in the file. */
export interface Given {
  readonly value: unknown
  readonly line: number
  /** The keys that lead to it, as the user wrote them. */
  readonly path: readonly string[]
}

export interface ConfigText {
  readonly document: Document
  readonly given: ReadonlyMap<SettingName, Given>
}

/** Longer is no configuration; a limit before any parsing. */
export const MAX_CONFIG_BYTES = 256 * 1_024

/** @param path for what is said of it. @throws CONFIG_DAMAGED with the line, NEWER_STATE for a file of a newer errand. */
export function parseConfig(text: string, path: string): ConfigText {
  if (Buffer.byteLength(text) > MAX_CONFIG_BYTES) throw damaged(path, `it is longer than ${MAX_CONFIG_BYTES / 1_024} KiB`)
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const [broken] = document.errors
  if (broken !== undefined) throw damaged(path, `line ${broken.linePos?.[0].line ?? '?'}: ${broken.message.split(/ at line|\n/)[0] ?? ''}`)
  if (document.contents !== null && !isMap(document.contents)) {
    if (!isScalar(document.contents) || document.contents.value !== null) throw damaged(path, 'it is not a list of settings')
    document.contents = null
  }
  refuseNewer(document, path)
  const walk = new Walk(document, lines, path)
  if (isMap(document.contents)) walk.into(document.contents, [])
  return { document, given: walk.given }
}

/** In file order, so that the first fault is the one that is said. */
class Walk {
  readonly given = new Map<SettingName, Given>()

  constructor(
    private readonly document: Document,
    private readonly lines: LineCounter,
    private readonly file: string,
  ) {}

  into(map: YAMLMap, above: readonly string[]): void {
    for (const pair of map.items) this.#take(pair, above)
  }

  #take(pair: Pair, above: readonly string[]): void {
    const { key, value } = pair
    const line = isScalar(key) ? this.lines.linePos(key.range?.[0] ?? 0).line : 0
    const path = [...above, isScalar(key) ? String(key.value) : '?']
    const written = path.join('.')
    const name = canonical(written)
    if (name !== undefined) this.#keep(name, { path, line, value: this.#plain(value, { written, line }) })
    else if (!isSection(written)) throw damaged(this.file, `line ${line}: ${unknownSetting(written)}`)
    else if (isMap(value)) this.into(value, path)
    else if (!isEmpty(value)) throw damaged(this.file, `line ${line}: ${unknownSetting(written)}`)
  }

  #keep(name: SettingName, given: Given): void {
    const before = this.given.get(name)
    if (before !== undefined) {
      const both = `"${before.path.join('.')}" (line ${before.line}) and "${given.path.join('.')}" are the same setting; keep one of them`
      throw damaged(this.file, `line ${given.line}: ${both}`)
    }
    if (given.value === null) return // `name:` with nothing behind it says nothing
    const seen = v.safeParse(settingOf(name).schema, given.value)
    if (!seen.success) throw damaged(this.file, `line ${given.line}: ${given.path.join('.')}: ${seen.issues[0].message}`)
    this.given.set(name, given)
  }

  #plain(value: unknown, { written, line }: { written: string; line: number }): unknown {
    try {
      return isNode(value) ? value.toJS(this.document) : value
    } catch (cause) {
      throw damaged(this.file, `line ${line}: ${written}: ${cause instanceof Error ? cause.message : String(cause)}`) // too many aliases, for one
    }
  }
}

function isNode(value: unknown): value is { toJS(document: Document): unknown } {
  return typeof value === 'object' && value !== null && 'toJS' in value
}

function isEmpty(value: unknown): boolean {
  return value === null || (isScalar(value) && value.value === null)
}

/** Before anything else is judged: what an older errand does not know is no fault of the file. */
function refuseNewer(document: Document, path: string): void {
  const version = document.contents === null ? undefined : document.get('version')
  if (typeof version !== 'number' || version <= CONFIG_VERSION) return
  throw new ErrandError('NEWER_STATE', `${path} has version ${version}; this errand knows up to ${CONFIG_VERSION}`, {
    hint: 'a newer errand wrote it: run that version again, or use another --home',
  })
}

export function damaged(path: string, why: string): ErrandError {
  return new ErrandError('CONFIG_DAMAGED', `${path}: ${why}`, {
    hint: 'mend the file, or move it away to go back to the defaults; errand config list shows the settings',
  })
}
