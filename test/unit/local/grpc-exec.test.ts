/** Commands over gRPC: what a client sends reaches the runtime, what the command does reaches the client, and each holds the other back. */
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { TAG } from '../../../protocols/exec/messages.ts'
import type { AttachRequest, ExecRequest } from '../../../protocols/local/messages.ts'
import { ErrandError } from '../../../src/base/errors.ts'
import type { FrameLink } from '../../../src/base/frames.ts'
import { until } from '../../support/until.ts'
import { all, bytesIn, failureOf, grpcWorld, type Message } from './grpc-world.ts'
import { accept, end, execs, json, OUTCOME } from './scripted.ts'

const EXECUTE = '/errand.v1.Exec/Execute'
const STREAM = '/errand.v1.Exec/ExecuteStream'
const INTERACTIVE = '/errand.v1.Exec/ExecuteInteractive'
const REQUEST = { device: 'gpu1', command: ['npm', 'test'] }

async function echo(link: FrameLink): Promise<void> {
  await accept(link)
  for (let frame = await link.read(); frame !== undefined && frame.tag !== TAG.stdinEnd; frame = await link.read()) {
    if (frame.tag !== TAG.stdin) continue
    await link.write(TAG.stdout, frame.payload)
    await link.write(TAG.stdinCredit, json({ bytes: frame.payload.byteLength }))
  }
  await end(link)
}

test('a request arrives as the runtime knows it, with what its caller says of it', async () => {
  const asked: ExecRequest[] = []
  await using w = await grpcWorld(
    execs(async (request, link) => {
      asked.push(request)
      await accept(link)
      await end(link)
    }),
  )
  await w.caller.ask(EXECUTE, {
    ...REQUEST,
    ...{ workDir: '/srv', environment: { A: 'b' }, timeout: { seconds: 2, nanos: 500_000_000 }, user: 'me', id: OUTCOME.task, description: 'tests' },
    ...{ metadata: { k: 'v' }, contextJson: '{"n":[1]}', idempotent: true, requestedBy: 'ci', requestTime: { seconds: 1 } },
  })
  expect(asked).toEqual([
    {
      ...{ device: 'gpu1', command: ['npm', 'test'], cwd: '/srv', env: { A: 'b' }, timeoutMs: 2_500, user: 'me', id: OUTCOME.task, description: 'tests' },
      ...{ metadata: { k: 'v', requestedBy: 'ci', requestTime: '1970-01-01T00:00:01.000Z' }, context: { n: [1] }, idempotent: true, stdin: false },
    },
  ])
})

test('Execute answers with output and outcome; another exit code than 0 is no error', async () => {
  await using w = await grpcWorld(
    execs(async (_request, link) => {
      await accept(link)
      await link.write(TAG.stdout, Buffer.from('out'))
      await link.write(TAG.stderr, Buffer.from('err'))
      await end(link, { exitCode: 7, stdoutBytes: 3, stderrBytes: 3 })
    }),
  )
  const answer = await w.caller.ask(EXECUTE, REQUEST)
  expect(answer).toMatchObject({ id: OUTCOME.task, exitCode: 7, why: 'exit', stdoutBytes: 3, stderrBytes: 3, duration: { seconds: 1 } })
  expect(answer['startTime']).toMatchObject({ seconds: Date.parse(OUTCOME.startTime) / 1_000 })
  expect([String(answer['stdout']), String(answer['stderr']), answer['error'], answer['cancelled']]).toEqual(['out', 'err', undefined, false])
})

test('an exit code of 0 is said, and a signal has none', async () => {
  let exitCode: number | null = 0
  await using w = await grpcWorld(
    execs(async (_request, link) => {
      await accept(link)
      await end(link, exitCode === null ? { exitCode, signal: 'SIGKILL', why: 'timeout' } : { exitCode })
    }),
  )
  expect((await w.caller.ask(EXECUTE, REQUEST))['exitCode']).toBe(0)
  exitCode = null
  const killed = await w.caller.ask(EXECUTE, REQUEST)
  expect(killed).toMatchObject({ signal: 'SIGKILL', why: 'timeout', error: { code: 'TIMED_OUT' } })
  expect(killed['exitCode']).toBeUndefined()
})

test('Execute gives its input, and of much output the first 3 MiB and the number of the rest', async () => {
  await using w = await grpcWorld(
    execs(async (_request, link) => {
      await accept(link)
      const frame = await link.read()
      for (let i = 0; i < 40; i++) await link.write(TAG.stdout, Buffer.alloc(100_000, frame?.payload.subarray()))
      await end(link, { stdoutBytes: 4_000_000 })
    }),
  )
  const { stdout, ...answer } = await w.caller.ask(EXECUTE, { ...REQUEST, stdin: Buffer.from('ab') })
  expect(stdout).toBeInstanceOf(Uint8Array)
  expect(answer).toMatchObject({ omittedBytes: 4_000_000 - 3 * 1_048_576, stdoutBytes: 4_000_000 })
  expect(String(stdout)).toBe('ab'.repeat((3 * 1_048_576) / 2))
})

test('ExecuteStream says what happens in order, with the offset to go on from', async () => {
  await using w = await grpcWorld(
    execs(async (_request, link) => {
      await link.write(TAG.queued, json({ task: OUTCOME.task, place: 2 }))
      await link.write(TAG.waits, json({ task: OUTCOME.task, message: 'waits for approval by carol', need: 2, have: 1, expiresAt: 1_800_000_000_500 }))
      await accept(link)
      await link.write(TAG.stdout, Buffer.from('abc'))
      await link.write(TAG.stderr, Buffer.from('de'))
      await end(link, { stdoutBytes: 3, stderrBytes: 2 })
    }),
  )
  const events = await all(w.caller.listen(STREAM, REQUEST))
  const said = events.map(({ event, nextOffset }) => `${event} ${nextOffset ?? ''}`.trim())
  expect(said).toEqual(['queued', 'waits', 'accepted', 'stdout 3', 'stderr 5', 'ended 5'])
  expect(events[0]).toMatchObject({ queued: { id: OUTCOME.task, place: 2 } })
  expect(events[1]).toMatchObject({ waits: { id: OUTCOME.task, message: 'waits for approval by carol', need: 2, have: 1, expireTime: { nanos: 500_000_000 } } })
  expect(events[5]).toMatchObject({ ended: { exitCode: 0 } })
})

test('a refusal is a status, with our code, hint and fields in the trailing metadata', async () => {
  const refusal = { code: 'DENIED', message: 'not yours — “gpu1” says no', hint: 'ask for a grant …', source: 'device', fields: { device: 'gpu1' } }
  await using w = await grpcWorld(execs(async (_request, link) => void (await link.write(TAG.refused, json(refusal)))))
  const expected = { status: 7, code: 'DENIED', message: refusal.message, hint: refusal.hint, fields: { source: 'device', device: 'gpu1' } }
  expect(await failureOf(w.caller.ask(EXECUTE, REQUEST))).toEqual(expected)
  expect(await failureOf(all(w.caller.listen(STREAM, REQUEST)))).toEqual(expected)
  const call = w.caller.talk(INTERACTIVE)
  call.write({ start: REQUEST })
  expect(await failureOf(all(call))).toEqual(expected)
})

test('a runtime that throws before it says a word is heard too', async () => {
  await using w = await grpcWorld(execs(() => Promise.reject(new ErrandError('NO_MESH', 'no mesh yet', { hint: 'join one' }))))
  expect(await failureOf(w.caller.ask(EXECUTE, REQUEST))).toMatchObject({ status: 9, code: 'NO_MESH', hint: 'join one' })
})

test('requests that do not fit are refused before the runtime hears of them', async () => {
  await using w = await grpcWorld({})
  const bad: Message[] = [{ device: 'x' }, { ...REQUEST, contextJson: '{' }, { ...REQUEST, contextJson: '[]' }, { ...REQUEST, id: '7' }]
  for (const message of bad) expect(await failureOf(w.caller.ask(EXECUTE, message)), JSON.stringify(message)).toMatchObject({ status: 3, code: 'BAD_REQUEST' })
  expect(await failureOf(w.caller.ask(EXECUTE, { ...REQUEST, interactive: true }))).toMatchObject({ status: 12, code: 'UNSUPPORTED' })
  expect(await failureOf(w.caller.ask(EXECUTE, { ...REQUEST, stdin: Buffer.alloc(1 << 20) }))).toMatchObject({ status: 8 })
})

test('ExecuteInteractive carries input and its end; bytes come back as they went', async () => {
  await using w = await grpcWorld(execs((_request, link) => echo(link)))
  const call = w.caller.talk(INTERACTIVE)
  const said = all(call)
  call.write({ start: REQUEST })
  const sent = Array.from({ length: 40 }, (_, i) => Buffer.alloc(50_000, i))
  for (const stdin of sent) call.write({ stdin })
  call.end()
  const events = await said
  expect(bytesIn(events, 'stdout').equals(Buffer.concat(sent))).toBe(true)
  expect(events.at(-1)).toMatchObject({ event: 'ended' })
})

test('input that its command does not take is not read from the caller', async () => {
  let taken = 0
  await using w = await grpcWorld(
    execs(async (_request, link, signal) => {
      await accept(link)
      for (let frame = await link.read(); taken < 262_144; frame = await link.read()) taken += frame?.payload.byteLength ?? 0
      await once(signal, 'abort')
    }),
  )
  const call = w.caller.talk(INTERACTIVE)
  call.on('error', () => undefined)
  call.write({ start: REQUEST })
  let written = 0
  const pump = (): void => {
    written += 1
    if (written < 1_000) call.write({ stdin: Buffer.alloc(64_000) }, pump)
  }
  pump()
  await until('the window is full', () => taken >= 262_144)
  let before = -1
  await until('nothing more is read', () => {
    const same = before === written
    before = written
    return same
  })
  expect(written).toBeLessThan(200) // 16 messages, and the connection's windows
  call.cancel()
})

test('what starts with something else than `start`, starts twice or brings its input twice is refused', async () => {
  await using w = await grpcWorld(execs((_request, link) => echo(link)))
  for (const messages of [[{ stdin: Buffer.from('x') }], [{ start: { ...REQUEST, stdin: Buffer.from('x') } }], [{ start: REQUEST }, { start: REQUEST }]]) {
    const call = w.caller.talk(INTERACTIVE)
    for (const message of messages) call.write(message)
    expect(await failureOf(all(call))).toMatchObject({ status: 3, code: 'BAD_REQUEST' })
  }
})

test('a reader that stops, stops the command; one that goes on gets every byte', async () => {
  let written = 0
  await using w = await grpcWorld(
    execs(async (_request, link) => {
      await accept(link)
      for (; written < 400; written++) await link.write(TAG.stdout, Buffer.alloc(100_000, written % 251))
      await end(link, { stdoutBytes: 40_000_000 })
    }),
  )
  const call = w.caller.listen(STREAM, REQUEST)
  await once(call, 'readable') // this client buffers without end until it is asked for the first time
  let before = -1
  await until('the command is held back', () => {
    const same = written > 0 && before === written
    before = written
    return same
  })
  expect(written).toBeLessThan(50) // what the windows of the connection hold, and no more
  const events = await all(call)
  expect(bytesIn(events, 'stdout').length).toBe(40_000_000)
})

test('who cancels or hangs up ends the command, also one that is held back by a reader who stopped', async () => {
  for (const isFlooding of [false, true]) {
    let ended = false
    await using w = await grpcWorld(
      execs(async (_request, link, signal) => {
        signal.addEventListener('abort', () => (ended = true))
        await accept(link)
        while (isFlooding && !signal.aborted) await link.write(TAG.stdout, Buffer.alloc(100_000))
        if (!signal.aborted) await once(signal, 'abort')
      }),
    )
    const call = w.caller.listen(STREAM, REQUEST)
    call.on('error', () => undefined)
    await once(call, 'readable')
    call.cancel()
    await until('the runtime was told', () => ended)
  }
})

test('a call that is cancelled is no end of its input', async () => {
  const heard: number[] = []
  await using w = await grpcWorld(
    execs(async (_request, link) => {
      await accept(link)
      for (let frame = await link.read(); frame; frame = await link.read()) heard.push(frame.tag)
    }),
  )
  for (let i = 0; i < 20; i++) {
    const call = w.caller.talk(INTERACTIVE)
    call.on('error', () => undefined)
    for (const message of [{ start: REQUEST }, { stdin: Buffer.from('x') }]) call.write(message)
    const before = heard.length
    await until('it was heard', () => heard.length > before)
    call.cancel()
    await failureOf(all(call))
  }
  expect(heard).not.toContain(TAG.stdinEnd)
})

test('a deadline is the command’s time limit, and ends it', async () => {
  const limits: (number | undefined)[] = []
  let ended = 0
  await using w = await grpcWorld(
    execs(async (request, link, signal) => {
      limits.push(request.timeoutMs)
      signal.addEventListener('abort', () => ended++)
      await accept(link)
      await once(signal, 'abort')
    }),
  )
  const timeout = { seconds: 3_600 }
  expect(await failureOf(w.caller.ask(EXECUTE, { ...REQUEST, timeout }, { deadline: Date.now() + 500 }))).toMatchObject({ status: 4 })
  expect(limits[0]).toBeGreaterThan(0)
  expect(limits[0]).toBeLessThanOrEqual(500)
  await until('the command was ended', () => ended === 1)
  void failureOf(w.caller.ask(EXECUTE, { ...REQUEST, timeout: { seconds: 1 } }, { deadline: Date.now() + 60_000 }))
  await until('it began', () => limits.length === 2)
  expect(limits[1]).toBe(1_000)
})

test('Attach reads from an offset on, says what is gone, and does not follow unless it is told to', async () => {
  const asked: AttachRequest[] = []
  await using w = await grpcWorld({
    attach: async (_actor, request, link) => {
      asked.push(request)
      await accept(link)
      await link.write(TAG.at, json({ offset: 100 }))
      await link.write(TAG.stdout, Buffer.from('xyz'))
      if (request.follow === true) await end(link, { stdoutBytes: 103 })
      await link.end()
    },
  })
  const events = await all(w.caller.listen('/errand.v1.Tasks/Attach', { id: 'abcdef', offset: 40 }))
  expect(events.map(({ event, nextOffset }) => [event, nextOffset])).toEqual([
    ['accepted', undefined],
    ['skipped', 100],
    ['stdout', 103],
    ['ended', 103],
  ])
  expect(events[1]).toMatchObject({ skipped: { bytes: 60 } })
  const now = await all(w.caller.listen('/errand.v1.Tasks/Attach', { id: 'abcdef', noFollow: true }))
  expect(now.at(-1)).toMatchObject({ event: 'stdout' })
  expect(asked).toEqual([
    { task: 'abcdef', from: 40, follow: true },
    { task: 'abcdef', from: 0, follow: false },
  ])
})
