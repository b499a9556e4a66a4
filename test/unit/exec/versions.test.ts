/** A host of an older version keeps working under a newer daemon: golden bytes of version 1 played by the test, and a real host under a later daemon. */
import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { HOST, HOST_TAG } from '../../../protocols/host/frames.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { FrameLink } from '../../../src/base/frames.ts'
import { SocketLink } from '../../../src/base/socket-link.ts'
import { createExecutor } from '../../../src/exec/executor.ts'
import { Identity } from '../../../src/identity/identity.ts'
import { processesOf } from '../../support/leftovers.ts'
import { until } from '../../support/until.ts'
import type { Said, Told } from './daemon.ts'
import type { Heard } from './later-daemon.ts'
import { bundle, Collector, isRunning } from './world.ts'

const seed = randomBytes(32)
const device = new Identity(new Uint8Array(seed)).did
const LATER = 3
let root: string
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'errand-versions-'))
  await Promise.all([
    bundle('src/exec/host-main.ts', join(root, 'host.mjs')),
    bundle('test/unit/exec/daemon.ts', join(root, 'daemon.mjs')),
    bundleLater('src/exec/host-main.ts', join(root, 'later-host.mjs')),
    bundleLater('test/unit/exec/later-daemon.ts', join(root, 'later-daemon.mjs')),
  ])
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** The same program with a later version of the protocol. */
async function bundleLater(entry: string, outfile: string): Promise<void> {
  const contents = readFileSync('protocols/host/frames.ts', 'utf8').replace(/^ {2}version: \d+,$/m, `  version: ${LATER},`)
  expect(contents).toContain(`version: ${LATER},`)
  const frames = {
    name: 'a later version',
    setup: (on: Parameters<NonNullable<Parameters<typeof build>[0]['plugins']>[number]['setup']>[0]) =>
      on.onLoad({ filter: /protocols\/host\/frames\.ts$/ }, () => ({ contents, loader: 'ts' })),
  }
  await build({ entryPoints: [entry], outfile, bundle: true, platform: 'node', format: 'esm', target: 'node20', logLevel: 'error', plugins: [frames] })
}

test('an upgrade while commands run: the later daemon hears each to its end from the older host, which then goes; new ones run in a later host', async () => {
  const directory = join(root, 'upgraded')
  mkdirSync(directory)
  const gate = join(directory, 'gate')
  const waiting = `until [ -e ${gate} ]; do sleep 0.05; done`
  const scripts = [`seq 1 5000; ${waiting}; seq 5001 5003; exit 7`, `echo one; ${waiting}; exit 0`].map((script) => ({ script, attached: false }))
  const told: Told = { seed: seed.toString('hex'), directory, hostFile: join(root, 'host.mjs'), scripts }
  const daemon = spawn(process.execPath, [join(root, 'daemon.mjs'), JSON.stringify(told)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const { started } = JSON.parse(String(await new Promise((resolve) => daemon.stdout.once('data', resolve)))) as Said
  const oldHost = parentOf(started[0]?.pid ?? 0)
  daemon.kill('SIGKILL')
  const later = JSON.stringify({ ...told, hostFile: join(root, 'later-host.mjs') })
  const said = new Promise<string>((resolve) =>
    execFile(process.execPath, [join(root, 'later-daemon.mjs'), later], (error, stdout) =>
      resolve(error === null ? stdout : JSON.stringify(error.message.slice(-900))),
    ),
  )
  await until('the later daemon has a host of its own', () => processesOf(directory).filter(({ command }) => command.includes('host.mjs {')).length === 2)
  mkdirSync(gate)
  const heard = JSON.parse(await said) as Heard
  expect(heard).toMatchObject({ version: LATER })
  expect(heard.ownHost).not.toBe(oldHost)
  const numbers = Array.from({ length: 5_003 }, (_, i) => `${i + 1}\n`).join('')
  const expected = [
    { task: started[0]?.task, exitCode: 7, printed: numbers, kept: numbers },
    { task: started[1]?.task, exitCode: 0, printed: 'one\n', kept: 'one\n' },
  ]
  expect(heard.found).toHaveLength(2)
  expect(heard.found).toEqual(expect.arrayContaining(expected))
  await until('the older host is gone', () => !isRunning(oldHost))
})

function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
}

interface Golden {
  readonly name: string
  readonly tag: keyof typeof HOST_TAG
  readonly value: unknown
  readonly payload: string
}
const golden: readonly Golden[] = JSON.parse(readFileSync('protocols/host/vectors.json', 'utf8')).frames
const named = (name: string): Golden => golden.find((one) => one.name === name) ?? expect.unreachable(name)

/** What a host of version 1 says to what it hears, as it was written down; nothing to anything else. */
const ANSWERS: Readonly<Record<string, readonly string[]>> = {
  attend: ['attending: one job'],
  ticket: ['ticketed'],
  'follow: from an offset': ['started', 'stdout', 'stderr', 'at: what lies before was dropped', 'progress: one JSON object'],
  'follow: what there is now': ['started', 'stdout', 'held'],
  stdin: ['stdinCredit'],
  stdinEnd: [],
  pause: [],
  resume: [],
  hold: ['held'],
  stop: ['ended: some of the output was dropped'],
}

async function converse(link: FrameLink, heard: string[]): Promise<void> {
  for (let frame = await link.read(); frame !== undefined; frame = await link.read()) {
    const { tag } = frame
    const payload = Buffer.from(frame.payload.subarray()).toString('hex')
    const name = golden.find((one) => HOST_TAG[one.tag] === tag && one.payload === payload)?.name ?? `0x${tag.toString(16)} ${payload}`
    heard.push(name)
    for (const answer of ANSWERS[name] ?? []) void link.write(HOST_TAG[named(answer).tag], Buffer.from(named(answer).payload, 'hex'))
    if (name === 'stop') await link.end()
  }
}

/** A host of version 1, by its golden bytes. @returns what it heard: names of vectors, or bytes that version 1 does not have. */
async function goldenHost(path: string): Promise<{ readonly heard: string[]; readonly server: Server }> {
  const heard: string[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const link = new FrameLink(new SocketLink(socket, new Uint8Array(), 1 << 16), HOST.maxFrameBytes)
    void converse(link, heard).catch(() => undefined)
    socket.on('error', () => undefined).once('end', () => socket.end())
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return { heard, server }
}

test('the golden bytes of a version 1 host are understood, and nothing is said to it that version 1 does not have', async () => {
  const directory = join(root, 'golden')
  mkdirSync(join(directory, 'exec'), { recursive: true })
  const { heard, server } = await goldenHost(join(directory, 'exec', '1.sock'))
  const executor = createExecutor({ clock: systemClock, device, hostFile: 'none', runtimeDir: directory, jobsDir: join(directory, 'jobs') })
  expect(await executor.adopt()).toEqual((named('attending: one job').value as { jobs: unknown }).jobs)
  const { task, id, key, address } = shown(named('ticket').value) as { task: string; id: Uint8Array; key: Uint8Array; address: string }
  const [out, skipped, progress] = [new Collector(), [] as number[], [] as string[]]
  const running = await executor.follow(task, 70_000_000, {
    output: (fd, chunk) => out.output(fd, chunk),
    skipped: (offset) => void skipped.push(offset),
    progress: (line) => void progress.push(Buffer.from(line).toString()),
  })
  expect(running).toMatchObject(named('started').value as object)
  running.pause()
  running.resume()
  await running.stdin(Buffer.from('yes\n'))
  running.endStdin()
  expect(await running.hold()).toBe(1_048_577)
  expect([out.text(1), out.text(2), skipped, progress]).toEqual(['héllo\n', 'oh\n', [3_000_000], ['{"percent":50}']])
  expect(await executor.admit({ task, id, key, address })).toBe(40_123)
  const kept: string[] = []
  for await (const { bytes } of executor.printed(task, 0)) kept.push(Buffer.from(bytes).toString())
  expect(kept).toEqual(['héllo\n'])
  running.stop('cancelled')
  expect(await running.ended).toEqual(named('ended: some of the output was dropped').value)
  expect(new Set(heard)).toEqual(new Set(Object.keys(ANSWERS)))
  await executor[Symbol.asyncDispose]()
  server.close()
})

/** Values as the vectors show them, with their bytes as bytes. */
function shown(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_name, inner: unknown) =>
    typeof inner === 'object' && inner !== null && '$hex' in inner ? new Uint8Array(Buffer.from(String(inner.$hex), 'hex')) : inner,
  )
}
