/** The spool of a task: whatever was printed in whatever pieces, every byte that is still kept is at its offset. Real files. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Spool } from '../../../src/exec/spool.ts'
import { readSpool } from '../../../src/exec/spool-files.ts'
import type { Printed } from '../../../src/tasks/ports.ts'
import { until } from '../../support/until.ts'
import { Collector, command, openWorld, run, sh, type World } from './world.ts'

let root: string
let world: World
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'errand-spool-'))
  world = await openWorld()
})
afterAll(async () => {
  rmSync(root, { recursive: true, force: true })
  await world.close()
})

const KIB = 1 << 10
let made = 0
const directory = (): string => join(root, String(made++))

/** What was printed, byte by byte: the reference. */
class Printout {
  readonly #bytes: Buffer[] = []
  readonly #fds: Buffer[] = []
  end = 0

  next(fd: 1 | 2, length: number): Uint8Array {
    const bytes = Buffer.from(Array.from({ length: Math.min(length, 64) }, (_, i) => (this.end + i * 7) & 0xff))
    const whole = length === 0 ? Buffer.alloc(0) : Buffer.alloc(length, bytes)
    this.#bytes.push(whole)
    this.#fds.push(Buffer.alloc(length, fd))
    this.end += length
    return whole
  }

  /**
   * @param kept what lies before it may be dropped while somebody reads.
   * @returns what is wrong with the pieces as an account of everything from the offset of the first.
   */
  faultOf(pieces: readonly Printed[], from: number, kept = 0): string | undefined {
    const [all, fds] = [Buffer.concat(this.#bytes), Buffer.concat(this.#fds)]
    let at = Math.max(from, pieces[0]?.offset ?? this.end)
    for (const { fd, bytes, offset } of pieces) {
      if (offset < at || (offset > at && offset > kept)) return `a hole: ${offset} after ${at}`
      at = offset
      if (!all.subarray(at, at + bytes.length).equals(bytes)) return `other bytes at ${at}`
      if (!fds.subarray(at, at + bytes.length).equals(Buffer.alloc(bytes.length, fd))) return `of another stream at ${at}`
      at += bytes.length
    }
    return at === this.end ? undefined : `ends at ${at} of ${this.end}`
  }
}

async function readAll(spool: Spool, from: number): Promise<Printed[]> {
  const pieces: Printed[] = []
  for (let next = await spool.read(from), at = from; next.length > 0; next = await spool.read(at)) {
    for (const one of next) pieces.push(one)
    const last = next.at(-1)
    at = last === undefined ? at : last.offset + last.bytes.length
  }
  return pieces
}

async function inFiles(path: string, from: number): Promise<Printed[]> {
  const pieces: Printed[] = []
  for await (const printed of readSpool(path, from)) pieces.push({ ...printed, bytes: Uint8Array.from(printed.bytes) })
  return pieces
}

/** Bytes that this process has had from `read` and its kin, ever. */
const readByThisProcess = (): number => Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'latin1'))?.[1])

/** Bytes that somebody still holds. */
function retained(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc()')
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const Step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ t: fc.constant('print' as const), fd: fc.constantFrom<(1 | 2)[]>(1, 2), length: fc.oneof(fc.nat(40), fc.nat(400 * KIB)) }),
  },
  { weight: 1, arbitrary: fc.record({ t: fc.constant('flush' as const) }) },
  { weight: 2, arbitrary: fc.record({ t: fc.constant('read' as const), at: fc.double({ min: 0, max: 1, noNaN: true }) }) },
)

test('whatever is printed, flushed and read in whatever order: every byte that is kept is where it belongs, and at least the cap is kept', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(Step, { maxLength: 60, size: 'max' }), fc.constantFrom(64 * KIB, 512 * KIB, 64 << 20), async (steps, maxBytes) => {
      const path = directory()
      const [spool, printout] = [new Spool(path, maxBytes), new Printout()]
      for (const step of steps) {
        if (step.t === 'print') await spool.append(step.fd, printout.next(step.fd, step.length))
        else if (step.t === 'flush') await spool.flush()
        else {
          const from = Math.floor(step.at * printout.end)
          const pieces = await readAll(spool, from)
          expect(printout.faultOf(pieces, from, spool.kept)).toBeUndefined()
        }
      }
      expect(spool.end).toBe(printout.end)
      await spool.close()
      expect(spool.kept).toBeLessThanOrEqual(Math.max(0, printout.end - maxBytes))
      expect(printout.end - spool.kept).toBeLessThanOrEqual(maxBytes + Math.max(256 * KIB, maxBytes >> 3) + (1 << 20))
      for (const from of [0, Math.floor(printout.end / 2), printout.end]) {
        const pieces = await inFiles(path, from)
        expect(printout.faultOf(pieces, from)).toBeUndefined()
        if (pieces.length > 0) expect(pieces[0]?.offset).toBe(Math.max(from, spool.kept))
      }
      rmSync(path, { recursive: true, force: true })
    }),
    { numRuns: 25 },
  )
})

test('a reader far behind reads what it gets, and not what lies before it in the same file', async () => {
  const [spool, printout] = [new Spool(directory(), 64 << 20), new Printout()]
  for (let i = 0; i < 256; i++) await spool.append(1, printout.next(1, 64 * KIB))
  await spool.flush()
  const before = readByThisProcess()
  expect(printout.faultOf(await readAll(spool, 0), 0)).toBeUndefined()
  expect((readByThisProcess() - before) / printout.end).toBeLessThan(1.5)
  await spool.close()
})

test('who prints on in the moment in which a flush ends is not forgotten', async () => {
  const path = directory()
  const [spool, printout] = [new Spool(path, 64 << 20), new Printout()]
  for (let i = 0; i < 20; i++) await spool.append(1, printout.next(1, 4_096 * KIB)) // each alone is more than may wait
  expect(spool.end).toBe(20 * 4_096 * KIB)
  await spool.close()
})

test('a file that was cut off in the middle of a record ends with its last whole one', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 20 }), fc.nat(), async (lengths, cutAt) => {
      const path = directory()
      const [spool, printout] = [new Spool(path, 64 << 20), new Printout()]
      for (const [i, length] of lengths.entries()) void spool.append(i % 2 === 0 ? 1 : 2, printout.next(i % 2 === 0 ? 1 : 2, length))
      await spool.close()
      const file = join(path, readdirSync(path)[0] ?? '')
      const whole = await inFiles(path, 0)
      const size = cutAt % (statSync(file).size + 1)
      truncateSync(file, size)
      let left = size
      const expected = whole.filter(({ bytes }) => {
        left -= 5 + bytes.length
        return left >= 0
      })
      expect(await inFiles(path, 0)).toEqual(expected)
    }),
    { numRuns: 40 },
  )
})

test('output in single bytes, the streams in turn, costs neither memory nor time', async () => {
  const [spool, printout] = [new Spool(directory(), 1 << 20), new Printout()]
  const before = retained()
  const began = performance.now()
  for (let i = 0; i < 400_000; i++) {
    const fd = i % 2 === 0 ? 1 : 2
    const wait = spool.append(fd, Uint8Array.of(i & 0xff))
    printout.end++
    if (wait !== undefined) await wait
  }
  expect(retained() - before).toBeLessThan(16 << 20)
  expect(performance.now() - began).toBeLessThan(20_000)
  let at = spool.start
  for (const { bytes, offset, fd } of await readAll(spool, 0)) {
    if (offset !== at || bytes.length !== 1 || bytes[0] !== (at & 0xff) || fd !== (at % 2 === 0 ? 1 : 2)) expect.unreachable(`other bytes at ${at}`)
    at += bytes.length
  }
  expect(at).toBe(400_000)
})

test('a disk that takes nothing costs old output and not the command; when it takes again, so does the spool', async () => {
  const path = directory()
  const [spool, printout] = [new Spool(path, 64 << 20), new Printout()]
  const print = async (chunks: number): Promise<void> => {
    for (let i = 0; i < chunks; i++) await spool.append(1, printout.next(1, 64 * KIB))
  }
  await print(20)
  await spool.flush()
  rmSync(path, { recursive: true, force: true })
  execFileSync('touch', [path]) // a file in the place of the directory: nothing can be opened below it
  await print(100) // the open segment still takes some of it
  await print(100)
  expect(spool.end).toBe(printout.end)
  const near = printout.end - 512 * KIB
  expect(printout.faultOf(await readAll(spool, near), near)).toBeUndefined()
  expect(spool.start).toBeGreaterThan(0)
  rmSync(path)
  await print(10)
  await spool.close()
  expect(spool.kept).toBeLessThan(printout.end)
  const kept = await inFiles(path, 0)
  expect(kept[0]?.offset).toBe(spool.kept)
  expect(printout.faultOf(kept, spool.kept)).toBeUndefined()
})

test('the host on a full disk: the command prints on, an attached reader gets every byte, a detached task says what is lost', async () => {
  const host = Number((await run(world.executor, sh('echo $PPID'))).stdout)
  execFileSync('prlimit', ['--pid', String(host), '--fsize=1000000:1000000'])
  const bytes = 12 << 20
  const attached = await run(world.executor, command('head', ['-c', String(bytes), '/dev/zero']))
  expect(attached).toMatchObject({ why: 'exit', exitCode: 0, stdoutBytes: bytes })
  expect(attached.stdout.length).toBe(bytes)
  const detached = await world.executor.start(command('head', ['-c', String(bytes), '/dev/zero']), new Collector(), { attached: false })
  const ended = await detached.ended
  expect(ended).toMatchObject({ why: 'exit', exitCode: 0, stdoutBytes: bytes })
  expect(ended.droppedBytes).toBeGreaterThan(bytes - (2 << 20))
  await until('the host is well', async () => (await run(world.executor, sh('echo well'))).stdout.toString() === 'well\n')
})
