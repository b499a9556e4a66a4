/** The small file beside a task's spool: which process it is or was, and how it ended. Read by whoever comes after the host. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { Ended } from '../../protocols/exec/messages.ts'
import { Count, List, Text } from '../../protocols/wire.ts'

export const RECORD_FILE = 'job.json'
export const SPOOL_DIR = 'spool'

/** A process is known by these three together: a pid alone is given out again. */
export const JobRecord = v.object({
  v: v.literal(1),
  task: Text(64),
  pid: Count,
  birth: v.nullable(Text(32)),
  boot: v.nullable(Text(64)),
  startTime: Count,
  /** What it rests on, in base64: whoever takes it over has to know when that dies. */
  invocation: Text(90_000),
  proofs: List(Text(12_000), 8),
  /** null while it runs; it stays null when its host was killed. */
  ended: v.nullable(Ended),
  /** First and last offset that the spool holds; what lies before was dropped by its policy. */
  kept: v.optional(v.object({ from: Count, to: Count })),
})
export type JobRecord = v.InferOutput<typeof JobRecord>

/** undefined when there is none that can be read. */
export function readRecord(jobs: string, task: string): JobRecord | undefined {
  try {
    return v.parse(JobRecord, JSON.parse(readFileSync(join(jobs, task, RECORD_FILE), 'utf8')))
  } catch {
    return undefined
  }
}
