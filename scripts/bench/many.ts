/**
 * Many devices at once, and command after command: errand beside ClusterShell and Ansible over ssh, and beside a loop over ssh's ControlMaster.
 * Each "device" of the others is the same sshd under another name, with a ControlMaster of its own that stays: they start no server for each.
 *
 *   npm run bench:many -- --devices 20 --commands 1000 --rounds 5
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Ssh, startSsh } from './ssh.ts'
import { CLEAN_ENV, Cleanup, type Command, figures, finish, say, succeed } from './support.ts'
import { type BenchNode, errand, seesOnline, startNode } from './support-nodes.ts'

interface Asked {
  readonly devices: number
  readonly commands: number
  readonly rounds: number
  readonly loop: number
}

interface Contender {
  readonly name: string
  run(): Promise<unknown>
}

const WHAT = 'true'

async function main(cleanup: Cleanup): Promise<void> {
  const asked = readArgs()
  await install()
  const ssh = await startSsh(cleanup)
  const nodes = await startMesh(cleanup, asked.devices)
  const [first] = nodes
  if (first === undefined) throw new Error('no node')
  const each = Math.ceil(asked.commands / asked.devices)
  say(`${each * asked.devices} commands on ${asked.devices} devices, ${asked.rounds} rounds; ${asked.loop} commands on one, one after the other`)
  await compare('fan-out', asked.rounds, fanOuts({ first, ssh, cleanup, each, devices: asked.devices }))
  await compare('one after the other', asked.rounds, loops({ first, ssh, to: nodes[1]?.name ?? first.name, commands: asked.loop }))
}

function readArgs(): Asked {
  const option = { type: 'string' } as const
  const { values } = parseArgs({ options: { devices: option, commands: option, rounds: option, loop: option } })
  const number = (text: string | undefined, otherwise: number): number => (text === undefined ? otherwise : Number(text))
  return { devices: number(values.devices, 20), commands: number(values.commands, 1_000), rounds: number(values.rounds, 5), loop: number(values.loop, 200) }
}

/** Without starting anything: only the programs are wanted. */
async function install(): Promise<void> {
  const isThere = async (file: string): Promise<boolean> =>
    await finish({ file, args: ['--version'] }).then(
      ({ exitCode }) => exitCode === 0,
      () => false,
    )
  const wanted = [(await isThere('clush')) ? [] : ['clustershell'], (await isThere('ansible')) ? [] : ['ansible-core']].flat()
  if (wanted.length === 0) return
  say(`installing ${wanted.join(' and ')} by apt-get`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const args = ['install', '-y', '--no-install-recommends', ...wanted]
  if ((await finish({ file: 'apt-get', args, env })).exitCode === 0) return
  await succeed({ file: 'apt-get', args: ['update'], env })
  await succeed({ file: 'apt-get', args, env })
}

async function startMesh(cleanup: Cleanup, devices: number): Promise<BenchNode[]> {
  const directory = cleanup.directory()
  const first = await startNode(cleanup, directory, 'd0')
  const nodes = [first]
  for (let n = 1; n < devices; n++) {
    const node = await startNode(cleanup, directory, `d${n}`)
    const { code } = JSON.parse((await succeed(errand(first, ['invite', '--mine', '--json']))).stdout)
    await succeed(errand(node, ['join', code, '--yes', '--json']))
    nodes.push(node)
  }
  for (const { name } of nodes) await seesOnline(first, name)
  return nodes
}

interface FanOutOf {
  readonly first: BenchNode
  readonly ssh: Ssh
  readonly cleanup: Cleanup
  readonly each: number
  readonly devices: number
}

/** Everybody does the same work: each device runs `each` commands, one fan-out after the other. */
function fanOuts({ first, ssh, cleanup, each, devices }: FanOutOf): Contender[] {
  const { options, target, env } = hostsOf(ssh, cleanup, devices)
  const repeated = (command: Command) => async (): Promise<void> => {
    for (let n = 0; n < each; n++) await succeed(command)
  }
  const clush = ['-w', target, '-f', String(devices), '-o', options, WHAT]
  const adhoc = ['all', '-i', `${target},`, '-f', String(devices), '-m', 'raw', '-a', WHAT]
  return [
    { name: 'errand', run: repeated(running(first, ['--all', '--json'])) },
    { name: 'ClusterShell', run: repeated({ file: 'clush', args: clush, env: CLEAN_ENV }) },
    { name: 'Ansible (raw)', run: repeated({ file: 'ansible', args: adhoc, env }) },
  ]
}

/** Names that all lead to the one server: each is a host of its own to whoever counts hosts, with a connection of its own. */
function hostsOf(ssh: Ssh, cleanup: Cleanup, devices: number): { options: string; target: string; env: NodeJS.ProcessEnv } {
  const directory = cleanup.directory()
  const given = ssh.options.filter((word) => word.includes('=')).map((word) => word.replace('=', ' '))
  const ours = ['HostName 127.0.0.1', `HostKeyAlias [127.0.0.1]:${ssh.port}`, `User ${userInfo().username}`]
  const master = ['ControlMaster auto', `ControlPath ${join(directory, 'c-%n')}`, 'ControlPersist 600']
  const config = join(directory, 'ssh_config')
  writeFileSync(config, [...given, ...ours, ...master, ''].join('\n'), { mode: 0o600 })
  const options = `-F ${config}`
  mkdirSync(join(directory, 'ansible'))
  writeFileSync(
    join(directory, 'ansible.cfg'),
    `[defaults]\nhost_key_checking=False\ninterpreter_python=/usr/bin/python3\n[ssh_connection]\nssh_args=${options}\npipelining=True\n`,
  )
  const env = { ...CLEAN_ENV, ANSIBLE_CONFIG: join(directory, 'ansible.cfg'), ANSIBLE_LOCAL_TEMP: join(directory, 'ansible') }
  const target = Array.from({ length: devices }, (_, n) => `h${n + 1}`).join(',')
  return { options, target, env }
}

function loops({ first, ssh, to, commands }: { first: BenchNode; ssh: Ssh; to: string; commands: number }): Contender[] {
  const many = async (command: Command): Promise<void> => {
    for (let n = 0; n < commands; n++) await succeed(command)
  }
  return [
    { name: 'errand batch', run: () => succeed(piped(`{"command":["${WHAT}"]}`, commands, errand(first, ['batch', to, '--json']))) },
    { name: 'errand run', run: () => many(running(first, [to])) },
    { name: 'ssh ControlMaster', run: () => many(ssh.warm(WHAT)) },
  ]
}

function running(node: BenchNode, where: readonly string[]): Command {
  const command = errand(node, ['run', ...where])
  return { ...command, args: [...command.args, '--', WHAT] }
}

/** A program whose stdin is so many of these lines. */
function piped(line: string, count: number, { file, args, env }: Command): Command {
  return {
    file: 'sh',
    args: ['-c', 'yes "$1" | head -n "$2" | { shift 2; "$@"; }', 'sh', line, String(count), file, ...args],
    ...(env === undefined ? {} : { env }),
  }
}

/** Round by round, so that what else the machine does meets all of them. */
async function compare(what: string, rounds: number, contenders: readonly Contender[]): Promise<void> {
  const took = new Map<string, number[]>(contenders.map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (const { name, run } of contenders) {
      const began = performance.now()
      await run()
      if (round > 0) took.get(name)?.push(performance.now() - began) // the first is a warm-up
    }
  }
  const base = figures(took.get(contenders[0]?.name ?? '') ?? []).p50
  for (const { name } of contenders) {
    const ms = figures(took.get(name) ?? []).p50
    console.log(`${what.padEnd(22)}${name.padEnd(20)}${ms.toFixed(0).padStart(8)} ms   ${(ms / base).toFixed(2)}×`)
  }
}

const cleanup = new Cleanup()
try {
  await main(cleanup)
} finally {
  await cleanup.run()
}
