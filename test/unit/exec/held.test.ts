/** Commands that are held: every promise of a level and of a bound is tried with real processes, real groups of the kernel and the real bwrap. */
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Limits } from '../../../protocols/task/limits.ts'
import { until } from '../../support/until.ts'
import { FILES, HeldWorld, PROCESSES } from './held-world.ts'
import { Collector, openWorld, printed, processCount, run, sh } from './world.ts'

let on: HeldWorld

beforeAll(async () => {
  on = await HeldWorld.open()
})
afterAll(async () => await on.close())

describe('bounds', () => {
  test('a fork bomb stops at its bound, the device goes on, and nothing of it is left', async () => {
    const mark = randomUUID()
    const one = `sh -c sleep 300 & wait ${mark}`
    const bomb = `while :; do sh -c 'sleep 300 & wait' ${mark} & done 2>/dev/null`
    if (!on.can({ processes: 32 })) return await on.held({ processes: 32 }, bomb, () => undefined)
    const running = await on.world.executor.start(sh(bomb, { limits: { processes: 32 }, cwd: on.work, exe: 'bash' }), new Collector())
    await until('it is as many as it may be', () => processCount(one) >= 12)
    for (let n = 0; n < 10; n++) {
      expect((await run(on.world.executor, sh('echo still here'))).stdout.toString()).toBe('still here\n')
      expect(processCount(one)).toBeLessThanOrEqual(32)
    }
    running.stop('cancelled')
    expect((await running.ended).why).toBe('cancelled')
    await until('nothing of it is left', () => processCount(one) === 0)
  })

  test('whoever wanted more processes than that is told so', async () => {
    await on.held({ processes: 4 }, 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait', ({ message, exitCode }) => {
      expect(exitCode).not.toBe(0)
      expect(message).toBe('it wanted more than its 4 processes')
    })
  })

  test('a memory hog is ended and told that it was for memory; who keeps within it is not', async () => {
    await on.held({ memoryBytes: 32 << 20 }, 'head -c 200m /dev/zero | tail', ({ why, message }) =>
      expect({ why, message }).toEqual({ why: 'limit', message: 'stopped: it needed more memory than its 32MiB' }),
    )
    await on.held({ memoryBytes: 64 << 20 }, 'head -c 10m /dev/zero | wc -c', ({ out, why }) =>
      expect({ out, why }).toEqual({ out: '10485760\n', why: 'exit' }),
    )
  })

  test('a hog in the background ends the whole command, and not only itself', async () => {
    await on.held({ memoryBytes: 32 << 20 }, '(head -c 200m /dev/zero | tail) & sleep 60', ({ why, startTime, endTime }) => {
      expect(why).toBe('limit')
      expect(endTime - startTime).toBeLessThan(10_000)
    })
  })

  test('a busy loop gets its share of a processor and no more', async () => {
    const script = 'while :; do :; done & while :; do :; done & sleep 1; kill $!; kill %1 2>/dev/null; times'
    await on.held(
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
  test('forty quick ones at once: each ends well, others get their turn, and no process and no group stays', async () => {
    const limits: Limits = { memoryBytes: 64 << 20, processes: 8 }
    const mark = `sleep 0.${process.pid}1`
    const all = Array.from({ length: 40 }, () => on.held(limits, `(setsid ${mark}1 &) ; exit 0`, ({ exitCode }) => expect(exitCode).toBe(0)))
    expect((await run(on.world.executor, sh('echo my turn'))).stdout.toString()).toBe('my turn\n')
    await Promise.all(all)
    await until('no process stays', () => processCount(`${mark}1`) === 0)
    await until('no group stays', () => on.groupsLeft().length === 0)
  })

  test('a daemon that forked twice, with a session and an environment of its own, ends with its command', async () => {
    const mark = `${20_000 + process.pid}.1`
    await on.held(PROCESSES, `(setsid env -i sleep ${mark} >/dev/null 2>&1 </dev/null &) ; sleep 0.1`, ({ exitCode }) => expect(exitCode).toBe(0))
    await until('it is gone', () => processCount(`sleep ${mark}`) === 0)
  })

  test('the ladder: SIGTERM reaches the command and not what holds it, so that it can end well', async () => {
    if (!on.can(PROCESSES)) return await on.held(PROCESSES, 'true', () => undefined)
    const out = new Collector()
    const script = 'trap "echo ending well; exit 7" TERM; echo ready; sleep 60 & wait'
    const running = await on.world.executor.start(sh(script, { limits: PROCESSES, cwd: on.work }), out)
    await printed(out, 'ready')
    running.stop('cancelled')
    expect(await running.ended).toMatchObject({ why: 'cancelled', exitCode: 7 })
    expect(out.text(1)).toBe('ready\nending well\n')
  })

  test('paused and resumed with all of it', async () => {
    if (!on.can(PROCESSES)) return await on.held(PROCESSES, 'true', () => undefined)
    const out = new Collector()
    const running = await on.world.executor.start(sh('echo ready; read x; echo "$x"', { limits: PROCESSES, cwd: on.work, stdin: true }), out)
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
    await on.held(PROCESSES, script, ({ out }) => expect(out).toBe('reached'), { exe: 'bash' })
    await on.held({ network: false }, script, ({ out, exitCode }) => expect({ out, exitCode }).toEqual({ out: '', exitCode: 1 }), { exe: 'bash' })
    server.close()
  })

  test.each([PROCESSES, FILES])('errand’s keys and sockets are not there, by whatever path: %o', async (limits) => {
    const link = join(on.work, `link-${limits.sandbox}`)
    symlinkSync(on.errandHome, link)
    const paths = ['', '/proc/self/root', '/proc/1/root', '/proc/self/cwd/../..'].map((before) => `${before}${on.errandHome}/identity/device.key`)
    const script = `cat ${paths.join(' ')} ${link}/identity/device.key; umount ${on.errandHome}; ls -A ${on.errandHome}; unshare -Urm umount ${on.errandHome}; cat ${on.errandHome}/identity/device.key`
    await on.held(limits, `${script} 2>&1 | grep -c 'the key'`, ({ out }) => expect(out).toBe('0\n'))
    await on
      .held(limits, 'ls', () => undefined, { cwd: link })
      .then(
        () => expect(on.can(limits)).toBe(false),
        (refused: unknown) => expect(refused).toMatchObject({ code: 'BAD_CWD' }),
      )
    expect(readFileSync(join(on.errandHome, 'identity', 'device.key'), 'utf8')).toBe('the key')
  })

  test.each([PROCESSES, FILES])('no process but its own can be seen, signalled or traced: %o', async (limits) => {
    const script = `ls /proc | grep -cE '^[0-9]+$'; kill -0 ${process.pid} 2>/dev/null && grep -aq vitest /proc/${process.pid}/cmdline && echo found; cat /proc/${process.pid}/environ 2>/dev/null | grep -ac PATH`
    await on.held(limits, script, ({ out }) => {
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
      await on.held(limits, script, ({ out }) =>
        expect(out.split('\n').filter(Boolean)).toEqual(['CapPrm:\t0000000000000000', 'CapEff:\t0000000000000000', 'NoNewPrivs:\t1']),
      )
    },
  )

  test('at "files" nothing can be written but the directory that was named, and what is its own alone', async () => {
    const beside = join(on.root, 'beside')
    writeFileSync(beside, 'as it was')
    const script = `echo x >here; echo x >${beside}; echo x >/etc/errand-was-here; echo x >~/mine && cat ~/mine; echo x >/tmp/mine && cat /tmp/mine; ln -s ${on.root} out; echo x >out/beside; ls ${on.root}`
    await on.held(FILES, script, ({ out }) => {
      expect(out).toBe('x\nx\nbeside\nwork\n') // a "beside" of its own, gone with it
      expect(readFileSync(join(on.work, 'here'), 'utf8')).toBe('x\n')
    })
    expect(readFileSync(beside, 'utf8')).toBe('as it was')
    expect(existsSync('/etc/errand-was-here')).toBe(false)
    expect(readdirSync(tmpdir())).not.toContain('mine')
  })

  test('at "files" nothing is written where no directory was named, and a whole device is no directory', async () => {
    await on.held(FILES, 'echo x >here && echo written; pwd', ({ exitCode }) => expect(exitCode).toBe(0), { cwd: '' })
    if (on.can(FILES)) await expect(run(on.world.executor, sh('true', { limits: FILES, cwd: '/' }))).rejects.toMatchObject({ code: 'BAD_CWD' })
  })
})

test('a program keeps the name it was asked by, also behind what holds it', async () => {
  const link = join(on.work, 'other-name')
  symlinkSync('/bin/sh', link)
  await on.held(PROCESSES, 'echo "$0"', ({ out }) => expect(out).toBe(`${link}\n`), {
    exe: link,
    argv: ['-c', 'tr "\\0" " " </proc/$$/cmdline | cut -d" " -f1'],
  })
})

test('what cannot be enforced is refused with what to do about it, and nothing runs', async () => {
  const bare = await openWorld()
  const trace = join(on.work, 'trace')
  for (const limits of [{ memoryBytes: 64 << 20 }, { cpuMillis: 500 }, { processes: 5 }, { network: false }, FILES] as Limits[]) {
    await expect(run(bare.executor, sh(`touch ${trace}`, { limits }))).rejects.toMatchObject({ code: 'DENIED', fields: { reason: 'UNENFORCEABLE' }, hint: /./ })
  }
  expect(existsSync(trace)).toBe(false)
  await bare.close()
})
