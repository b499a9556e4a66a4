import { expect, test } from 'vitest'
import { type Accepted, type Ended, EXEC, TAG } from '../../../protocols/exec/messages.ts'
import { encode } from '../../../protocols/wire.ts'
import type { Fact } from '../../../src/audit/facts.ts'
import { decodeDelegation } from '../../../src/authority/token.ts'
import { ErrandError } from '../../../src/base/errors.ts'
import { type Frame, FrameLink } from '../../../src/base/frames.ts'
import { memoryLinks } from '../../../src/base/memory-link.ts'
import type { Op } from '../../../src/base/op.ts'
import type { ExecRoute } from '../../../src/runtime/far.ts'
import { Keyring } from '../../../src/runtime/keyring.ts'
import { Submitter } from '../../../src/runtime/submit.ts'
import { Store } from '../../../src/store/level.ts'
import { TaskBook } from '../../../src/tasks/book.ts'
import type { TaskId } from '../../../src/tasks/machine.ts'
import { settled } from '../base/hand-clock.ts'
import { MemoryDisk } from '../store/disks.ts'
import { alice, bob, MeshWorld } from './mesh-world.ts'

const TASK = '0190f3b0-0000-7000-8000-000000000001'
const SIGNAL = new AbortController().signal
const ACCEPTED: Accepted = { task: TASK, startTime: 1 }
const ENDED: Ended = { exitCode: 0, signal: null, why: 'exit', startTime: 1, endTime: 2, stdoutBytes: 0, stderrBytes: 0 }

/** A log whose appends become durable, or fail, when the test says so. */
class SlowLog {
  readonly begun: string[] = []
  broken: ErrandError | undefined
  readonly #settle: { done(): void; failed(error: Error): void }[] = []

  refusal(): ErrandError | undefined {
    return this.broken
  }

  /** Where the writes that ride along go. */
  commit: (ops: readonly Op[]) => Promise<void> = () => Promise.resolve()

  async append({ action }: Fact, along: readonly Op[] = []): Promise<void> {
    if (this.broken !== undefined) throw this.broken
    this.begun.push(action)
    await new Promise<void>((resolve, reject) => this.#settle.push({ done: resolve, failed: reject }))
    await this.commit(along)
  }

  sync(): void {
    for (const { done } of this.#settle.splice(0)) done()
  }

  fail(): void {
    for (const { failed } of this.#settle.splice(0)) failed(new ErrandError('LOG_UNAVAILABLE', 'no space left'))
  }
}

/** What came out of a link so far. */
function collect(link: FrameLink): Frame[] {
  const frames: Frame[] = []
  const read = async (): Promise<void> => {
    for (let frame = await link.read(); frame !== undefined; frame = await link.read()) frames.push(frame)
  }
  void read().catch(() => undefined) // cut off: what came is there
  return frames
}

/** alice asks bob; the test is bob. */
async function submit(log: SlowLog, o: { open?: ExecRoute['open'] } = {}) {
  const mesh = new MeshWorld()
  const { directory, wallet, revocations } = mesh.device()
  const { clock, random } = mesh
  for (const bytes of [mesh.founder, mesh.member(bob, 'bob')]) directory.admitMember(bytes)
  wallet.add(mesh.grant(bob, alice, bob).bytes)
  const [mine, far] = memoryLinks().map((link) => new FrameLink(link, EXEC.maxFrameBytes))
  const [client, near] = memoryLinks().map((link) => new FrameLink(link, EXEC.maxFrameBytes))
  if (mine === undefined || far === undefined || client === undefined || near === undefined) throw new TypeError('two ends each')
  const line = { link: mine, challenge: random(16), synced: Promise.resolve(), host: null }
  const disk = new MemoryDisk()
  const store = await Store.on(disk, 'memory')
  log.commit = (ops) => store.commit(ops)
  const book = await TaskBook.open({ store: store.shelf('tasks'), clock })
  const syncs = disk.syncs
  const submitter = new Submitter({
    keyring: new Keyring({ device: alice, wallet, revocations, clock, random }),
    directory,
    route: { open: o.open ?? (() => Promise.resolve(line)) },
    door: { serve: () => Promise.reject(new TypeError('nothing is asked of this device itself')) },
    book,
    audit: log,
    clock,
    random,
    newTaskId: () => TASK,
  })
  const done = submitter.exec({ device: 'bob', command: ['true'] }, near, { signal: SIGNAL })
  return { clock, far, client, asked: collect(far), told: collect(client), done, book, syncs: () => disk.syncs - syncs }
}

const tagsOf = (frames: readonly Frame[]): number[] => frames.map(({ tag }) => tag)

test('the request leaves first and the record follows in the next turn; nothing of the answer is handed on before it is durable', async () => {
  const log = new SlowLog()
  const { clock, far, asked, told, done } = await submit(log)
  await settled()
  expect(tagsOf(asked)).toEqual([TAG.open])
  expect(log.begun).toEqual([])
  clock.advance(1)
  expect(log.begun).toEqual(['task.submit'])
  await far.writeAll([TAG.accepted, encode(ACCEPTED)], [TAG.stdout, Buffer.from('hi')], [TAG.ended, encode(ENDED)])
  await settled()
  expect(tagsOf(told), 'not durable yet').toEqual([])
  log.sync()
  await done
  await settled()
  expect(tagsOf(told)).toEqual([TAG.accepted, TAG.stdout, TAG.ended])
})

test('an answer that is there before the record was begun does not overtake it', async () => {
  const log = new SlowLog()
  const { clock, far, told, done } = await submit(log)
  await far.writeAll([TAG.accepted, encode(ACCEPTED)], [TAG.ended, encode(ENDED)])
  await settled()
  expect(log.begun).toEqual(['task.submit'])
  expect(tagsOf(told)).toEqual([])
  log.sync()
  await done
  clock.advance(1_000)
  expect(log.begun, 'recorded once').toEqual(['task.submit'])
  await settled()
  expect(tagsOf(told)).toEqual([TAG.accepted, TAG.ended])
})

test('while a line is sought the record is made already', async () => {
  const log = new SlowLog()
  const { clock } = await submit(log, { open: () => new Promise(() => undefined) })
  await settled()
  clock.advance(1)
  expect(log.begun).toEqual(['task.submit'])
})

test('a command that could not be sent is recorded before its failure', async () => {
  const log = new SlowLog()
  const { told, done } = await submit(log, { open: () => Promise.reject(new ErrandError('NO_ROUTE', 'bob cannot be reached')) })
  await settled()
  expect(log.begun).toEqual(['task.submit'])
  log.sync()
  await settled()
  expect(log.begun).toEqual(['task.submit', 'task.failed'])
  expect(tagsOf(told)).toEqual([])
  log.sync()
  await done
  await settled()
  expect(tagsOf(told)).toEqual([TAG.refused])
})

test('with a log that is broken nothing leaves', async () => {
  const log = new SlowLog()
  log.broken = new ErrandError('LOG_UNAVAILABLE', 'no space left')
  const { asked, told, done } = await submit(log)
  await done
  await settled()
  expect(tagsOf(asked)).toEqual([])
  expect(tagsOf(told)).toEqual([TAG.refused])
})

test('a record that fails meanwhile cuts the command off, and its answer is not handed on', async () => {
  const log = new SlowLog()
  const { clock, far, told, done } = await submit(log)
  await settled()
  clock.advance(1)
  await far.writeAll([TAG.accepted, encode(ACCEPTED)], [TAG.stdout, Buffer.from('hi')])
  await settled()
  log.fail()
  await settled()
  log.sync() // the entry that says so
  await done
  await settled()
  expect(tagsOf(told)).toEqual([TAG.refused])
  expect(() => far.write(TAG.stdout), 'the line is cut').toThrow('no space left')
})

test('a client that says what no client says has its command ended and hears why; our record says what became of it', async () => {
  for (const [tag, said] of [
    [TAG.resize, 'no JSON'],
    [TAG.resize, '{"columns":0,"rows":24}'],
    [TAG.resumeAt, '{}'],
  ] as const) {
    const log = new SlowLog()
    const { clock, far, client, asked, told, done, book } = await submit(log)
    await settled()
    clock.advance(1)
    log.sync()
    await far.write(TAG.accepted, encode(ACCEPTED))
    await settled()
    await client.write(tag, Buffer.from(said))
    await settled()
    expect(tagsOf(asked)).toEqual([TAG.open, TAG.cancel])
    await far.write(TAG.ended, encode({ ...ENDED, exitCode: null, signal: 'SIGTERM', why: 'cancelled' } satisfies Ended))
    await done
    await settled()
    expect(tagsOf(told)).toEqual([TAG.accepted, TAG.refused])
    expect(JSON.parse(Buffer.from(told[1]?.payload.subarray() ?? []).toString())).toMatchObject({ code: 'BAD_REQUEST' })
    clock.advance(1_000)
    await settled()
    expect(await book.get(TASK as TaskId)).toMatchObject({ state: 'CANCELLED' })
  }
})

test('a client that leaves its command to itself: the device gets a mandate, and only its word that it goes on ends the conversation', async () => {
  const log = new SlowLog()
  const { clock, far, client, asked, told, done, book } = await submit(log)
  await settled()
  clock.advance(1)
  log.sync()
  await far.write(TAG.accepted, encode(ACCEPTED))
  await client.write(TAG.detach)
  await settled()
  expect(tagsOf(asked)).toEqual([TAG.open, TAG.detach])
  expect(decodeDelegation(asked[1]?.payload.subarray() ?? new Uint8Array())).toMatchObject({ iss: alice.did, aud: bob.did, cmd: '/exec/run' })
  await far.write(TAG.detached, encode({ fault: { code: 'DENIED', message: 'no', source: 'device' } }))
  await settled()
  expect([tagsOf(told), (await book.get(TASK as TaskId))?.detached]).toEqual([[TAG.accepted, TAG.detached], false])
  await client.write(TAG.detach)
  await far.write(TAG.detached, encode({}))
  await done
  await settled()
  expect(told.slice(1).map(({ payload }) => JSON.parse(Buffer.from(payload.subarray()).toString()))).toEqual([
    { task: TASK, fault: expect.objectContaining({ code: 'DENIED', message: 'no' }) },
    { task: TASK },
  ])
  expect(await book.get(TASK as TaskId)).toMatchObject({ detached: true, state: 'RUNNING' })
})

test('a command on another device costs its submitter one sync before the answer, and one for all that followed a while later', async () => {
  const log = new SlowLog()
  const { clock, far, done, book, syncs } = await submit(log)
  await settled()
  clock.advance(1)
  await far.writeAll([TAG.accepted, encode(ACCEPTED)], [TAG.ended, encode(ENDED)])
  log.sync()
  await done
  await settled()
  expect(syncs()).toBe(1)
  clock.advance(1_000)
  await settled()
  expect(syncs()).toBe(2)
  expect(await book.get(TASK as TaskId)).toMatchObject({ state: 'COMPLETED', startedAt: 1, endedAt: 2, attempts: 1 })
})
