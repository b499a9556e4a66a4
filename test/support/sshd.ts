/**
 * The system's own ssh, scp, sftp, rsync and ansible, installed once by apt-get where they are missing, and an sshd of the test's own: on a free loopback
 * port, with keys and configuration in a directory of the test. The system's server, its files and the user's ~/.ssh are neither used nor touched.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { until } from './until.ts'

const PROGRAMS = { ssh: '/usr/bin/ssh', sshd: '/usr/sbin/sshd', sftp: '/usr/bin/sftp', rsync: '/usr/bin/rsync', ansible: '/usr/bin/ansible' } as const
const APT = [
  'install',
  '-y',
  '--no-install-recommends',
  '-o',
  'DPkg::Lock::Timeout=60',
  'openssh-client',
  'openssh-server',
  'openssh-sftp-server',
  'rsync',
  'ansible-core',
  'python3',
]
const INSTALL_MS = 180_000
const PRIVSEP = '/run/sshd'

export interface Sshd extends AsyncDisposable {
  readonly port: number
  /** Options for ssh, scp and sftp: the keys of this server, and nothing of the user's. */
  readonly options: readonly string[]
  readonly user: string
}

/** Other tests install things at the same time, and apt-get lets only one look for news: so it is tried again. RUNLEVEL: an init script must not open port 22 because somebody runs tests. */
export async function installSsh(): Promise<void> {
  if (Object.values(PROGRAMS).every((file) => existsSync(file))) return
  await until(`apt-get ${APT.join(' ')}`, () => apt(APT) || (apt(['update']) && apt(APT)), INSTALL_MS)
}

function apt(args: readonly string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  return spawnSync('apt-get', args, { env, stdio: 'ignore', timeout: INSTALL_MS }).status === 0
}

export async function startSshd(directory: string, home: string): Promise<Sshd> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const port = await freePort()
  for (const name of ['host', 'user']) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'errand-test', '-f', join(directory, name)])
  writeFileSync(join(directory, 'authorized'), readFileSync(join(directory, 'user.pub')), { mode: 0o600 })
  writeFileSync(join(directory, 'known'), `nas ${readFileSync(join(directory, 'host.pub'), 'utf8')}`)
  if (userInfo().uid === 0 && !existsSync(PRIVSEP)) mkdirSync(PRIVSEP, { mode: 0o755 })
  const file = join(directory, 'sshd_config')
  writeFileSync(file, serverSettings(directory, home, port), { mode: 0o600 })
  const server = spawn(PROGRAMS.sshd, ['-D', '-e', '-f', file], { stdio: 'ignore' })
  await until('sshd accepts connections', () => accepts(port))
  return {
    port,
    user: userInfo().username,
    options: clientOptions(directory),
    [Symbol.asyncDispose]: async () => {
      const gone = once(server, 'exit')
      if (server.exitCode === null && server.kill('SIGTERM')) await gone
    },
  }
}

function serverSettings(directory: string, home: string, port: number): string {
  return [
    ...['ListenAddress 127.0.0.1', `Port ${port}`, `HostKey ${join(directory, 'host')}`, `AuthorizedKeysFile ${join(directory, 'authorized')}`],
    ...['PidFile none', 'UsePAM no', 'StrictModes no', 'PasswordAuthentication no', 'KbdInteractiveAuthentication no', 'PermitRootLogin prohibit-password'],
    ...['UseDNS no', 'PrintMotd no', 'PrintLastLog no', `SetEnv HOME=${home}`, 'Subsystem sftp internal-sftp', 'LogLevel FATAL', ''],
  ].join('\n')
}

/** The server's key is that of `nas`, whichever way leads there. */
function clientOptions(directory: string): readonly string[] {
  const settings = {
    ...{ IdentityFile: join(directory, 'user'), IdentitiesOnly: 'yes', IdentityAgent: 'none', UserKnownHostsFile: join(directory, 'known') },
    ...{ GlobalKnownHostsFile: '/dev/null', StrictHostKeyChecking: 'yes', BatchMode: 'yes', LogLevel: 'ERROR', HostKeyAlias: 'nas' },
  }
  return ['-F', '/dev/null', ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])]
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
