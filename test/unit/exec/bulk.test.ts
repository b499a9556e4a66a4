/** The exec-host's door on the network: whatever anybody does there, nothing comes out but the bytes of one task to the holder of its ticket, once. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { BULK } from '../../../protocols/host/frames.ts'
import type { Ticket } from '../../../protocols/host/messages.ts'
import { BulkReader } from '../../../src/local/bulk.ts'
import type { RunningCommand } from '../../../src/tasks/ports.ts'
import { until } from '../../support/until.ts'
import {
  ALIVE,
  collect,
  dialWith,
  entered,
  follow,
  hangUp,
  hex,
  isOpenAt,
  knock,
  listening,
  openDescriptors,
  plainTcp,
  plainTls,
  residentBytes,
  stuckReader,
  writtenUntilStill,
} from './bulk-visits.ts'
import { Collector, command, isRunning, openWorld, printed, run, sh, type World } from './world.ts'

const WAITS = { ticketMs: 1_500, handshakeMs: 1_000 }
let world: World
let host: number
beforeAll(async () => {
  world = await openWorld({ waits: WAITS })
  host = Number((await run(world.executor, sh('echo $PPID'))).stdout)
})
afterEach(async () => {
  hangUp()
  await until('nothing listens', () => listening(host).length === 0)
})
afterAll(() => world.close())

interface Issued extends Ticket {
  readonly port: number
}

/** A command that has printed, and a ticket for it. */
async function ticketed(script = 'echo secret; exec sleep 100'): Promise<{ task: string; ticket: Issued; running: RunningCommand; end: () => Promise<void> }> {
  const task = randomUUID()
  const out = new Collector()
  const running = await world.executor.start(sh(script), out, { task })
  await printed(out, 'secret')
  const end = async (): Promise<void> => {
    running.stop('cancelled')
    await running.ended
  }
  return { task, ticket: await ticketFor(task), running, end }
}

async function ticketFor(task: string, { executor }: Pick<World, 'executor'> = world): Promise<Issued> {
  const ticket = ticketOf(task)
  return { ...ticket, port: (await executor.admit(ticket)) ?? 0 }
}

const ticketOf = (task: string, address = '127.0.0.1'): Ticket => ({ task, id: randomBytes(16), key: randomBytes(32), address })

const offerOf = ({ port, id, key }: Issued) => ({ host: '127.0.0.1', port, id: hex(id), key: hex(key) })

const ALERT = 0x15

test('a reader that has lost its right is cut off, and its ticket opens nothing any more', async () => {
  const { task, ticket, end } = await ticketed()
  const { whole } = await entered(ticket)
  const late = await ticketFor(task)
  world.executor.expel(task, ticket.id)
  world.executor.expel(task, late.id)
  expect((await whole).toString('latin1')).toContain('secret') // it was let in, and the door is shut behind it now
  expect((await knock(late)).toString('latin1')).not.toContain('secret')
  await end()
})

test('the holder of a ticket gets the output from the offset it names, to its end', async () => {
  const bytes = 24 << 20
  const task = randomUUID()
  const out = new Collector()
  const running = await world.executor.start(command('head', ['-c', String(bytes), '/dev/zero']), out, { task })
  const reader = (await BulkReader.connect(offerOf(await ticketFor(task)))) ?? expect.unreachable('no door')
  const from = (await running.hold()) ?? expect.unreachable('over already')
  const hash = createHash('sha256').update(out.bytes(1))
  let at = from
  for await (const { payload } of reader.read(from))
    for (const chunk of payload) {
      hash.update(chunk)
      at += chunk.byteLength
    }
  reader.close()
  expect(at).toBe(bytes)
  expect(hash.digest('hex')).toBe(createHash('sha256').update(Buffer.alloc(bytes)).digest('hex'))
  expect(await running.ended).toMatchObject({ exitCode: 0, stdoutBytes: bytes })
})

test('a reader that is slow at the end, and says that it is there, gets the last byte too', async () => {
  const bytes = 1 << 20
  const task = randomUUID()
  const running = await world.executor.start(sh(`read go; head -c ${bytes} /dev/zero`, { stdin: true }), new Collector(), { task })
  const ticket = await ticketFor(task)
  const reader = await stuckReader(ticket, async () => {
    const from = await running.hold()
    running.endStdin()
    return from ?? expect.unreachable('over already')
  })
  await running.ended
  await until('the host has said all', () => !isOpenAt(host, ticket.port))
  await new Promise<void>((resolve) => reader.write(ALIVE, () => resolve()))
  const got = await new Promise<Buffer>((resolve) => {
    collect(reader, resolve)
    reader.once('end', () => reader.end())
  })
  expect(got.length).toBeGreaterThan(bytes) // and the frames around them
})

test('no key, a wrong key, a wrong name, no PSK at all, no TLS at all, a ticket that was used: nothing comes out', async () => {
  const { ticket, end } = await ticketed()
  expect(listening(host)).toEqual([ticket.port])
  const second = await ticketFor(ticket.task)
  expect(await knock({ ...ticket, id: randomBytes(16) })).toEqual(Buffer.alloc(0))
  expect(await knock({ ...ticket, id: Buffer.alloc(0) })).toEqual(Buffer.alloc(0))
  expect(await plainTls(ticket.port)).toEqual(Buffer.alloc(0))
  expect((await plainTcp(ticket.port, follow(0))).toString('latin1')).not.toContain('secret')
  const told = await plainTcp(ticket.port, Buffer.from('GET / HTTP/1.1\r\n\r\n'))
  expect(told.length === 0 || told[0] === ALERT).toBe(true)
  expect(await knock({ ...second, key: randomBytes(32) })).toEqual(Buffer.alloc(0)) // with that it is used up
  expect(await knock(second)).toEqual(Buffer.alloc(0))
  const reading = await entered(ticket)
  expect(listening(host)).toEqual([])
  expect(await knock(ticket)).toEqual(Buffer.alloc(0))
  await end()
  expect((await reading.whole).toString('latin1')).toContain('secret')
})

test('a ticket opens the task it was given for and no other; for a task that does not run there is none', async () => {
  const [mine, theirs] = await Promise.all([ticketed('echo secret mine; exec sleep 100'), ticketed('echo secret theirs; exec sleep 100')])
  const reading = await entered(mine.ticket)
  await mine.end()
  const got = (await reading.whole).toString('latin1')
  expect(got).toContain('secret mine')
  expect(got).not.toContain('theirs')
  expect(await world.executor.admit({ task: randomUUID(), id: randomBytes(16), key: randomBytes(32), address: '127.0.0.1' })).toBeNull()
  expect(await world.executor.admit({ ...mine.ticket })).toBeNull()
  await theirs.end()
})

test('where the host cannot listen there is no door, and no harm; an address is an IP address, or it would be every interface', async () => {
  const { task, end } = await ticketed()
  for (const address of ['192.0.2.1', 'not an address', 'localhost', '', '127.0.0.1:80', '/tmp/socket', '::ffff'])
    expect(await world.executor.admit(ticketOf(task, address))).toBeNull()
  await end()
  expect((await run(world.executor, sh('echo fine'))).stdout.toString()).toBe('fine\n')
})

test('the name of a ticket that is out is not given to another one, and there are so many and no more', async () => {
  const [mine, theirs] = await Promise.all([ticketed('echo secret mine; exec sleep 100'), ticketed('echo secret theirs; exec sleep 100')])
  expect(await world.executor.admit({ ...ticketOf(theirs.task), id: mine.ticket.id })).toBeNull()
  const reading = await entered(mine.ticket)
  const more = await Promise.all(Array.from({ length: BULK.maxTickets }, () => ticketFor(theirs.task)))
  expect(more.filter(({ port }) => port > 0).length).toBeLessThanOrEqual(BULK.maxTickets - 1)
  await Promise.all([mine.end(), theirs.end()])
  expect((await reading.whole).toString('latin1')).toContain('secret mine')
})

test('a session that is resumed at the same door, without a ticket, gets nothing and is cut off at once', async () => {
  const { ticket, task, end } = await ticketed()
  const [, second] = [await ticketFor(task), await ticketFor(task)] // the door stays open
  const sessions: Buffer[] = []
  const first = dialWith(ticket)
  first.on('session', (session: Buffer) => void sessions.push(session))
  first.once('secureConnect', () => first.write(follow(0)))
  await new Promise((resolve) => first.once('data', resolve))
  await until('it may be resumed', () => sessions.length > 0)
  expect(second.port).toBe(ticket.port)
  let resumed = 0
  for (const session of sessions) {
    const since = performance.now()
    const got = await plainTls(second.port, session, () => resumed++)
    expect(got).toEqual(Buffer.alloc(0))
    expect(performance.now() - since).toBeLessThan(WAITS.handshakeMs)
  }
  expect(resumed).toBeGreaterThan(0) // else this would prove nothing
  await end()
})

test('a holder that says the wrong thing, or nothing, gets nothing and is let go', async () => {
  const { task, end } = await ticketed()
  const frames = [
    follow(0).subarray(0, 6),
    Buffer.from([2, 0x10, 1]),
    Buffer.from([2, 0x03, 1]),
    Buffer.from([0xff, 0xff, 0xff, 0x7f]),
    Buffer.from([0]),
    Buffer.alloc(0),
  ]
  frames.push(Buffer.from([9, 0x10, 0, 0, 0, 0, 0, 0, 0, 0])) // an offset, and another tag
  frames.push(Buffer.from([9, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])) // from an offset that is no number
  for (const frame of frames) expect(await knock(await ticketFor(task), frame)).toEqual(Buffer.alloc(0))
  expect((await run(world.executor, sh('echo fine'))).stdout.toString()).toBe('fine\n')
  await end()
})

test('a reader may ask for what was not printed yet: it gets that and nothing before it', async () => {
  const { ticket, end } = await ticketed('echo secret; sleep 0.5; echo more; exec sleep 100')
  const socket = dialWith(ticket)
  socket.once('secureConnect', () => socket.write(follow(7)))
  expect(String(await new Promise((resolve) => socket.once('data', resolve)))).toBe('\u0006 more\n')
  await end()
})

test('a ticket that nobody came with is void after its time, and the door is shut', async () => {
  const { ticket, end } = await ticketed()
  await until('the door is shut', () => listening(host).length === 0)
  expect(await knock(ticket)).toEqual(Buffer.alloc(0))
  await end()
})

test('a thousand connections that never finish a handshake, at one door after the other: bounded, gone after their time, and commands run beside them', async () => {
  const { ticket, task, end } = await ticketed()
  const before = openDescriptors(host).length
  const hello = Buffer.from([0x16, 3, 1, 2, 0, 1]) // the beginning of a ClientHello
  const closed: Promise<Buffer>[] = []
  for (let i = 0; i < 400; i++) closed.push(plainTcp(ticket.port, hello))
  await until('they are in', () => openDescriptors(host).length > before + 300)
  expect(await knock({ ...ticket, key: randomBytes(32) })).toEqual(Buffer.alloc(0)) // the door shuts
  const { port } = await ticketFor(task)
  expect(port).not.toBe(ticket.port)
  for (let i = 0; i < 600; i++) closed.push(plainTcp(port, hello))
  await until('it is full', () => openDescriptors(host).length > before + BULK.maxConnections - 50)
  expect(openDescriptors(host).length).toBeLessThanOrEqual(before + BULK.maxConnections + 8)
  expect((await run(world.executor, sh('echo beside'))).stdout.toString()).toBe('beside\n')
  await Promise.all(closed)
  await until('the host let go of all', () => openDescriptors(host).length <= before + 8)
  await end()
})

test('a reader that never reads holds the command up and costs the host no memory', async () => {
  const task = randomUUID()
  const running = await world.executor.start(command('yes'), new Collector(), { task })
  const ticket = await ticketFor(task)
  const before = residentBytes(host)
  await stuckReader(ticket, async () => (await running.hold()) ?? 0)
  expect(await writtenUntilStill(running.pid)).toBeLessThan(64 << 20) // what sockets and pipes hold
  expect(residentBytes(host) - before).toBeLessThan(48 << 20)
  running.stop('cancelled')
  expect((await running.ended).why).toBe('cancelled')
})

test('a reader that never reads does not keep a host that nobody needs any more', async () => {
  const other = await openWorld({ waits: { ...WAITS, graceMs: 700 } })
  const pid = Number((await run(other.executor, sh('echo $PPID'))).stdout)
  const task = randomUUID()
  const running = await other.executor.start(command('yes'), new Collector(), { task })
  const ticket = await ticketFor(task, other)
  const reader = await stuckReader(ticket, async () => (await running.hold()) ?? 0)
  await writtenUntilStill(running.pid)
  await other.close()
  expect(reader.destroyed).toBe(false)
  await until('the host is gone', () => !isRunning(pid))
})

test('a reader that has all, and goes on saying that it is there, does not keep a host that nobody needs any more', async () => {
  const other = await openWorld({ waits: { ...WAITS, graceMs: 700 } })
  const pid = Number((await run(other.executor, sh('echo $PPID'))).stdout)
  const task = randomUUID()
  const running = await other.executor.start(sh('read go; echo all', { stdin: true }), new Collector(), { task })
  const ticket = await ticketFor(task, other)
  const begin = async (): Promise<number> => {
    const from = await running.hold()
    running.endStdin()
    return from ?? expect.unreachable('over already')
  }
  const reader = await stuckReader(ticket, begin, true)
  reader.resume()
  const saying = setInterval(() => reader.write(ALIVE), 50)
  await running.ended
  await other.close()
  await until('the host is gone', () => !isRunning(pid)).finally(() => clearInterval(saying))
})
