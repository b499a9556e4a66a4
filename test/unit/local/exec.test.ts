import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { EXEC, TAG } from '../../../protocols/exec/messages.ts'
import type { FrameLink } from '../../../src/base/frames.ts'
import { accept, DID, end, execs, json, OUTCOME, world } from './scripted.ts'

const RUN = { device: 'gpu1', command: ['true'] }

async function* chunks(count: number, bytes: number): AsyncGenerator<Uint8Array> {
  for (let n = 0; n < count; n++) yield new Uint8Array(bytes).fill(n)
}

/** Lets everything that is ready happen, a generous number of times. */
async function turns(count = 300): Promise<void> {
  for (let n = 0; n < count; n++) await new Promise((resolve) => setImmediate(resolve))
}

test('a command runs: request there, accepted, both streams apart, byte for byte, and the outcome back', async () => {
  const bytes = randomBytes(3_000_000)
  const seen: unknown[] = []
  await using it = await world(
    execs(async (request, link) => {
      seen.push(request)
      await accept(link)
      await link.write(TAG.stderr, Buffer.from('warn\n'))
      for (let at = 0; at < bytes.length; at += 200_000) await link.write(TAG.stdout, bytes.subarray(at, at + 200_000))
      await end(link, { exitCode: 7 })
    }),
  )
  const hash = createHash('sha256')
  const talk: Uint8Array[] = []
  const outcome = await it.client.exec(
    { ...RUN, env: { A: 'b' }, timeoutMs: 5 },
    { onStdout: (chunk) => void hash.update(chunk), onStderr: (chunk) => void talk.push(chunk), onAccepted: (accepted) => seen.push(accepted) },
  )
  expect(outcome).toEqual({ ...OUTCOME, exitCode: 7 })
  expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'))
  expect(Buffer.concat(talk).toString()).toBe('warn\n')
  expect(seen).toEqual([
    { ...RUN, env: { A: 'b' }, timeoutMs: 5, stdin: false },
    { task: OUTCOME.task, device: DID, startTime: OUTCOME.startTime },
  ])
})

test('a refusal rejects with what was said and where it came from', async () => {
  const refusal = { code: 'DENIED', message: 'exe "rm" is not in {nvidia-smi, npm}', hint: 'ask for it', source: 'device', fields: { grant: 'bafyq7' } }
  await using it = await world(
    execs(async (_request, link) => {
      await link.write(TAG.refused, json(refusal))
    }),
  )
  await expect(it.client.exec(RUN)).rejects.toMatchObject({
    code: 'DENIED',
    message: refusal.message,
    hint: 'ask for it',
    fields: { grant: 'bafyq7', source: 'device' },
  })
})

test('what the runtime throws arrives as a refusal', async () => {
  await using it = await world(execs(() => Promise.reject(new Error('boom'))))
  await expect(it.client.exec(RUN)).rejects.toMatchObject({ code: 'INTERNAL', message: 'boom', fields: { source: 'errand' } })
})

test('stdin stops at its window and goes on with credit, to the last byte', async () => {
  let got = 0
  let atWindow = -1
  const total = EXEC.stdinWindowBytes * 2 + 12_345
  await using it = await world(
    execs(async (request, link) => {
      expect(request.stdin).toBe(true)
      await accept(link)
      while (got < EXEC.stdinWindowBytes) got += (await link.read())?.payload.byteLength ?? Number.POSITIVE_INFINITY
      let more = 0
      const next = link.read().then((frame) => {
        more = frame?.payload.byteLength ?? 0
        return frame
      })
      await turns()
      atWindow = got + more
      await link.write(TAG.stdinCredit, json({ bytes: total }))
      for (let frame = await next; frame?.tag === TAG.stdin; frame = await link.read()) got += frame.payload.byteLength
      await end(link)
    }),
  )
  await it.client.exec(RUN, { stdin: chunks(1, total) })
  expect([atWindow, got]).toEqual([EXEC.stdinWindowBytes, total])
})

test('a command that ends without its stdin ends the run', async () => {
  await using it = await world(
    execs(async (_request, link) => {
      await accept(link)
      await end(link)
    }),
  )
  const never: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }) }
  expect(await it.client.exec(RUN, { stdin: never })).toEqual(OUTCOME)
})

test('stdin that breaks cancels the command and rejects with its own error', async () => {
  const ended = gate()
  await using it = await world(execs(untilAborted(ended.open)))
  const broken = async function* (): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(1)
    throw new Error('disk read failed')
  }
  await expect(it.client.exec(RUN, { stdin: broken() })).rejects.toThrow('disk read failed')
  await ended.opened
})

test('a taker that does not take stops the writer; nothing is lost when it goes on', async () => {
  let written = 0
  const frame = new Uint8Array(200_000)
  await using it = await world(
    execs(async (_request, link) => {
      await accept(link)
      for (; written < 400; written++) await link.write(TAG.stdout, frame)
      await end(link)
    }),
  )
  const take = gate()
  let taken = 0
  const running = it.client.exec(RUN, {
    onStdout: (chunk) => {
      taken += chunk.length
      return take.opened
    },
  })
  while (written === 0) await turns(1)
  await turns()
  expect(written).toBeLessThan(20)
  take.open()
  await running
  expect(taken).toBe(400 * frame.length)
})

test('aborting asks the device to end the command and still brings its outcome', async () => {
  await using it = await world(
    execs(async (_request, link) => {
      await accept(link)
      const frame = await link.read()
      await end(link, { exitCode: null, signal: 'SIGTERM', why: frame?.tag === TAG.cancel ? 'cancelled' : 'lost' })
    }),
  )
  const abort = new AbortController()
  const outcome = await it.client.exec(RUN, { signal: abort.signal, onAccepted: () => abort.abort() })
  expect(outcome).toMatchObject({ why: 'cancelled', signal: 'SIGTERM' })
})

test('abandoning hangs up at once, and the node cancels the command', async () => {
  const ended = gate()
  await using it = await world(execs(untilAborted(ended.open)))
  const abandon = new AbortController()
  await expect(it.client.exec(RUN, { abandon: abandon.signal, onAccepted: () => abandon.abort() })).rejects.toMatchObject({ code: 'CANCELLED' })
  await ended.opened
})

test('a taker that throws cancels the command and gets its own error back', async () => {
  const ended = gate()
  await using it = await world(
    execs(async (_request, link, signal) => {
      await accept(link)
      await link.write(TAG.stdout, new Uint8Array(1))
      await untilAborted(ended.open)(_request, link, signal)
    }),
  )
  const epipe = new Error('EPIPE')
  await expect(
    it.client.exec(RUN, {
      onStdout: () => {
        throw epipe
      },
    }),
  ).rejects.toBe(epipe)
  await ended.opened
})

test('a client that is killed cancels its command, also while nobody reads its stdin', async () => {
  const ended = gate()
  const started = gate()
  await using it = await world(
    execs(async (_request, link, signal) => {
      await accept(link)
      started.open()
      await aborted(signal)
      ended.open()
    }),
  )
  const socket = connect(it.socketPath)
  socket.on('error', () => undefined)
  socket.write('GET /api/runtime/exec HTTP/1.1\r\nHost: errand\r\nConnection: Upgrade\r\nUpgrade: errand-exec\r\n\r\n')
  const body = Buffer.concat([Buffer.of(0x00), json({ ...RUN, stdin: true })])
  socket.write(Buffer.concat([Buffer.of(body.length), body]))
  socket.resume()
  await started.opened
  for (let n = 0; n < 4; n++) socket.write(Buffer.concat([Buffer.of(0x81, 0x80, 0x04, TAG.stdin), new Uint8Array(65_536)]))
  await turns(20)
  socket.destroy()
  await ended.opened
})

test('a stop cancels what runs, and its client still gets the outcome', async () => {
  const it = await world(
    execs(async (_request, link, signal) => {
      await accept(link)
      await aborted(signal)
      await end(link, { exitCode: null, why: 'cancelled' })
    }),
  )
  const accepted = gate()
  const running = it.client.exec(RUN, { onAccepted: accepted.open })
  await accepted.opened
  const began = performance.now()
  await it.close()
  expect(performance.now() - began).toBeLessThan(1_000)
  expect(await running).toMatchObject({ why: 'cancelled' })
})

test('a command that does not end when the node stops is told that the node is gone', async () => {
  const it = await world(
    execs(async (_request, link) => {
      await accept(link)
      await new Promise(() => undefined)
    }),
  )
  const accepted = gate()
  const running = it.client.exec(RUN, { onAccepted: accepted.open }).catch((error: unknown) => error)
  await accepted.opened
  const began = performance.now()
  await it.close()
  expect(performance.now() - began).toBeLessThan(1_000)
  expect(await running).toMatchObject({ code: 'NODE_GONE' })
})

test('fifty commands at once all get their own output', async () => {
  await using it = await world(
    execs(async (request, link) => {
      await accept(link)
      await link.write(TAG.stdout, Buffer.from(request.command.join(' ')))
      await end(link)
    }),
  )
  const run = async (n: number): Promise<string> => {
    const parts: Uint8Array[] = []
    await it.client.exec({ device: 'gpu1', command: ['echo', String(n)] }, { onStdout: (chunk) => void parts.push(chunk) })
    return Buffer.concat(parts).toString()
  }
  expect(await Promise.all(Array.from({ length: 50 }, (_, n) => run(n)))).toEqual(Array.from({ length: 50 }, (_, n) => `echo ${n}`))
})

function gate(): { open: () => void; opened: Promise<void> } {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })))
}

function untilAborted(then: () => void): (request: unknown, link: FrameLink, signal: AbortSignal) => Promise<void> {
  return async (_request, link, signal) => {
    await accept(link)
    await aborted(signal)
    then()
  }
}

test('a program that runs command after command gets each answer, and a connection kept ready does not hold up a stop', async () => {
  const it = await world(
    execs(async (_request, link) => {
      await accept(link)
      await end(link)
    }),
  )
  for (let n = 0; n < 4; n++) expect(await it.client.exec(RUN)).toEqual(OUTCOME)
  const before = performance.now()
  await it.close()
  expect(performance.now() - before).toBeLessThan(500) // the grace of a stop is 800 ms, and nothing runs
  await expect(it.client.exec(RUN)).rejects.toMatchObject({ code: 'NO_NODE' })
})
