/** The other side of the command line in these tests: a node whose commands are scripted by their name. Also bundled as node.mjs for `up`. */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { TAG } from '../../../protocols/exec/messages.ts'
import type { DeviceView, ExecRequest, OfferView } from '../../../protocols/local/messages.ts'
import { ErrandError } from '../../../src/base/errors.ts'
import type { FrameLink } from '../../../src/base/frames.ts'
import { socketPathOf } from '../../../src/base/paths.ts'
import { startLocalServer } from '../../../src/local/server.ts'
import type { Runtime } from '../../../src/runtime/runtime.ts'
import { accept, DID, end, json, OUTCOME, record, STATUS, scripted } from '../local/scripted.ts'

interface Options {
  readonly home: string
  readonly name?: string
  readonly awaitJoin?: boolean
}

type Script = (link: FrameLink, request: ExecRequest, signal: AbortSignal) => Promise<void>

export const OFFER: OfferView = {
  mesh: { id: 'bafymesh', name: 'home\u001b[2J' },
  inviter: { name: 'laptop', did: DID, words: 'otter-lamp-fjord' },
  membership: 'member',
  name: 'gpu1',
  give: [{ can: 'exec: git', words: 'exec git', device: 'this device', expiresAt: null }],
  get: [],
  check: 'meadow · drum · 41',
  expiresAt: '2030-01-01T00:00:00.000Z',
}

const DEVICE: DeviceView = {
  name: 'gpu\u001b[1m1',
  did: DID,
  peerId: '12D3KooWExample',
  online: true,
  path: 'direct',
  rttMs: 9.04,
  lastSeen: null,
  labels: { room: 'attic' },
  capabilities: { os: 'linux', arch: 'x64', cpus: 8, memoryBytes: 16 * 2 ** 30, load: 0.5, version: '0.1.0', freeSlots: 4 },
  addresses: [],
}

const SCRIPTS: Readonly<Record<string, Script>> = {
  echo: async (link, { command }) => {
    await link.write(TAG.stdout, Buffer.from(`${command.slice(1).join('|')}\n`))
    await link.write(TAG.stderr, Buffer.from('to stderr\n'))
    await end(link)
  },
  bytes: async (link) => {
    await link.write(
      TAG.stdout,
      Uint8Array.from({ length: 256 }, (_, n) => n),
    )
    await end(link)
  },
  much: async (link, { command }) => {
    const chunk = new Uint8Array(1 << 18).fill(120)
    for (progress.much = 0; progress.much < Number(command[1]); progress.much++) await link.write(TAG.stdout, chunk)
    await end(link)
  },
  request: async (link, request) => {
    await link.write(TAG.stdout, json(request))
    await end(link)
  },
  exit: async (link, { command }) => await end(link, { exitCode: Number(command[1]) }),
  killed: async (link, { command }) => await end(link, { exitCode: null, signal: command[1] ?? 'SIGKILL' }),
  ends: async (link, { command }) => await end(link, { exitCode: null, signal: 'SIGKILL', why: command[1] ?? 'lost' }),
  cat: async (link) => {
    for (let frame = await link.read(); frame?.tag === TAG.stdin; frame = await link.read()) {
      await link.write(TAG.stdinCredit, json({ bytes: frame.payload.byteLength }))
      await link.write(TAG.stdout, frame.payload)
    }
    await end(link)
  },
  hang: async (link) => {
    await link.write(TAG.stdout, Buffer.from('ready\n'))
    const frame = await link.read()
    await link.write(TAG.stdout, Buffer.from('last words\n'))
    await end(link, { exitCode: null, signal: 'SIGTERM', why: frame?.tag === TAG.cancel ? 'cancelled' : 'lost' })
  },
  stubborn: async (link, _request, signal) => {
    await link.write(TAG.stdout, Buffer.from('ready\n'))
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  },
  flood: async (link, _request, signal) => {
    while (!signal.aborted) await link.write(TAG.stdout, new Uint8Array(1 << 16).fill(121))
    stopped.add('flood')
  },
  refuse: async (link, { command }) => {
    await link.write(TAG.refused, json({ code: command[1], message: `exe "rm" is not in {git}\u001b[31m`, hint: 'ask for it', source: 'device' }))
  },
}

/** Chunks of 256 KiB that the script `much` got rid of. */
export const progress = { much: 0 }

/** Which scripts saw that their client was gone. */
export const stopped = new Set<string>()

function runtimeOf(o: Options, stop: () => void): Partial<Runtime> {
  const asked: unknown[] = []
  return {
    getStatus: async () => ({ ...STATUS, pid: process.pid, mesh: o.awaitJoin === true ? null : STATUS.mesh }),
    listDevices: async () => [DEVICE],
    readOffer: async ({ code }) => {
      if (code !== 'errand1good') throw new ErrandError('BAD_INVITE', 'this code was changed on its way')
      return OFFER
    },
    join: async (_actor, request) => {
      asked.push(request)
      return { mesh: { id: 'bafymesh', name: 'home' }, did: DID, name: 'gpu1', membership: 'member', gave: [], got: [] }
    },
    invite: async (_actor, request) => ({
      id: DID,
      shortCode: null,
      code: JSON.stringify(request),
      expiresAt: OUTCOME.endTime,
      membership: 'member',
      asks: [],
      gives: [],
      notes: [],
    }),
    grant: async (_actor, { who, on, can, passOn = true }) => [
      {
        cid: 'bafyreigrant',
        issuer: DID,
        audience: who,
        device: on,
        can: [...can],
        words: `${can.join('; ')}${passOn ? '' : ', not to be passed on'}`,
        expiresAt: null,
        revoked: false,
        parents: [],
      },
    ],
    revoke: async (_actor, { grant }) => ({
      grants: [grant ?? 'bafyreigrant'],
      stopped: ['t1'],
      acknowledged: ['gpu1'],
      acks: [{ device: 'gpu1', ms: 300 }],
      unreachable: [{ device: 'jetson', expiresAt: null }],
    }),
    audit: async function* (query) {
      // Who follows asks for one device at a time; by then it has one record more.
      const [first, end] = query.device === undefined ? [0, query.limit ?? 3] : query.limit === undefined ? [0, 4] : [3 - query.limit, 3]
      for (let n = first; n < end; n++)
        yield { ...record(n), command: ['sh', '-c', 'make all'], exitCode: 2, reason: 'no rule  (grant bafyre…fuoise, expires in 1h)' }
    },
    verifyAudit: async () => ({
      ok: o.name !== 'tampered',
      logs: [{ device: DID, name: 'laptop', entries: 1_204, gaps: 0, head: 'bafyhead', witnesses: 2, forks: 0, behind: 0 }],
      problems: o.name === 'tampered' ? ['laptop#7 does not match its hash'] : [],
    }),
    shutdown: async () => {
      stop()
      return { stopping: true, active: 0, detached: 0, waitsMs: 0 }
    },
    exec: async (_actor, request, link, { signal }) => {
      const script = SCRIPTS[request.command[0] ?? '']
      if (script === undefined) throw new ErrandError('COMMAND_NOT_FOUND', `no command ${JSON.stringify(request.command[0])}`, { fields: { source: 'device' } })
      if (request.command[0] !== 'refuse') await accept(link)
      await script(link, request, signal)
    },
  }
}

/** Starts the node's local API in a home. @returns what stops it. */
export async function startFake(o: Options): Promise<{ close(): Promise<void>; stopped: Promise<void> }> {
  let stop = (): void => undefined
  const asked = new Promise<void>((resolve) => {
    stop = resolve
  })
  await mkdir(`${o.home}/identity`, { recursive: true, mode: 0o700 }) // what a home is known by
  const server = await startLocalServer({ runtime: scripted(runtimeOf(o, stop)), actorDid: DID, socketPath: socketPathOf(o.home) })
  return { close: () => server.close(), stopped: asked.then(() => server.close()) }
}

/** The face of src/node/main.ts. */
export async function runNode(o: Options, onReady: (report: unknown) => void): Promise<void> {
  if (o.name === 'broken') throw new ErrandError('ADDRESS_TAKEN', 'port 4701 is in use', { hint: 'choose another --listen' })
  if (o.name === 'dying') process.exit(3)
  const node = await startFake(o)
  await writeFile(`${o.home}/options.json`, JSON.stringify(o))
  const { did, peerId, name, words, mesh, devices } = STATUS
  onReady({
    did,
    peerId,
    name,
    words,
    mesh: o.awaitJoin === true ? null : mesh,
    devices,
    addresses: ['/ip4/127.0.0.1/tcp/4701'],
    api: null,
    created: true,
    warnings: [],
  })
  process.once('SIGTERM', () => process.exit(0))
  await node.stopped
  if (o.name === 'slow to stop') await new Promise((resolve) => setTimeout(resolve, 500))
  await rm(`${o.home}/errand.sock`, { force: true })
}
