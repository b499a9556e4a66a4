/** A live table of a fan-out at the foot of a terminal, and the words at its end. Where nobody watches it draws nothing. */
import { systemClock } from '../../base/clock.ts'
import { sayDuration } from '../../base/duration.ts'
import type { FanEnd, FanOutcome, FanView } from '../../local/client.ts'
import type { Context } from '../context.ts'
import { clean, plural, table } from '../render.ts'
import type { Beside } from './grouped.ts'

const REDRAW_MS = 100
const MAX_ROWS = 12

interface Row {
  readonly name: string
  news: string
  end: FanEnd | undefined
  readonly since: number
}

export class Progress implements Beside {
  readonly #rows: Row[] = []
  #drawn = 0
  #isAside = false
  #cancel: () => void = () => undefined
  readonly #out = process.stderr
  readonly #isLive = process.stderr.isTTY === true && process.env['TERM'] !== 'dumb'

  constructor(private readonly context: Pick<Context, 'say' | 'paint' | 'json'>) {}

  fanned({ children, leftOut }: FanView): void {
    if (leftOut.length > 0) this.context.say(leftOutText(leftOut))
    const since = systemClock.monotonic()
    this.#rows.push(...children.map(({ device }) => ({ name: clean(device), news: 'waiting', end: undefined, since })))
    if (this.#isLive) this.#tick()
  }

  news(index: number, news: string): void {
    const row = this.#rows[index]
    if (row !== undefined) row.news = news
  }

  settled(end: FanEnd): void {
    const row = this.#rows[end.index]
    if (row !== undefined) row.end = end
  }

  async aside(write: () => Promise<void>): Promise<void> {
    this.#clear()
    this.#isAside = true
    await write().finally(() => {
      this.#isAside = false
    })
  }

  /** The table that says which: always for eyes, elsewhere where not all is well. */
  ended(outcome: FanOutcome): void {
    this.#cancel()
    this.#isAside = true
    this.#clear()
    if (outcome.exitCode === 0 && !this.#isLive) return
    this.context.say(summaryOf(this.#rows.flatMap(({ end }) => end ?? [])))
    if (outcome.stopped === 'fail-fast')
      this.context.say('errand: stopped at the first that did not end well (--fail-fast); the others were ended or not started')
  }

  #tick(): void {
    this.#draw()
    this.#cancel = systemClock.after(REDRAW_MS, () => this.#tick())
  }

  #draw(): void {
    if (this.#isAside) return
    const lines = this.#lines()
    this.#clear()
    this.#drawn = lines.length
    this.#out.write(lines.map((line) => `${line}\n`).join(''))
  }

  #clear(): void {
    if (this.#drawn > 0) this.#out.write(`\u001b[${this.#drawn}A\u001b[0J`)
    this.#drawn = 0
  }

  #lines(): string[] {
    const width = Math.max(20, (this.#out.columns ?? 80) - 1)
    const going = this.#rows.filter(({ end }) => end === undefined)
    const room = Math.min(MAX_ROWS, Math.max(1, (this.#out.rows ?? 24) - 3))
    const shown = going.slice(0, room).map((row) => `  ${row.name}  ${row.news}  ${sayDuration(systemClock.monotonic() - row.since)}`)
    const more = going.length > room ? [`  and ${going.length - room} more`] : []
    return [...shown, ...more, this.#counts(going.length)].map((line) => line.slice(0, width))
  }

  #counts(going: number): string {
    const ok = this.#rows.filter(({ end }) => end?.result === 'ok').length
    const bad = this.#rows.length - going - ok
    return `${going} running or waiting, ${ok} done${bad === 0 ? '' : `, ${bad} not well`}`
  }
}

function summaryOf(ends: readonly FanEnd[]): string {
  const rows = [...ends]
    .sort((a, b) => a.index - b.index)
    .map(({ device, result, exitCode, durationMs, message }) => [
      device,
      result === 'not-started' ? 'not started' : result,
      exitCode === null ? '-' : String(exitCode),
      durationMs === null ? '-' : sayDuration(durationMs),
      message ?? '',
    ])
  return table(['DEVICE', 'RESULT', 'EXIT', 'TOOK', 'WHY'], rows)
}

function leftOutText(leftOut: FanView['leftOut']): string {
  const names = leftOut.map(({ device }) => device).join(', ')
  return `errand: left out, since this device may not run that there: ${names} (${plural(leftOut.length, 'device')}; errand why DEVICE -- COMMAND says more)`
}
