/**
 * `npm run soak [-- --rounds N --tasks N --json]`: daemons that are killed without warning, over and over, and what becomes of the tasks.
 * Part one: N rounds of ten detached tasks on one device whose daemon is killed with -9 while they run. Part two: tasks over three
 * devices while one daemon a second is killed. Every command writes down in a file that it began and how it ended, so that what errand
 * says can be held against what happened. Exits 1 at the first untruth.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connect, type LocalClient, type TaskView } from '../../src/local/client.ts'
import { CLEAN_ENV, Cleanup, endProcess, say, sleep, succeed } from './support.ts'

const PROGRAM = fileURLToPath(new URL('../errand.cjs', import.meta.url))
const JOBS_A_ROUND = 10
const SUBMITTERS = 4
const SETTLE_MS = 120_000

class Device {
  client: LocalClient
  #child: ChildProcess | undefined
  #isKept = true

  constructor(
    readonly name: string,
    readonly home: string,
  ) {
    this.client = connect({ home })
  }

  async up(): Promise<void> {
    const args = [PROGRAM, 'up', '--home', this.home, '--name', this.name, '--json', '--listen', '/ip4/127.0.0.1/tcp/0']
    const child = spawn(process.execPath, args, { env: CLEAN_ENV, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    let seen = ''
    await new Promise<void>((resolve, reject) => {
      child.stderr.on('data', (chunk: Buffer) => (seen = `${seen}${chunk}`.slice(-4_096)))
      child.stdout.on('data', (chunk: Buffer) => chunk.toString().includes('"event":"ready"') && resolve())
      child.once('exit', (code, signal) => reject(new Error(`${this.name} ended with ${signal ?? code} before it was ready: ${seen}`)))
    })
  }

  async killAndRestart(): Promise<void> {
    const child = this.#child
    if (child === undefined || !this.#isKept) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
    if (this.#isKept) await this.up()
  }

  async down(): Promise<void> {
    this.#isKept = false
    this.client.close()
    if (this.#child !== undefined) await endProcess(this.#child)
  }
}

/** A command that says in a file when it begins and with what it ends. */
function job(diary: string, mark: string, o: { seconds: number; code: number }): string[] {
  return ['bash', '-c', `echo "begin ${mark}" >> ${diary}; sleep ${o.seconds}; echo out ${mark}; echo "end ${mark} ${o.code}" >> ${diary}; exit ${o.code}`]
}

interface Diary {
  readonly begun: ReadonlyMap<string, number>
  readonly ended: ReadonlyMap<string, number>
}

function read(path: string): Diary {
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : []
  const begun = new Map<string, number>()
  const ended = new Map<string, number>()
  for (const [what, mark = '', code] of lines.map((line) => line.split(' '))) {
    if (what === 'begin') begun.set(mark, (begun.get(mark) ?? 0) + 1)
    if (what === 'end') ended.set(mark, Number(code))
  }
  return { begun, ended }
}

/** One untruth is one line; none is what we want. */
function untruths(mark: string, task: TaskView | undefined, { begun, ended }: Diary): string[] {
  const times = begun.get(mark) ?? 0
  const code = ended.get(mark)
  if (task === undefined) return times === 0 ? [] : [`${mark}: ran, and nobody knows its task`]
  const found: string[] = []
  if (times > 1) found.push(`${mark}: ran ${times} times`)
  if (!['COMPLETED', 'FAILED', 'CANCELLED'].includes(task.state)) found.push(`${mark}: still ${task.state} (${task.why})`)
  if (task.why === 'exit' && task.exitCode !== code) found.push(`${mark}: said to have ended with ${task.exitCode}, ended with ${code}`)
  if (task.why === 'exit' && code === undefined) found.push(`${mark}: said to have ended, never did`)
  return found
}

/** A daemon that is away answers in a moment. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  const until = performance.now() + 60_000
  for (;;) {
    try {
      return await ask()
    } catch (thrown) {
      if (performance.now() > until) throw thrown
      await sleep(100)
    }
  }
}

async function settled(device: Device, id: string): Promise<TaskView> {
  const until = performance.now() + SETTLE_MS
  for (;;) {
    const task = await patiently(() => device.client.task(id))
    if (['COMPLETED', 'FAILED', 'CANCELLED'].includes(task.state) || performance.now() > until) return task
    await sleep(200)
  }
}

function orphans(directory: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${directory}/diary`)
      } catch {
        return false
      }
    })
}

async function killedWhileTenRun(directory: string, cleanup: Cleanup, rounds: number): Promise<string[]> {
  const device = new Device('one', join(directory, 'one'))
  cleanup.add(() => device.down())
  await device.up()
  const diary = join(directory, 'diary-one')
  const wrong: string[] = []
  for (let round = 0; round < rounds; round++) {
    const marks = Array.from({ length: JOBS_A_ROUND }, (_, i) => `r${round}j${i}`)
    const ids = await Promise.all(
      marks.map(async (mark, i) => (await device.client.submit({ device: 'one', command: job(diary, mark, { seconds: 0.2 + i * 0.15, code: i }) })).task),
    )
    await device.killAndRestart()
    for (const [i, id] of ids.entries()) {
      const task = await settled(device, id)
      const lost = task.why === 'exit' ? [] : [`${marks[i]}: ${task.state} (${task.why}), and not its own end`]
      wrong.push(...untruths(marks[i] ?? '', task, read(diary)), ...lost)
    }
    if (orphans(directory).length > 0) wrong.push(`round ${round}: processes were left`)
    say(`round ${round + 1} of ${rounds}: ${wrong.length} untruths`)
  }
  await device.down()
  return wrong
}

async function killedEverySecond(
  directory: string,
  cleanup: Cleanup,
  count: number,
): Promise<{ wrong: string[]; ends: Record<string, number>; kills: number }> {
  const devices = ['red', 'green', 'blue'].map((name) => new Device(name, join(directory, name)))
  for (const device of devices) {
    cleanup.add(() => device.down())
    await device.up()
  }
  const [first] = devices
  if (first === undefined) throw new Error('no devices')
  for (const other of devices.slice(1)) {
    const { code } = await first.client.invite({ mine: true })
    await succeed({ file: process.execPath, args: [PROGRAM, 'join', code, '--yes', '--json', '--home', other.home] })
  }
  const diary = join(directory, 'diary-three')
  let isOver = false
  let kills = 0
  const killer = (async () => {
    for (let turn = 0; !isOver; turn++) {
      await sleep(1_000)
      const victim = devices[1 + (turn % 2)]
      if (isOver || victim === undefined) break
      await victim.killAndRestart()
      kills++
    }
  })()
  const known = new Map<string, string>()
  const refused: string[] = []
  let next = 0
  const submit = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) {
      const target = devices[i % 3]?.name ?? ''
      const command = job(diary, `t${i}`, { seconds: (i % 10) / 10, code: i % 4 })
      const seen = await first.client.submit({ device: target, command }).catch((thrown: unknown) => void refused.push(`t${i} ${String(thrown)}`))
      if (seen !== undefined) known.set(`t${i}`, seen.task)
    }
  }
  await Promise.all(Array.from({ length: SUBMITTERS }, submit))
  isOver = true
  await killer
  const { wrong, ends } = await judged(first, known, diary)
  if (orphans(directory).length > 0) wrong.push('processes were left')
  for (const device of devices) await device.down()
  return { wrong, ends: { ...ends, refused: refused.length }, kills }
}

/** What is said of every task, held against the diary. */
async function judged(device: Device, known: ReadonlyMap<string, string>, diary: string): Promise<{ wrong: string[]; ends: Record<string, number> }> {
  const wrong: string[] = []
  const ends: Record<string, number> = {}
  for (const [mark, id] of known) {
    const task = await settled(device, id)
    ends[task.why] = (ends[task.why] ?? 0) + 1
    wrong.push(...untruths(mark, task, read(diary)))
  }
  for (const [mark, times] of read(diary).begun) if (times > 1) wrong.push(`${mark}: ran ${times} times`)
  return { wrong, ends }
}

const cleanup = new Cleanup()
try {
  const { values } = parseArgs({
    options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '50' }, tasks: { type: 'string', default: '1000' } },
  })
  const directory = cleanup.directory()
  appendFileSync(join(directory, 'diary-one'), '')
  const one = await killedWhileTenRun(directory, cleanup, Number(values.rounds))
  say(`${values.tasks} tasks over three devices, one daemon killed every second`)
  const three = await killedEverySecond(directory, cleanup, Number(values.tasks))
  const wrong = [...one, ...three.wrong]
  const facts = {
    rounds: Number(values.rounds),
    jobs: Number(values.rounds) * JOBS_A_ROUND,
    tasks: Number(values.tasks),
    kills: three.kills,
    ends: three.ends,
    wrong,
  }
  process.stdout.write(values.json === true ? `${JSON.stringify(facts)}\n` : `${JSON.stringify(facts, null, 2)}\n`)
  process.exitCode = wrong.length === 0 ? 0 : 1
} finally {
  await cleanup.run()
}
