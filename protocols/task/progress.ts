/** Progress as a command writes it: one JSON object a line on file descriptor 3. See README.md. */
import * as v from 'valibot'
import { type Progress, Progress as ProgressShape, TASK } from './messages.ts'

/** Looser than what is kept: fractions are rounded down, so that 100 means done, and unknown keys are ignored. */
const Line = v.object({
  percent: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(100), v.transform(Math.floor))),
  text: v.optional(
    v.pipe(
      v.string(),
      v.transform((text) => text.slice(0, TASK.maxProgressChars)),
    ),
  ),
  data: v.optional(v.record(v.string(), v.unknown())),
})

/** @param line without its newline. @returns undefined for what is no report: it changes nothing and ends nothing. */
export function progressOf(line: string): Progress | undefined {
  if (Buffer.byteLength(line) > TASK.maxProgressLineBytes) return undefined
  try {
    const said = v.parse(Line, JSON.parse(line))
    const report = Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined))
    return Object.keys(report).length === 0 ? undefined : v.parse(ProgressShape, report)
  } catch {
    return undefined
  }
}
