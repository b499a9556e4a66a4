/** A fan-out for programs: a line for each piece of output and each end, named by device; the summary last. */
import type { FanEnd, FanOutcome, FanView } from '../../local/client.ts'
import { dataOf } from '../commands/run.ts'
import { drained } from '../writer.ts'
import type { Report } from './report.ts'

export class JsonLines implements Report {
  #view: FanView | undefined
  readonly #ends: FanEnd[] = []

  fanned(view: FanView): void {
    this.#view = view
    void this.#line({ t: 'started', ...view })
  }

  output(index: number, fd: 1 | 2, bytes: Uint8Array): Promise<void> | undefined {
    return this.#line({ t: fd === 1 ? 'stdout' : 'stderr', device: this.#view?.children[index]?.device, ...dataOf(bytes) })
  }

  news(): void {}

  settled({ index: _, ...end }: FanEnd): Promise<void> | undefined {
    this.#ends.push({ index: _, ...end })
    return this.#line({ t: 'ended', ...end })
  }

  async ended(outcome: FanOutcome): Promise<void> {
    const devices = this.#ends.sort((a, b) => a.index - b.index).map(({ device, task, result, exitCode }) => ({ device, task, result, exitCode }))
    await this.#line({ t: 'summary', ...outcome, devices, leftOut: this.#view?.leftOut ?? [] })
  }

  #line(value: object): Promise<void> | undefined {
    return drained(process.stdout, `${JSON.stringify(value)}\n`)
  }
}
