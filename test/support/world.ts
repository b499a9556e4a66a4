/**
 * A world for end-to-end tests: homes in a directory of its own, nodes that are processes of their own running dist/errand.cjs, and an
 * end that leaves nothing behind. `await using w = world()`. mDNS is off in its homes, so that worlds do not see each other.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AuditRecordView, AuditVerifyView, DeviceView, InviteView, JoinView } from '../../protocols/local/messages.ts'
import { processesOf } from './leftovers.ts'
import { failureOf, jsonLinesOf, jsonOf, type Ran, type Running, startProgram } from './program.ts'
import { until } from './until.ts'

export { failureOf, jsonLinesOf, jsonOf, type Ran, type Running, until }

/** The line that `up --json` prints. */
export interface Ready {
  readonly event: 'ready'
  readonly did: string
  readonly peerId: string
  readonly name: string
  readonly addresses: readonly string[]
  readonly created: boolean
  readonly warnings: readonly string[]
}

/** A node in the foreground, ready. */
export interface Node {
  readonly home: string
  readonly name: string
  readonly did: string
  readonly ready: Ready
  readonly process: Running
  /** SIGTERM, and the end of the process. */
  stop(): Promise<Ran & { readonly stoppedInMs: number }>
  /** SIGKILL: what a power cut looks like to the others. */
  kill(): Promise<void>
}

/** By flat or dotted names. */
export type Config = Readonly<Record<string, string | number | boolean | readonly string[]>>

const LEFT_BEHIND_MS = 5_000

/** A test that times out never reaches its end; its processes go with the worker at the latest. */
const everywhere = new Set<Running>()
process.once('exit', () => {
  for (const { child } of everywhere) child.kill('SIGKILL')
})

export function world(): World {
  return new World(mkdtempSync('/tmp/e-'))
}

export class World implements AsyncDisposable {
  readonly #running = new Set<Running>()

  constructor(readonly root: string) {
    mkdirSync(this.at('tmp'), { mode: 0o700 })
  }

  at(...parts: string[]): string {
    return join(this.root, ...parts)
  }

  /** Carries the world's directory into every process it starts, so that none can hide. */
  get env(): NodeJS.ProcessEnv {
    const { PATH, LANG } = process.env
    return { PATH, LANG, HOME: this.root, TMPDIR: this.at('tmp') }
  }

  /** A home directory that holds a runtime.yaml and nothing else. */
  home(name: string, config: Config = {}): string {
    const home = this.at(name)
    mkdirSync(home, { mode: 0o700 })
    this.configure(home, config)
    return home
  }

  configure(home: string, config: Config): void {
    const lines = Object.entries({ mdns: false, ...config }).map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`)
    writeFileSync(join(home, 'runtime.yaml'), lines.join(''), { mode: 0o600 })
  }

  /** Starts a command and does not wait for it. */
  start(home: string, args: readonly string[], o: { readonly stdin?: string; readonly env?: NodeJS.ProcessEnv; readonly uid?: number } = {}): Running {
    const [command = '', ...rest] = args
    const { env, ...others } = o
    const running = startProgram([command, '--home', home, ...rest], { env: { ...this.env, ...env }, ...others })
    this.#running.add(running)
    everywhere.add(running)
    void running.ended.finally(() => this.#running.delete(running) && everywhere.delete(running))
    return running
  }

  /** Runs one command to its end. */
  async errand(home: string, ...args: string[]): Promise<Ran> {
    return await this.start(home, args).ended
  }

  /** Starts a node and waits until it says that it can be used. @throws with what it said instead. */
  async up(home: string, ...args: string[]): Promise<Node> {
    const running = this.start(home, ['up', '--json', ...args])
    const line = await running.firstLine()
    const ready: Ready | { event: undefined } = line === undefined ? { event: undefined } : JSON.parse(line)
    if (ready.event !== 'ready') {
      const { code, stderr, stdout } = await running.ended
      throw new Error(`the node of ${home} did not start (exit ${code}): ${stdout}${stderr}`)
    }
    return {
      home,
      name: ready.name,
      did: ready.did,
      ready,
      process: running,
      stop: () => running.end('SIGTERM'),
      kill: async () => void (await running.end('SIGKILL')),
    }
  }

  /** Founds a mesh with one device. */
  async founder(name: string, config: Config = {}): Promise<Node> {
    return await this.up(this.home(name, config), '--name', name)
  }

  /** A new device that joins through `inviter`: its node runs afterwards. @param words what the invite says besides the name. */
  async joiner(inviter: Node, name: string, o: { readonly invite?: readonly string[]; readonly config?: Config } = {}): Promise<Node> {
    const { code } = await this.invite(inviter.home, '--name', name, ...(o.invite ?? []))
    const node = await this.up(this.home(name, o.config), '--await-join')
    const joined = jsonOf<JoinView>(await this.errand(node.home, 'join', code, '--yes', '--json'))
    return { ...node, name: joined.name }
  }

  async invite(home: string, ...args: string[]): Promise<InviteView> {
    const ran = await this.errand(home, 'invite', '--json', ...args)
    if (ran.code !== 0) throw new Error(`no invite: ${ran.stdout}${ran.stderr}`)
    return jsonOf<InviteView>(ran)
  }

  /** Runs a command on a device. */
  async run(home: string, device: string, ...command: string[]): Promise<Ran> {
    return await this.errand(home, 'run', device, '--', ...command)
  }

  async devices(home: string): Promise<DeviceView[]> {
    return jsonOf<DeviceView[]>(await this.errand(home, 'devices', '--json'))
  }

  async audit(home: string, ...filters: string[]): Promise<AuditRecordView[]> {
    const ran = await this.errand(home, 'audit', '--json', ...filters)
    if (ran.code !== 0) throw new Error(`no audit: ${ran.stdout}${ran.stderr}`)
    return jsonLinesOf<AuditRecordView>(ran)
  }

  async verify(home: string): Promise<AuditVerifyView> {
    return jsonOf<AuditVerifyView>(await this.errand(home, 'audit', 'verify', '--json'))
  }

  /** Waits until `home` has a line to every one of these devices. */
  async connected(home: string, ...names: string[]): Promise<void> {
    await until(`${home} is connected to ${names.join(', ')}`, async () => {
      const lines = (await this.devices(home)).filter(({ path }) => path === 'direct').map(({ name }) => name)
      return names.every((name) => lines.includes(name))
    })
  }

  /** Ends what runs and removes everything. @throws when a process outlives its node: that would be a leak on a user's machine too. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running].map((running) => running.end('SIGKILL')))
    const left = await until('no process is left', () => processesOf(this.root).length === 0, LEFT_BEHIND_MS).then(
      () => [],
      () => processesOf(this.root),
    )
    for (const { pid } of left) process.kill(pid, 'SIGKILL')
    rmSync(this.root, { recursive: true, force: true })
    if (left.length > 0) throw new Error(`processes were left behind: ${left.map(({ pid, command }) => `${pid} ${command}`).join('; ')}`)
  }
}
