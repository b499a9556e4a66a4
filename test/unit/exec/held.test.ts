/** Commands that are held: every promise of a level and of a bound is tried with real processes, real groups of the kernel and the real bwrap. */
import { randomUUID } from 'node:crypto'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Limits } from '../../../protocols/task/limits.ts'
import { sandboxTools } from '../../../scripts/sandbox/tools.mjs'
import type { Means } from '../../../src/exec/means.ts'
import { probeMeans } from '../../../src/exec/probe.ts'
import { until } from '../../support/until.ts'
import { Collector, type Finished, openWorld, printed, processCount, run, sh, type World } from './world.ts'

let root: string
let means: Means
let world: World
let errandHome: string
let work: string

beforeAll(async () => {
  const { bwrap, said } = sandboxTools()
  if (!bwrap) console.error(`${said}; refusals are checked in the place of promises`)
  root = mkdtempSync(join(tmpdir(), 'errand-held-'))
  errandHome = join(root, 'home')
  work = join(root, 'work')
  mkdirSync(work)
  mkdirSync(join(errandHome, 'identity'), { recursive: true })
  writeFileSync(join(errandHome, 'identity', 'device.key'), 'the key')
  const probing = probeMeans(`t${process.pid}`)
  means = await probing
  world = await openWorld({ means: probing, hidden: [errandHome] })
})
afterAll(async () => {
  await world.close()
  rmSync(root, { recursive: true, force: true })
  await until('no group is left', () => groupsLeft().length === 0)
})

/** Directories of this test's groups, wherever the kernel keeps them. */
function groupsLeft(): string[] {
  const { group } = means
  const places = group === null ? [] : [...new Set([group.memory, group.cpu, group.processes, group.kill])].filter((one) => one !== null)
  return places.filter((place) => existsSync(place))
}

/** Whether this machine can enforce them. Where it cannot, the promise is the refusal. */
function can({ memoryBytes, cpuMillis, processes, sandbox }: Limits): boolean {
  const { group, bwrap, unshare, isRoot } = means
  const isShut = bwrap !== null || (unshare !== null && !isRoot && sandbox !== 'files')
  const bounds = [
    [memoryBytes, group?.memory],
    [cpuMillis, group?.cpu],
    [processes, group?.processes],
  ] as const
  return isShut && bounds.every(([asked, place]) => asked === undefined || typeof place === 'string')
}

type Rest = Parameters<typeof sh>[1]

/** Runs it, and looks at how it was; or sees it refused with a next step. */
async function held(
  limits: Limits,
  script: string,
  look: (seen: Finished & { out: string; err: string }) => void | Promise<void>,
  rest: Rest = {},
): Promise<void> {
  const spec = sh(script, { limits, cwd: work, ...rest })
  if (!can(limits)) return await expect(run(world.executor, spec)).rejects.toMatchObject({ code: 'DENIED', fields: { reason: 'UNENFORCEABLE' }, hint: /./ })
  const ended = await run(world.executor, spec)
  await look({ ...ended, out: ended.stdout.toString(), err: ended.stderr.toString() })
}

const FILES: Limits = { sandbox: 'files' }
const PROCESSES: Limits = { sandbox: 'processes' }

describe('bounds', () => {
  test('a fork bomb stops at its bound, the device goes on, and nothing of it is left', async () => {
    const mark = randomUUID()
    const one = `sh -c sleep 30 & wait ${mark}`
    const bomb = `while :; do sh -c 'sleep 30 & wait' ${mark} & done 2>/dev/null`
    let most = 0
    const others = (async () => {
      for (let n = 0; n < 20; n++) {
        most = Math.max(most, processCount(one))
        expect((await run(world.executor, sh('echo still here'))).stdout.toString()).toBe('still here\n')
      }
    })()
    await held({ processes: 32 }, bomb, ({ why }) => expect(why).toBe('timeout'), { timeoutMs: 2_000, exe: 'bash' })
    await others
    if (can({ processes: 32 })) expect(most).toBeGreaterThan(5)
    expect(most).toBeLessThanOrEqual(32)
    await until('nothing of it is left', () => processCount(one) === 0)
  })

  test('whoever wanted more processes than that is told so', async () => {
    await held({ processes: 4 }, 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait', ({ message, exitCode }) => {
      expect(exitCode).not.toBe(0)
      expect(message).toBe('it wanted more than its 4 processes')
    })
  })

  test('a memory hog is ended and told that it was for memory; who keeps within it is not', async () => {
    await held({ memoryBytes: 32 << 20 }, 'head -c 200m /dev/zero | tail', ({ why, message }) =>
      expect({ why, message }).toEqual({ why: 'limit', message: 'stopped: it needed more memory than its 32MiB' }),
    )
    await held({ memoryBytes: 64 << 20 }, 'head -c 10m /dev/zero | wc -c', ({ out, why }) => expect({ out, why }).toEqual({ out: '10485760\n', why: 'exit' }))
  })

  test('a hog in the background ends the whole command, and not only itself', async () => {
    await held({ memoryBytes: 32 << 20 }, '(head -c 200m /dev/zero | tail) & sleep 60', ({ why, startTime, endTime }) => {
      expect(why).toBe('limit')
      expect(endTime - startTime).toBeLessThan(10_000)
    })
  })

  test('a busy loop gets its share of a processor and no more', async () => {
    const script = 'while :; do :; done & while :; do :; done & sleep 1; kill $!; kill %1 2>/dev/null; times'
    await held(
      { cpuMillis: 250 },
      script,
      ({ out }) => {
        const seconds = [...out.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest), 0)
        expect(seconds).toBeLessThan(0.6)
      },
      { exe: 'bash' },
    )
  })
})

describe('what is left', () => {
  test('a daemon that forked twice, with a session and an environment of its own, ends with its command', async () => {
    const mark = `${20_000 + process.pid}.1`
    await held(PROCESSES, `(setsid env -i sleep ${mark} >/dev/null 2>&1 </dev/null &) ; sleep 0.1`, ({ exitCode }) => expect(exitCode).toBe(0))
    await until('it is gone', () => processCount(`sleep ${mark}`) === 0)
  })

  test('the ladder: SIGTERM reaches the command and not what holds it, so that it can end well', async () => {
    if (!can(PROCESSES)) return await held(PROCESSES, 'true', () => undefined)
    const out = new Collector()
    const script = 'trap "echo ending well; exit 7" TERM; echo ready; sleep 60 & wait'
    const running = await world.executor.start(sh(script, { limits: PROCESSES, cwd: work }), out)
    await printed(out, 'ready')
    running.stop('cancelled')
    expect(await running.ended).toMatchObject({ why: 'cancelled', exitCode: 7 })
    expect(out.text(1)).toBe('ready\nending well\n')
  })

  test('paused and resumed with all of it', async () => {
    if (!can(PROCESSES)) return await held(PROCESSES, 'true', () => undefined)
    const out = new Collector()
    const running = await world.executor.start(sh('echo ready; read x; echo "$x"', { limits: PROCESSES, cwd: work, stdin: true }), out)
    await printed(out, 'ready')
    running.pause()
    void running.stdin(Buffer.from('on\n'))
    running.resume()
    expect(await running.ended).toMatchObject({ exitCode: 0 })
    expect(out.text(1)).toBe('ready\non\n')
  })
})

describe('what a sandbox shows', () => {
  test('with no network not even the loopback of the device is there', async () => {
    const server = createServer((socket) => socket.end('reached')).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const script = `exec 3<>/dev/tcp/127.0.0.1/${(server.address() as { port: number }).port} && cat <&3`
    await held(PROCESSES, script, ({ out }) => expect(out).toBe('reached'), { exe: 'bash' })
    await held({ network: false }, script, ({ out, exitCode }) => expect({ out, exitCode }).toEqual({ out: '', exitCode: 1 }), { exe: 'bash' })
    server.close()
  })

  test.each([PROCESSES, FILES])('errand’s keys and sockets are not there, by whatever path: %o', async (limits) => {
    const link = join(work, `link-${limits.sandbox}`)
    symlinkSync(errandHome, link)
    const paths = ['', '/proc/self/root', '/proc/1/root', '/proc/self/cwd/../..'].map((before) => `${before}${errandHome}/identity/device.key`)
    const script = `cat ${paths.join(' ')} ${link}/identity/device.key; umount ${errandHome}; ls -A ${errandHome}; unshare -Urm umount ${errandHome}; cat ${errandHome}/identity/device.key`
    await held(limits, `${script} 2>&1 | grep -c 'the key'`, ({ out }) => expect(out).toBe('0\n'))
    await held(limits, 'ls', () => undefined, { cwd: link }).then(
      () => expect(can(limits)).toBe(false),
      (refused: unknown) => expect(refused).toMatchObject({ code: 'BAD_CWD' }),
    )
    expect(readFileSync(join(errandHome, 'identity', 'device.key'), 'utf8')).toBe('the key')
  })

  test.each([PROCESSES, FILES])('no process but its own can be seen, signalled or traced: %o', async (limits) => {
    const script = `ls /proc | grep -cE '^[0-9]+$'; kill -0 ${process.pid} 2>/dev/null && grep -aq vitest /proc/${process.pid}/cmdline && echo found; cat /proc/${process.pid}/environ 2>/dev/null | grep -ac PATH`
    await held(limits, script, ({ out }) => {
      const [count = '', ...more] = out.trim().split('\n')
      expect(Number(count)).toBeLessThan(12)
      expect(more.join()).not.toContain('found')
    })
    expect(process.exitCode).toBeUndefined()
  })

  test.each([PROCESSES, FILES])(
    'it has no capabilities, gets no privileges, and the settings of the kernel and its own bounds are out of reach: %o',
    async (limits) => {
      const settings = ['/proc/sys/kernel/core_pattern', '/proc/sys/kernel/hostname', '/proc/sysrq-trigger', '/sys/kernel/uevent_helper']
      const script = `grep -hE '^(CapEff|CapPrm|NoNewPrivs)' /proc/self/status; for f in ${settings.join(' ')} /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/cgroup.procs; do (: >>"$f") 2>/dev/null && echo "writes $f"; done; ls /dev | grep -E '^(sd|vd|nvme|mem|kmsg)'; true`
      await held(limits, script, ({ out }) =>
        expect(out.split('\n').filter(Boolean)).toEqual(['CapPrm:\t0000000000000000', 'CapEff:\t0000000000000000', 'NoNewPrivs:\t1']),
      )
    },
  )

  test('at "files" nothing can be written but the directory that was named, and what is its own alone', async () => {
    const beside = join(root, 'beside')
    writeFileSync(beside, 'as it was')
    const script = `echo x >here; echo x >${beside}; echo x >/etc/errand-was-here; echo x >~/mine && cat ~/mine; echo x >/tmp/mine && cat /tmp/mine; ln -s ${root} out; echo x >out/beside; ls ${root}`
    await held(FILES, script, ({ out }) => {
      expect(out).toBe('x\nx\nbeside\nwork\n') // a "beside" of its own, gone with it
      expect(readFileSync(join(work, 'here'), 'utf8')).toBe('x\n')
    })
    expect(readFileSync(beside, 'utf8')).toBe('as it was')
    expect(existsSync('/etc/errand-was-here')).toBe(false)
    expect(readdirSync(tmpdir())).not.toContain('mine')
  })

  test('at "files" nothing is written where no directory was named, and a whole device is no directory', async () => {
    await held(FILES, 'echo x >here && echo written; pwd', ({ exitCode }) => expect(exitCode).toBe(0), { cwd: '' })
    if (can(FILES)) await expect(run(world.executor, sh('true', { limits: FILES, cwd: '/' }))).rejects.toMatchObject({ code: 'BAD_CWD' })
  })
})

describe('another user, on a node of root', () => {
  const asNobody = { user: 'nobody', cwd: '' }

  test('a command runs as the user that was named, with nothing of the node’s; elsewhere that is refused', async () => {
    const spec = sh(`id -un; id -Gn; echo $HOME $USER; cat ${errandHome}/identity/device.key`, asNobody)
    if (!means.isRoot) return await expect(run(world.executor, { ...spec, user: 'root' })).rejects.toMatchObject({ code: 'BAD_USER' })
    const { stdout, exitCode } = await run(world.executor, spec)
    expect(stdout.toString()).toBe('nobody\nnogroup\n/nonexistent nobody\n')
    expect(exitCode).toBe(1)
    await expect(run(world.executor, sh('true', { user: 'nobody-of-that-name', cwd: '' }))).rejects.toMatchObject({ code: 'BAD_USER' })
  })

  test('"privileges": no capabilities, no way to more of them, no signal to the node, and its bounds hold', async () => {
    if (!means.isRoot) return
    const script = `grep -hE '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status; kill -0 ${process.pid} 2>/dev/null && echo signals; cat /proc/${process.pid}/environ 2>/dev/null; cat ${errandHome}/identity/device.key; for f in /sys/fs/cgroup/*/cgroup.procs; do (: >>"$f") 2>/dev/null && echo "writes $f"; done; true`
    for (const limits of [{ sandbox: 'privileges' }, { processes: 20 }] as const) {
      const { stdout } = await run(world.executor, sh(script, { ...asNobody, limits }))
      expect(stdout.toString()).toBe('CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\n')
    }
  })

  test('at "files" as another user: that user’s directory is written to, and nothing else', async () => {
    if (!means.isRoot || !means.bwrapOfOthers) return
    const theirs = mkdtempSync('/var/tmp/errand-theirs-')
    chownSync(theirs, 65_534, 65_534)
    const { stdout } = await run(world.executor, sh('id -un; touch here; touch /var/tmp/beside; ls', { user: 'nobody', cwd: theirs, limits: FILES }))
    expect(stdout.toString()).toBe('nobody\nhere\n')
    expect(existsSync(join(theirs, 'here'))).toBe(true)
    expect(existsSync('/var/tmp/beside')).toBe(false)
    rmSync(theirs, { recursive: true })
  })
})

describe('without bwrap', () => {
  /** unshare shuts in the node's own user, or another one where the node is root's. */
  const rest = (): Rest => (means.isRoot ? { user: 'nobody', cwd: '' } : { cwd: work })
  let plain: World

  beforeAll(async () => {
    plain = await openWorld({ means: Promise.resolve({ ...means, bwrap: null, bwrapOfOthers: false }), hidden: [errandHome] })
  })
  afterAll(async () => await plain.close())

  test('unshare keeps the promises of "processes": alone with its processes, no keys, no privileges, no network', async () => {
    const script = `ls /proc | grep -cE '^[0-9]+$'; cat ${errandHome}/identity/device.key 2>/dev/null; grep -hE '^(CapEff|NoNewPrivs)' /proc/self/status; tail -n +3 /proc/net/dev | cut -d: -f1; (: >>/proc/sys/kernel/core_pattern) 2>/dev/null && echo sets; true`
    const spec = sh(script, { ...rest(), limits: { network: false } })
    if (means.unshare === null) return await expect(run(plain.executor, spec)).rejects.toMatchObject({ fields: { reason: 'UNENFORCEABLE' } })
    const [count = '', ...more] = (await run(plain.executor, spec)).stdout
      .toString()
      .trim()
      .split(/\s*\n\s*/)
    expect(Number(count)).toBeLessThan(12)
    expect(more).toEqual(['CapEff:\t0000000000000000', 'NoNewPrivs:\t1', 'lo'])
  })

  test('SIGTERM reaches the command, and a daemon of it ends with it', async () => {
    if (means.unshare === null) return
    const out = new Collector()
    const mark = `${30_000 + process.pid}.1`
    const script = `(setsid env -i sleep ${mark} >/dev/null 2>&1 </dev/null &); trap 'echo ending well; exit 7' TERM; echo ready; sleep 60 & wait`
    const running = await plain.executor.start(sh(script, { ...rest(), limits: PROCESSES }), out)
    await printed(out, 'ready')
    running.stop('cancelled')
    expect(await running.ended).toMatchObject({ why: 'cancelled', exitCode: 7 })
    await until('its daemon is gone', () => processCount(`sleep ${mark}`) === 0)
  })

  test('what only bwrap can do is refused', async () => {
    await expect(run(plain.executor, sh('true', { limits: FILES }))).rejects.toMatchObject({ fields: { reason: 'UNENFORCEABLE' }, hint: /./ })
  })
})

test('a program keeps the name it was asked by, also behind what holds it', async () => {
  const link = join(work, 'other-name')
  symlinkSync('/bin/sh', link)
  await held(PROCESSES, 'echo "$0"', ({ out }) => expect(out).toBe(`${link}\n`), { exe: link, argv: ['-c', 'tr "\\0" " " </proc/$$/cmdline | cut -d" " -f1'] })
})

test('what cannot be enforced is refused with what to do about it, and nothing runs', async () => {
  const bare = await openWorld()
  const trace = join(work, 'trace')
  for (const limits of [{ memoryBytes: 64 << 20 }, { cpuMillis: 500 }, { processes: 5 }, { network: false }, FILES] as Limits[]) {
    await expect(run(bare.executor, sh(`touch ${trace}`, { limits }))).rejects.toMatchObject({ code: 'DENIED', fields: { reason: 'UNENFORCEABLE' }, hint: /./ })
  }
  expect(existsSync(trace)).toBe(false)
  await bare.close()
})
