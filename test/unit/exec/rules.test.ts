import { chmodSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { buildEnvironment, FIXED_PATH } from '../../../src/exec/environment.ts'
import { createExecutor } from '../../../src/exec/executor.ts'
import { resolveExecutable } from '../../../src/exec/resolve.ts'
import { Collector, command, openWorld, run, sh, type World } from './world.ts'

let world: World
let bin: string
beforeAll(async () => {
  process.env['ERRAND_TEST_CANARY'] = 'must not be seen'
  process.env['LC_TIME'] = 'C'
  world = await openWorld()
  bin = join(world.directory, 'bin')
  mkdirSync(bin)
})
afterAll(async () => {
  delete process.env['ERRAND_TEST_CANARY']
  await world.close()
})

const refusal = (spec: Parameters<World['executor']['start']>[0]) =>
  world.executor.start(spec, new Collector()).then(
    () => 'started',
    (fault: Error) => fault,
  )

function script(name: string, mode: number, body = '#!/bin/sh\necho "$0"\n'): string {
  const file = join(bin, name)
  writeFileSync(file, body)
  chmodSync(file, mode)
  return file
}

test('no shell looks at the arguments', async () => {
  const argv = ['$HOME', '`id`', '; rm -rf /', '*', '', ' a  b ', '"', '\n', '--', 'ü']
  const ended = await run(world.executor, command('printf', ['%s\\0', ...argv]))
  expect(ended.stdout.toString().split('\0').slice(0, -1)).toEqual(argv)
})

test('a name that is nowhere is not found, an absolute path that is nowhere too', async () => {
  expect(await refusal(command('no-such-command'))).toMatchObject({ code: 'COMMAND_NOT_FOUND' })
  expect(await refusal(command('/no/such/command'))).toMatchObject({ code: 'COMMAND_NOT_FOUND' })
  expect(await refusal(command('/etc/passwd/command'))).toMatchObject({ code: 'COMMAND_NOT_FOUND' })
})

test('a directory, a plain file and a relative path are found but not executable', async () => {
  expect(await refusal(command('/etc'))).toMatchObject({ code: 'NOT_EXECUTABLE' })
  expect(await refusal(command('..'))).toMatchObject({ code: 'NOT_EXECUTABLE' })
  expect(await refusal(command('/etc/passwd'))).toMatchObject({ code: 'NOT_EXECUTABLE', message: '/etc/passwd is not executable' })
  expect(await refusal(command('./flash.sh'))).toMatchObject({ code: 'NOT_EXECUTABLE', hint: 'write the absolute path on the device' })
  expect(await refusal(command('bin/true'))).toMatchObject({ code: 'NOT_EXECUTABLE' })
})

test('a program that others can rewrite is refused, by name and by path', async () => {
  const open = script('open', 0o757)
  expect(await refusal(command(open))).toMatchObject({ code: 'NOT_EXECUTABLE', hint: `chmod go-w ${realpathSync(open)}` })
  chmodSync(open, 0o755)
  expect((await run(world.executor, command(open))).exitCode).toBe(0)
  const shared = script('shared', 0o775)
  const { uid, gid } = userInfo()
  expect(resolveExecutable(shared, [], { uid, gid })).toBe(realpathSync(shared)) // umask 002 in one's own group
  expect(() => resolveExecutable(shared, [], { uid: uid + 1, gid })).toThrow(expect.objectContaining({ code: 'NOT_EXECUTABLE' }))
})

test('a script whose interpreter is missing says so', async () => {
  expect(await refusal(command(script('orphan', 0o755, '#!/no/such/interpreter\n')))).toMatchObject({ code: 'NOT_EXECUTABLE' })
})

test('links are resolved before the start; the program still sees the name it was called by', async () => {
  symlinkSync('/bin/sh', join(bin, 'other-name'))
  const ended = await run(world.executor, command(join(bin, 'other-name'), ['-c', 'readlink /proc/$$/exe; echo "$0"']))
  expect(ended.stdout.toString().split('\n')).toEqual([realpathSync('/bin/sh'), join(bin, 'other-name'), ''])
})

test('configured directories add names and replace none', async () => {
  script('errand-only-here', 0o755, '#!/bin/sh\necho here\n')
  script('sh', 0o755, '#!/no/such/interpreter\n')
  const other = await openWorld({ path: [bin] })
  expect((await run(other.executor, command('errand-only-here'))).stdout.toString()).toBe('here\n')
  expect((await run(other.executor, sh('echo "$PATH"'))).stdout.toString()).toBe(`${[...FIXED_PATH, bin].join(':')}\n`)
  await other.close()
  expect(() => createExecutor({ clock: systemClock, device: 'did:key:z6Mk', jobsDir: '/tmp/jobs', hostFile: '', runtimeDir: '', path: ['relative'] })).toThrow(
    TypeError,
  )
})

test('the environment is what the list says and nothing else', async () => {
  const ended = await run(world.executor, command('env', ['-0'], { env: { GREETING: 'hello\nworld', LANG: 'de_DE.UTF-8' } }))
  const seen = Object.fromEntries(
    ended.stdout
      .toString()
      .split('\0')
      .slice(0, -1)
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
  const user = userInfo()
  expect(seen).toMatchObject({
    PATH: FIXED_PATH.join(':'),
    HOME: user.homedir,
    USER: user.username,
    LOGNAME: user.username,
    GREETING: 'hello\nworld',
    LANG: 'de_DE.UTF-8',
    LC_TIME: 'C',
  })
  const allowed = /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|TZ|LC_[A-Z]+|GREETING|ERRAND_TASK|ERRAND_PROGRESS_FD)$/
  expect(Object.keys(seen).filter((name) => !allowed.test(name))).toEqual([])
})

const DENIED =
  'LD_PRELOAD LD_LIBRARY_PATH GCONV_PATH GLIBC_TUNABLES MALLOC_CHECK_ NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS npm_config_prefix NPM_CONFIG_PREFIX PYTHONPATH PYTHONSTARTUP PERL5LIB PERL5OPT RUBYOPT RUBYLIB JAVA_TOOL_OPTIONS _JAVA_OPTIONS BASH_ENV ENV BASHOPTS SHELLOPTS PS4 IFS CDPATH BASH_FUNC_ls GIT_SSH GIT_SSH_COMMAND GIT_EXTERNAL_DIFF GIT_CONFIG GIT_CONFIG_COUNT SSH_ASKPASS EDITOR PAGER LESSOPEN MANPAGER TERMINFO TERMINFO_DIRS SUDO_ASKPASS SYSTEMD_LOG_LEVEL NOTIFY_SOCKET LISTEN_FDS DBUS_SESSION_BUS_ADDRESS PATH HOME USER LOGNAME SHELL'.split(
    ' ',
  )

test.each(DENIED)('%s is refused by name', async (name) => {
  expect(await refusal(sh('true', { env: { [name]: 'secret-value' } }))).toMatchObject({
    code: 'BAD_ENV',
    message: expect.stringContaining(name),
    fields: { name },
  })
})

test('a refusal never repeats the value; functions, NUL and odd names are refused', async () => {
  for (const env of [
    { A: '() { :; }; echo secret' },
    { A: '  () { secret' },
    { A: 'secret\0' },
    { 'A=B': 'secret' },
    { '': 'secret' },
    { 'A\0': 'secret' },
    { '1A': 'secret' },
  ]) {
    const fault = await refusal(sh('true', { env }))
    expect(fault).toMatchObject({ code: 'BAD_ENV' })
    expect(inspect(fault)).not.toContain('secret')
  }
})

test('harmless names pass, whatever they are', () => {
  const house = { user: 'u', home: '/h', shell: '/bin/sh', path: ['/bin'], inherited: { SECRET: 'x', TZ: 'UTC' } }
  fc.assert(
    fc.property(fc.stringMatching(/^X_[A-Z0-9_]{0,20}$/), fc.stringMatching(/^[a-z]{0,20}$/), (name, value) => {
      expect(buildEnvironment({ [name]: value }, house)).toEqual({
        PATH: '/bin',
        HOME: '/h',
        USER: 'u',
        LOGNAME: 'u',
        SHELL: '/bin/sh',
        TZ: 'UTC',
        [name]: value,
      })
    }),
  )
})

test('the working directory is the home when none is asked for, the real path otherwise', async () => {
  symlinkSync('/usr', join(bin, 'to-usr'))
  expect((await run(world.executor, command('pwd', ['-P'], { cwd: '' }))).stdout.toString()).toBe(`${realpathSync(userInfo().homedir)}\n`)
  expect((await run(world.executor, command('pwd', ['-P'], { cwd: join(bin, 'to-usr') }))).stdout.toString()).toBe('/usr\n')
})

test('a working directory that is relative, missing, a file or holds NUL is refused', async () => {
  for (const cwd of ['tmp', './', '/no/such/dir', '/etc/passwd', '/tmp\0/x']) expect(await refusal(sh('true', { cwd }))).toMatchObject({ code: 'BAD_CWD' })
})

test('a command makes files with the umask that the node was given, not with the private one of the daemon', async () => {
  const other = await openWorld({ umask: 0o027 })
  expect((await run(other.executor, sh('umask'))).stdout.toString().trim()).toBe('0027')
  await other.close()
})

test('another user is refused; the node’s own name is not', async () => {
  expect(await refusal(sh('true', { user: 'somebody-else' }))).toMatchObject({ code: 'BAD_USER' })
  expect((await run(world.executor, sh('true', { user: userInfo().username }))).exitCode).toBe(0)
})

test('NUL in an argument or a name, and a specification beyond its caps, start nothing', async () => {
  expect(await refusal(command('echo', ['a\0b']))).toMatchObject({ code: 'SPAWN_FAILED' })
  expect(await refusal(command('echo\0x'))).toMatchObject({ code: 'NOT_EXECUTABLE' })
  expect(
    await refusal(
      command(
        'echo',
        Array.from({ length: 2_000 }, () => 'x'),
      ),
    ),
  ).toMatchObject({ code: 'SPAWN_FAILED', message: expect.stringContaining('argv') })
  expect((await run(world.executor, sh('echo still here'))).stdout.toString()).toBe('still here\n')
})
