/** Old output goes: what tasks printed is kept for the newest of them, up to a number and a size. What still runs is never touched. */
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, every } from '../base/clock.ts'
import { readRecord, SPOOL_DIR } from './records.ts'

/** Tasks whose output can still be read after they ended. */
export const KEPT_JOBS = 1_000
/** And what that may take on the disk: each spool is capped by itself (`deployment.spoolBytes`). */
export const KEPT_JOBS_BYTES = 4 * 2 ** 30
const LOOK_MS = 60_000

export interface Bounds {
  readonly jobs: number
  readonly bytes: number
}

interface Kept {
  readonly task: string
  readonly changedAt: number
  readonly bytes: number
}

/** Looks now and every minute. @param runs whether a task lives. The returned function ends that. */
export function keepTidy(directory: string, o: { readonly clock: Clock; readonly runs: (task: string) => boolean }): () => void {
  const look = (): Promise<unknown> => tidy(directory, { jobs: KEPT_JOBS, bytes: KEPT_JOBS_BYTES }, o.runs).catch(() => undefined) // the next look tries again
  void look()
  return every(o.clock, LOOK_MS, async () => void (await look()))
}

/** @returns the tasks whose output was removed. */
export async function tidy(directory: string, { jobs, bytes }: Bounds, runs: (task: string) => boolean): Promise<string[]> {
  const names = await readdir(directory).catch(() => [])
  const found: Kept[] = []
  for (const task of names) if (!runs(task)) found.push(await look(directory, task))
  found.sort((a, b) => b.changedAt - a.changedAt)
  let left = bytes
  const old = found.filter((kept, at) => {
    left -= kept.bytes
    return at >= jobs || left < 0
  })
  const gone = old.filter(({ task }) => !runs(task) && !isUnderWay(directory, task))
  for (const { task } of gone) await rm(join(directory, task), { recursive: true, force: true })
  return gone.map(({ task }) => task)
}

/** Its host has not written its end yet, or never will: then the next daemon has to see it once. */
function isUnderWay(directory: string, task: string): boolean {
  return readRecord(directory, task)?.ended === null
}

async function look(directory: string, task: string): Promise<Kept> {
  const home = join(directory, task)
  const { mtimeMs } = await stat(home).catch(() => ({ mtimeMs: 0 }))
  const segments = await readdir(join(home, SPOOL_DIR)).catch(() => [])
  let bytes = 0
  for (const segment of segments) bytes += (await stat(join(home, SPOOL_DIR, segment)).catch(() => ({ size: 0 }))).size
  return { task, changedAt: mtimeMs, bytes }
}
