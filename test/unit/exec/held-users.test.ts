/** Held as another user, and held without bwrap: the same promises by other means. */
import { chownSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../../support/until.ts'
import { FILES, HeldWorld, PROCESSES, type Rest } from './held-world.ts'
import { Collector, printed, processCount, run, sh } from './world.ts'

let on: HeldWorld

beforeAll(async () => {
  on = await HeldWorld.open()
})
afterAll(async () => await on.close())

describe('another user, on a node of root', () => {
  const asNobody = { user: 'nobody', cwd: '' }

  test('a command runs as the user that was named, with nothing of the node’s; elsewhere that is refused', async () => {
    const spec = sh(`id -un; id -Gn; echo $HOME $USER; cat ${on.errandHome}/identity/device.key`, asNobody)
    if (!on.means.isRoot) return await expect(run(on.world.executor, { ...spec, user: 'root' })).rejects.toMatchObject({ code: 'BAD_USER' })
    const { stdout, exitCode } = await run(on.world.executor, spec)
    expect(stdout.toString()).toBe('nobody\nnogroup\n/nonexistent nobody\n')
    expect(exitCode).toBe(1)
    await expect(run(on.world.executor, sh('true', { user: 'nobody-of-that-name', cwd: '' }))).rejects.toMatchObject({ code: 'BAD_USER' })
  })

  test('"privileges": no capabilities, no way to more of them, no signal to the node, and its bounds hold', async () => {
    if (!on.means.isRoot) return
    const script = `grep -hE '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status; kill -0 ${process.pid} 2>/dev/null && echo signals; cat /proc/${process.pid}/environ 2>/dev/null; cat ${on.errandHome}/identity/device.key; for f in /sys/fs/cgroup/*/cgroup.procs; do (: >>"$f") 2>/dev/null && echo "writes $f"; done; true`
    for (const limits of [{ sandbox: 'privileges' }, { processes: 20 }] as const) {
      const { stdout } = await run(on.world.executor, sh(script, { ...asNobody, limits }))
      expect(stdout.toString()).toBe('CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\n')
    }
  })

  test('at "files" as another user: that user’s directory is written to, and nothing else', async () => {
    if (!on.means.isRoot || !on.means.bwrapOfOthers) return
    const theirs = mkdtempSync('/var/tmp/errand-theirs-')
    chownSync(theirs, 65_534, 65_534)
    const { stdout } = await run(on.world.executor, sh('id -un; touch here; touch /var/tmp/beside; ls', { user: 'nobody', cwd: theirs, limits: FILES }))
    expect(stdout.toString()).toBe('nobody\nhere\n')
    expect(existsSync(join(theirs, 'here'))).toBe(true)
    expect(existsSync('/var/tmp/beside')).toBe(false)
    rmSync(theirs, { recursive: true })
  })
})

test('a terminal is held as well: its size and its keys reach the command, and Ctrl-C ends what runs in the sandbox and not the sandbox', async () => {
  const terminal = { term: 'xterm', columns: 90, rows: 20 }
  const nap = `sleep 60.${process.pid}`
  const script = `trap "echo interrupted" INT; stty size; read x; echo "got $x"; ${nap}; echo on; ls /proc | grep -cE "^[0-9]+$"`
  const spec = sh(script, { terminal, stdin: true, limits: PROCESSES, cwd: on.work })
  if (!on.can(PROCESSES)) return await expect(run(on.world.executor, spec)).rejects.toMatchObject({ fields: { reason: 'UNENFORCEABLE' } })
  const seen = await run(on.world.executor, spec, async (running, out) => {
    await printed(out, '20 90')
    await running.stdin(Buffer.from('hello\r'))
    await printed(out, 'got hello')
    await until('it sleeps', () => processCount(nap) > 0)
    await running.stdin(Buffer.from('\x03'))
  })
  expect(seen).toMatchObject({ exitCode: 0, why: 'exit' })
  expect(seen.stdout.toString()).toMatch(/interrupted\r\non\r\n\d\r\n$/)
})

describe('without bwrap', () => {
  /** unshare shuts in the node's own user, or another one where the node is root's. */
  const rest = (): Rest => (on.means.isRoot ? { user: 'nobody', cwd: '' } : { cwd: on.work })
  let plain: HeldWorld

  beforeAll(async () => {
    plain = await HeldWorld.open({ bwrap: null, bwrapOfOthers: false })
  })
  afterAll(async () => await plain.close())

  test('unshare keeps the promises of "processes": alone with its processes, no keys, no privileges, no network', async () => {
    const script = `ls /proc | grep -cE '^[0-9]+$'; cat ${on.errandHome}/identity/device.key 2>/dev/null; grep -hE '^(CapEff|NoNewPrivs)' /proc/self/status; tail -n +3 /proc/net/dev | cut -d: -f1; (: >>/proc/sys/kernel/core_pattern) 2>/dev/null && echo sets; true`
    const spec = sh(script, { ...rest(), limits: { network: false } })
    if (on.means.unshare === null) return await expect(run(plain.world.executor, spec)).rejects.toMatchObject({ fields: { reason: 'UNENFORCEABLE' } })
    const [count = '', ...more] = (await run(plain.world.executor, spec)).stdout
      .toString()
      .trim()
      .split(/\s*\n\s*/)
    expect(Number(count)).toBeLessThan(12)
    expect(more).toEqual(['CapEff:\t0000000000000000', 'NoNewPrivs:\t1', 'lo'])
  })

  test('SIGTERM reaches the command, and a daemon of it ends with it', async () => {
    if (on.means.unshare === null) return
    const out = new Collector()
    const mark = `${30_000 + process.pid}.1`
    const script = `(setsid env -i sleep ${mark} >/dev/null 2>&1 </dev/null &); trap 'echo ending well; exit 7' TERM; echo ready; sleep 60 & wait`
    const running = await plain.world.executor.start(sh(script, { ...rest(), limits: PROCESSES }), out)
    await printed(out, 'ready')
    running.stop('cancelled')
    expect(await running.ended).toMatchObject({ why: 'cancelled', exitCode: 7 })
    await until('its daemon is gone', () => processCount(`sleep ${mark}`) === 0)
  })

  test('what only bwrap can do is refused', async () => {
    await expect(run(plain.world.executor, sh('true', { limits: FILES }))).rejects.toMatchObject({ fields: { reason: 'UNENFORCEABLE' }, hint: /./ })
  })
})
