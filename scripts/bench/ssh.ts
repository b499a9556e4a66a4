/**
 * OpenSSH to compare with: installed by apt-get when it is missing, its server on a free loopback port with its own configuration, host
 * key and user key in a directory that goes at the end. The system's own sshd, its files and the user's ~/.ssh are neither used nor touched.
 */
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { CLEAN_ENV, type Cleanup, type Command, endProcess, finish, say, sleep, succeed } from './support.ts'

export interface Ssh {
  readonly version: string
  /** For other programs that use ssh: as its command line takes them. */
  readonly options: readonly string[]
  readonly port: number
  /** A command over the standing ControlMaster connection: one process from start to exit. */
  warm(command: string): Command
  /** A command over a connection of its own. */
  cold(command: string, cipher?: string): Command
}

const SSHD = '/usr/sbin/sshd'
const PRIVSEP = '/run/sshd'

export async function startSsh(cleanup: Cleanup): Promise<Ssh> {
  await install()
  const directory = cleanup.directory()
  const port = await freePort()
  await makeKeys(directory, port)
  const config = writeConfig(directory, port)
  if (userInfo().uid === 0 && !existsSync(PRIVSEP)) {
    mkdirSync(PRIVSEP, { mode: 0o755 }) // sshd refuses to start as root without it
    cleanup.add(() => rmdirSync(PRIVSEP))
  }
  const server = spawn(SSHD, ['-D', '-e', '-f', config], { env: CLEAN_ENV, stdio: ['ignore', 'ignore', 'inherit'] })
  cleanup.add(() => endProcess(server))
  await accepting(port)
  const ssh = commands(directory, port)
  const control = join(directory, 'c')
  const master = spawn('ssh', ['-M', '-S', control, '-N', ...ssh.options, ssh.target], { env: CLEAN_ENV, stdio: ['ignore', 'ignore', 'inherit'] })
  cleanup.add(() => endProcess(master))
  for (let tries = 0; !existsSync(control); tries++) {
    if (tries > 200) throw new Error('ssh opened no ControlMaster socket within 10 s')
    await sleep(50)
  }
  const version = (await finish({ file: 'ssh', args: ['-V'] })).stderr.trim()
  return {
    ...{ version, port, options: ssh.options },
    warm: (command) => ({ file: 'ssh', args: ['-S', control, ...ssh.options, ssh.target, command] }),
    cold: (command, cipher) => ({ file: 'ssh', args: ['-S', 'none', ...(cipher === undefined ? [] : ['-c', cipher]), ...ssh.options, ssh.target, command] }),
  }
}

/** Without starting the system's server: an init script must not open port 22 because somebody measures. */
async function install(): Promise<void> {
  if (
    existsSync(SSHD) &&
    (await finish({ file: 'ssh', args: ['-V'] }).then(
      () => true,
      () => false,
    ))
  )
    return
  say('installing openssh-server and openssh-client by apt-get')
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const packages = ['install', '-y', '--no-install-recommends', 'openssh-server', 'openssh-client']
  try {
    const first = await finish({ file: 'apt-get', args: packages, env })
    if (first.exitCode === 0) return
    await succeed({ file: 'apt-get', args: ['update'], env })
    await succeed({ file: 'apt-get', args: packages, env })
  } catch (cause) {
    throw new Error('OpenSSH is missing and apt-get could not install it; install openssh-server and openssh-client by hand', { cause })
  }
}

async function makeKeys(directory: string, port: number): Promise<void> {
  for (const name of ['host', 'user'])
    await succeed({ file: 'ssh-keygen', args: ['-q', '-t', 'ed25519', '-N', '', '-C', 'errand-bench', '-f', join(directory, name)] })
  writeFileSync(join(directory, 'authorized'), readFileSync(join(directory, 'user.pub')), { mode: 0o600 })
  writeFileSync(join(directory, 'known'), `[127.0.0.1]:${port} ${readFileSync(join(directory, 'host.pub'), 'utf8')}`)
}

/**
 * Upstream's defaults as far as speed is concerned; without PAM, which would slow its logins down. The home is an empty one: bash reads
 * ~/.bashrc when sshd starts it, and what users put there (here: a version manager, 300 ms) would be counted as OpenSSH's.
 */
function writeConfig(directory: string, port: number): string {
  const home = join(directory, 'home')
  mkdirSync(home)
  const config = join(directory, 'sshd_config')
  const lines = [
    'ListenAddress 127.0.0.1',
    `Port ${port}`,
    `HostKey ${join(directory, 'host')}`,
    `AuthorizedKeysFile ${join(directory, 'authorized')}`,
    'PidFile none',
    'UsePAM no',
    'StrictModes no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    'UseDNS no',
    'PrintMotd no',
    'PrintLastLog no',
    `SetEnv HOME=${home}`,
    'MaxSessions 256',
    'MaxStartups 256',
    'LogLevel FATAL',
  ]
  writeFileSync(config, `${lines.join('\n')}\n`)
  chmodSync(config, 0o600)
  return config
}

function commands(directory: string, port: number): { options: string[]; target: string } {
  const settings = {
    Port: String(port),
    IdentityFile: join(directory, 'user'),
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    UserKnownHostsFile: join(directory, 'known'),
    GlobalKnownHostsFile: '/dev/null',
    StrictHostKeyChecking: 'yes',
    BatchMode: 'yes',
    LogLevel: 'ERROR',
  }
  const options = ['-F', '/dev/null', ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])]
  return { options, target: `${userInfo().username}@127.0.0.1` }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}

async function accepting(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true))
      socket.once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (isOpen) return
    await sleep(50)
  }
  throw new Error('sshd does not accept connections; see its messages above')
}
