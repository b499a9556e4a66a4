/** `npm run demo`, as a user sees it: it shows the main job, and whatever ends it, it leaves nothing. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { processesOf } from '../support/leftovers.ts'
import { Running } from '../support/program.ts'
import { until } from '../support/until.ts'

const DEMO = fileURLToPath(new URL('../../scripts/demo-main.mjs', import.meta.url))

let root: string
beforeEach(() => {
  root = mkdtempSync('/tmp/e-')
})
afterEach(() => {
  for (const { pid } of processesOf(root)) process.kill(pid, 'SIGKILL')
  rmSync(root, { recursive: true, force: true })
})

function startDemo(): Running {
  const { PATH, LANG } = process.env
  return new Running(spawn(process.execPath, [DEMO], { env: { PATH, LANG, TMPDIR: root }, stdio: ['pipe', 'pipe', 'pipe'] }), undefined)
}

function expectNothingLeft(): void {
  expect(processesOf(root)).toEqual([])
  expect(readdirSync(root)).toEqual([])
}

test('the demo shows the main job with three processes, and leaves nothing', async () => {
  const { code, stdout, stderr } = await startDemo().ended
  expect(stderr).toBe('')
  expect(code).toBe(0)
  const inOrder = [
    'laptop$ errand up --name laptop --detach\n✓ identity',
    "laptop$ errand invite --name gpu1 --ask 'exec: train, hostname' --for 8h",
    '  you become:   a member, called gpu1',
    '  you give:     exec: train',
    '  you get:      nothing',
    '✓ joined mesh "home" as gpu1',
    'errand: denied on gpu1: no grant from gpu1 reaches nas',
    "laptop$ errand grant nas --on gpu1 --can 'exec: train' --for 1h\n✓",
    'epoch 1/5',
    'epoch 5/5',
    'nas$ echo $?\n3\n',
    'exe "hostname" is not in {train}',
    'nas$ echo $?\n126\n',
    'laptop$ errand revoke --on gpu1 --can exec --to nas',
    'the grant was revoked',
    'nas$ errand audit --device gpu1',
    '✓ 3 logs',
    '✓ That was errand',
  ]
  inOrder.reduce((from, text) => {
    const at = stdout.indexOf(text, from)
    expect(at, `${text} … in:\n${stdout}`).toBeGreaterThanOrEqual(0)
    return at
  }, 0)
  const pids = /three processes: laptop (\d+), gpu1 (\d+), nas (\d+)/.exec(stdout)?.slice(1)
  expect(new Set(pids).size).toBe(3)
  expectNothingLeft()
})

test('Ctrl-C in the middle stops everything and leaves nothing', async () => {
  const demo = startDemo()
  await until('a command runs', () => demo.stdout.includes('epoch 2/5'))
  const { code, stdout } = await demo.end('SIGINT')
  expect(code).toBe(130)
  expect(stdout).not.toContain('That was errand')
  expectNothingLeft()
})

test('when a node dies under it, the demo fails, says at which command, and leaves nothing', async () => {
  const demo = startDemo()
  await until('a command runs', () => demo.stdout.includes('epoch 2/5'))
  const [gpu1] = processesOf(root).filter(({ command }) => /\bup\b.*\/gpu1\b/.test(command))
  process.kill(gpu1?.pid ?? 0, 'SIGKILL')
  const { code, stderr } = await demo.ended
  expect(code).toBe(1)
  expect(stderr).toMatch(/✗ The demo failed: the node gpu1 \(process \d+\) ended by itself, under `errand run gpu1 -- train --epochs 5`/)
  expectNothingLeft()
})
