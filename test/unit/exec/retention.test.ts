import { mkdirSync, mkdtempSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tidy } from '../../../src/exec/retention.ts'

const record = (task: string, ended: object | null): string =>
  JSON.stringify({ v: 1, task, pid: 1, birth: null, boot: null, startTime: 1, invocation: '', proofs: [], ended })
const END = { exitCode: 0, signal: null, why: 'exit', startTime: 1, endTime: 2, stdoutBytes: 0, stderrBytes: 0 }

/** Tasks t0 (newest) … with spools of these sizes. */
function jobsOf(sizes: readonly number[], unfinished: readonly number[] = []): string {
  const directory = mkdtempSync(join(tmpdir(), 'errand-jobs-'))
  for (const [at, size] of sizes.entries()) {
    const home = join(directory, `t${at}`)
    mkdirSync(join(home, 'spool'), { recursive: true })
    writeFileSync(join(home, 'spool', '0000000000000000'), Buffer.alloc(size))
    writeFileSync(join(home, 'job.json'), record(`t${at}`, unfinished.includes(at) ? null : END))
    utimesSync(home, 1_000_000 - at, 1_000_000 - at)
  }
  return directory
}

test('the oldest output goes first, by number', async () => {
  const jobs = jobsOf([1, 1, 1, 1])
  expect(await tidy(jobs, { jobs: 2, bytes: 1_000 }, () => false)).toEqual(['t2', 't3'])
  expect(readdirSync(jobs)).toEqual(['t0', 't1'])
})

test('and by size', async () => {
  const jobs = jobsOf([100, 100, 100])
  expect(await tidy(jobs, { jobs: 10, bytes: 250 }, () => false)).toEqual(['t2'])
})

test('what runs, and what nobody has seen the end of, stays whatever it takes', async () => {
  const jobs = jobsOf([100, 100, 100, 100], [3])
  expect(await tidy(jobs, { jobs: 1, bytes: 1_000 }, (task) => task === 't2')).toEqual(['t1'])
  expect(readdirSync(jobs)).toEqual(['t0', 't2', 't3'])
})

test('no jobs yet is no fault', async () => {
  expect(await tidy('/no/such/directory', { jobs: 1, bytes: 1 }, () => false)).toEqual([])
})
