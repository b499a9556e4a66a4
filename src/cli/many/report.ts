/** What a fan-out shows: how, the kinds of reports decide (grouped, prefixed, JSON lines). */
import type { FanEnd, FanOutcome, FanView } from '../../local/client.ts'

export interface Report {
  /** Which devices it goes to. */
  fanned(view: FanView): void
  output(index: number, fd: 1 | 2, bytes: Uint8Array): Promise<void> | undefined
  news(index: number, news: string): void
  settled(end: FanEnd): Promise<void> | undefined
  /** All is said. */
  ended(outcome: FanOutcome): Promise<void>
}
