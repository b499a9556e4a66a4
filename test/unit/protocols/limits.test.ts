/** docs/limits.md says what the code does: every row names a constant, and its value is that constant's. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { TAG } from '../../../protocols/exec/frames.ts'
import { HOST_TAG } from '../../../protocols/host/frames.ts'

const UNIT: Readonly<Record<string, number>> = { '': 1, B: 1, KiB: 1_024, MiB: 1 << 20, ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 }

interface Row {
  readonly what: string
  readonly value: string
  /** A file, or the folder of a room: constants may move inside it. */
  readonly place: string
  readonly name: string
}

const rows: Row[] = readFileSync('docs/limits.md', 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, what = '', value = '', , constant = ''] = line.split('|').map((cell) => cell.trim())
    const [place = '', name = ''] = constant.split(' ')
    return /^(src|protocols)\//.test(place) ? [{ what, value, place, name }] : []
  })

/** `64 KiB`, `10 min`, `32,767`, in the smallest unit: bytes, milliseconds, pieces. */
function said(text: string): number {
  const [, digits = '', unit = ''] = /^([\d,]+) ?([A-Za-z]*)$/.exec(text) ?? []
  return Number(digits.replaceAll(',', '')) * (UNIT[unit] ?? Number.NaN)
}

/** The number that a constant or a field is given in the source: literals with `+`, `-`, `*` and `<<`. */
function written({ place, name }: Row): number {
  const source = sourceOf(place)
  const found = [...source.matchAll(new RegExp(`\\b${name}(?: = |: )([\\d_(][\\d_ ()*+<-]*)`, 'g'))].map((match) => match[1] ?? '')
  expect(found, `${name} in ${place}`).toHaveLength(1)
  return sum(found[0] ?? '') * (/seconds/i.test(name) ? 1_000 : 1)
}

function sourceOf(place: string): string {
  const files = place.endsWith('.ts')
    ? [place]
    : readdirSync(place)
        .filter((file) => file.endsWith('.ts'))
        .map((file) => join(place, file))
  return files.map((file) => readFileSync(file, 'utf8')).join('\n')
}

function sum(text: string): number {
  return text
    .replace(/[_()]/g, '')
    .split('+')
    .map((term) =>
      term
        .split('*')
        .map(shifted)
        .reduce((a, b) => a * b, 1),
    )
    .reduce((a, b) => a + b, 0)
}

function shifted(text: string): number {
  const [base = '', by = '0'] = text.split('<<')
  return Number(base) * 2 ** Number(by)
}

test('there are limits to check', () => expect(rows.length).toBeGreaterThan(50))

test.each(rows)('$what: $value', (row) => {
  expect(said(row.value)).toBe(written(row))
})

test('every cap and deadline of the protocols is in the document', () => {
  for (const protocol of ['hello', 'join', 'sync', 'announce', 'exec', 'host']) {
    const file = existsSync(`protocols/${protocol}/frames.ts`) ? 'frames.ts' : 'messages.ts'
    const source = readFileSync(`protocols/${protocol}/${file}`, 'utf8')
    const found = [...source.matchAll(/^ {2}(max\w+|\w+Ms|\w+WindowBytes|streamsPerPeer): [\d(]/gm)].map((match) => match[1])
    const names = protocol === 'host' ? found.filter((name) => name !== 'maxFrameBytes') : found // the host has two of that name, in its README
    const documented = rows.filter(({ place }) => place === `protocols/${protocol}/${file}`).map(({ name }) => name)
    expect(documented).toEqual(expect.arrayContaining(names))
    expect(names.length).toBeGreaterThan(0)
  }
})

test.each([
  ['exec', TAG],
  ['host', HOST_TAG],
])('every tag of %s stands in the table of its README, under its name', (protocol, tags) => {
  const readme = readFileSync(`protocols/${protocol}/README.md`, 'utf8')
  const listed = new Map([...readme.matchAll(/^\| `(0x[0-9a-f]{2})` \| (\w+) \|/gm)].map(([, tag, name]) => [name, tag]))
  for (const [name, tag] of Object.entries(tags)) expect([name, listed.get(name)]).toEqual([name, `0x${tag.toString(16).padStart(2, '0')}`])
})
