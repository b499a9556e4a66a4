/** What a command's files and processes give away to others on the machine: nothing. With the widest umask that a user may have. */
import { execFileSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CommandOrder } from '../../../src/tasks/ports.ts'
import { filesHolding } from '../../support/held.ts'
import { until } from '../../support/until.ts'
import { socketOf } from './wire.ts'
import { Collector, openWorld, run, sh, type World } from './world.ts'

const SECRET = `s3cret-${randomBytes(12).toString('hex')}`
let world: World
beforeAll(async () => {
  world = await openWorld({ umask: 0 })
})
afterAll(() => world.close())

const jobOf = (task: string): string => join(world.directory, 'jobs', task)

/** Everything below a directory, itself included. */
function below(path: string): string[] {
  const seen = lstatSync(path, { throwIfNoEntry: false })
  if (seen?.isDirectory() !== true) return seen === undefined ? [] : [path]
  return [path, ...readdirSync(path).flatMap((name) => below(join(path, name)))]
}

function modes(paths: readonly string[]): string[] {
  return [...new Set(paths.map((path) => lstatSync(path)).map((seen) => `${kindOf(seen)} ${(seen.mode & 0o777).toString(8)}`))].sort()
}

const kindOf = (seen: { isDirectory(): boolean; isSocket(): boolean }): string => (seen.isDirectory() ? 'directory' : seen.isSocket() ? 'socket' : 'file')

/** A command that has printed, with its record on the disk. */
async function started(script: string, more: Partial<CommandOrder> = {}, env: Record<string, string> = {}) {
  const task = randomUUID()
  const running = await world.executor.start(sh(script, { env }), new Collector(), { task, ...more })
  await until('its record is there', () => existsSync(join(jobOf(task), 'job.json')))
  const end = async (): Promise<void> => {
    running.stop('cancelled')
    await running.ended
  }
  return { task, running, end }
}

test('what a task leaves is its user’s alone: directories 0700, files and the socket 0600, while it runs and when it is over', async () => {
  const { task, end } = await started('umask; head -c 600000 /dev/zero; exec sleep 100', { attached: false })
  const spool = join(jobOf(task), 'spool')
  await until('its output is in a file', () => existsSync(spool) && readdirSync(spool).length > 0)
  const expected = ['directory 700', 'file 600']
  expect(await until('its files keep still', () => modes(below(jobOf(task))))).toEqual(expected)
  await end()
  expect(modes(below(jobOf(task)))).toEqual(expected)
  expect(modes([join(world.directory, 'jobs'), join(world.directory, 'exec'), join(world.directory, 'exec-host.log')])).toEqual(expected)
  expect(modes([socketOf(world)])).toEqual(['socket 600'])
  expect(readdirSync(join(world.directory, 'exec')).filter((name) => !name.endsWith('.sock'))).toEqual([]) // pipes have no names any more
})

test('the umask that a command has is the user’s, not the host’s', async () => {
  expect((await run(world.executor, sh('umask'))).stdout.toString().trim()).toMatch(/^0+$/)
})

test('the value of a variable is in the command and nowhere else: no file, no argument, no log, no other process', async () => {
  const { task, running, end } = await started('exec sleep 100', { attached: false }, { TOKEN: SECRET })
  const host = Number((await run(world.executor, sh('echo $PPID'))).stdout)
  expect(readFileSync(`/proc/${running.pid}/environ`, 'latin1')).toContain(SECRET)
  expect(readFileSync(join(jobOf(task), 'job.json'), 'utf8').length).toBeGreaterThan(100)
  expect(await filesHolding(world.directory, SECRET)).toEqual([])
  for (const pid of [host, running.pid]) expect(readFileSync(`/proc/${pid}/cmdline`, 'latin1')).not.toContain(SECRET)
  expect(readFileSync(`/proc/${host}/environ`, 'latin1')).not.toContain(SECRET)
  await end()
  expect(await filesHolding(jobOf(task), SECRET)).toEqual([])
})

test('a variable that is refused is named, its value is not', async () => {
  const refused = await world.executor.start(sh('true', { env: { LD_PRELOAD: SECRET } }), new Collector()).catch((thrown: unknown) => thrown)
  expect(refused).toMatchObject({ code: 'BAD_ENV', message: expect.stringContaining('LD_PRELOAD') })
  expect(JSON.stringify(refused)).not.toContain(SECRET)
})

test('the host inherits nothing of its daemon but what it needs', async () => {
  process.env['SECRET_OF_THE_DAEMON'] = SECRET
  process.env['NODE_OPTIONS_LIKE'] = SECRET
  const other = await openWorld()
  const host = Number((await run(other.executor, sh('echo $PPID; env'))).stdout.toString().split('\n')[0])
  expect(readFileSync(`/proc/${host}/environ`, 'latin1')).not.toContain(SECRET)
  delete process.env['SECRET_OF_THE_DAEMON']
  delete process.env['NODE_OPTIONS_LIKE']
  await other.close()
})

test('a directory of a task that holds anything, or is none, is not used: nothing is written where a link leads', async () => {
  const outside = join(world.directory, 'outside')
  mkdirSync(outside)
  const plant: Record<string, (job: string) => void> = {
    'a link to a directory': (job) => symlinkSync(outside, job),
    'a link to nowhere': (job) => symlinkSync(join(outside, 'none'), job),
    'a file': (job) => writeFileSync(job, ''),
    'a record in the making that leads away': (job) => {
      mkdirSync(job)
      symlinkSync(join(outside, 'victim'), join(job, 'job.json.new'))
    },
    'a spool that leads away': (job) => {
      mkdirSync(job)
      symlinkSync(outside, join(job, 'spool'))
    },
    'a spool that leads nowhere': (job) => {
      mkdirSync(job)
      symlinkSync(join(outside, 'none'), join(job, 'spool'))
    },
  }
  for (const [what, make] of Object.entries(plant)) {
    const task = randomUUID()
    make(jobOf(task))
    const refused = await world.executor.start(sh('head -c 600000 /dev/zero'), new Collector(), { task, attached: false }).catch((thrown: unknown) => thrown)
    expect([what, refused]).toEqual([what, expect.objectContaining({ code: 'TASK_EXISTS' })])
    rmSync(jobOf(task), { recursive: true, force: true })
  }
  expect(readdirSync(outside)).toEqual([])
})

test('an empty directory that a killed host left is no task', async () => {
  const task = randomUUID()
  mkdirSync(jobOf(task))
  const running = await world.executor.start(sh('exit 4'), new Collector(), { task })
  expect((await running.ended).exitCode).toBe(4)
})

test('what somebody made of a spool’s files is read as far as it can be, and holds nobody up', async () => {
  const elsewhere = join(world.directory, 'elsewhere')
  writeFileSync(elsewhere, Buffer.concat([Buffer.from([1, 6, 0, 0, 0]), Buffer.from('stolen')]))
  const tampered: Record<string, (segment: string) => void> = {
    'a length beyond the file': (segment) => writeFileSync(segment, Buffer.from([1, 0xff, 0xff, 0xff, 0xff, 65, 66])),
    'half a header': (segment) => writeFileSync(segment, Buffer.from([1, 3, 0])),
    nothing: (segment) => writeFileSync(segment, ''),
    'a link to a file of somebody else': (segment) => {
      rmSync(segment)
      symlinkSync(elsewhere, segment)
    },
    'a pipe that nobody writes to': (segment) => {
      rmSync(segment)
      execFileSync('mkfifo', [segment])
    },
    'a directory': (segment) => {
      rmSync(segment)
      mkdirSync(segment)
    },
  }
  for (const [what, make] of Object.entries(tampered)) {
    const { task, running } = await started('echo true words; sleep 0.1', { attached: false })
    await running.ended
    const [segment = ''] = readdirSync(join(jobOf(task), 'spool'))
    make(join(jobOf(task), 'spool', segment))
    let read = ''
    for await (const { bytes } of world.executor.printed(task, 0)) read += Buffer.from(bytes).toString()
    expect([what, read]).toEqual([what, ''])
  }
})
