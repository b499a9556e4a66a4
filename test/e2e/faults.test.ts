/** The link fails under running commands, in network namespaces: what `npm run faults` does, shorter. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { jsonOf, type Ran, Running } from '../support/program.ts'

const NOBODY = 65_534

interface Report {
  readonly skipped?: string
  readonly rows?: readonly { readonly case: string; readonly stream: string; readonly ok: boolean; readonly resumeMs: number | null; readonly why: string }[]
}

/** @param uid for a run without root. */
async function bench(name: string, args: readonly string[], uid?: number): Promise<Ran> {
  const program = fileURLToPath(new URL(`../../dist/bench/${name}.mjs`, import.meta.url))
  const child = spawn(process.execPath, [program, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid, cwd: '/' }),
  })
  return await new Running(child, undefined).ended
}

test('a silent cut, a new address and lost packets cost no byte and no exit code, and output goes on within 2 s; or it is said why nothing was tried', async () => {
  const ran = await bench('faults', ['--short'])
  const { skipped, rows } = jsonOf<Report>(ran)
  expect(ran.code, ran.stderr).toBe(0)
  if (skipped !== undefined) expect(skipped).toMatch(/Linux|take root|ip netns add/)
  else {
    expect(rows?.filter(({ ok }) => !ok)).toEqual([])
    expect(rows?.length).toBeGreaterThanOrEqual(6)
    expect(rows?.some(({ resumeMs }) => resumeMs !== null && resumeMs > 0)).toBe(true)
  }
})

test('without root nothing is tried, and that is what it says', async () => {
  const ran = await bench('faults', ['--short'], process.getuid?.() === 0 ? NOBODY : undefined)
  expect(ran.code).toBe(0)
  expect(ran.stderr).toContain('nothing was tried')
  expect(jsonOf<Report>(ran).skipped).toMatch(/Linux|take root/)
})
