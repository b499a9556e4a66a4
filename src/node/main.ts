/** The node program: checks the home, starts the daemon on it, and stays until it is told to stop. */
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { asErrand, ErrandError } from '../base/errors.ts'
import { socketPathOf } from '../base/paths.ts'
import { type Config, parseConfig, readConfig } from './config.ts'
import { Daemon, type NodeReady } from './daemon.ts'
import { Home } from './home.ts'

export { getSetting, listSettings, typeSetting } from './config.ts'
export type { NodeReady } from './daemon.ts'

export interface NodeOptions {
  home: string
  name?: string
  listen?: string[]
  bootstrap?: string[]
  labels?: Record<string, string>
  preset?: 'local' | 'lan' | 'internet'
  /** A home without a mesh waits for a join instead of beginning a mesh of its own. */
  awaitJoin?: boolean
}

/** Runs until SIGTERM, SIGINT or a shutdown request; resolves when the node has stopped. @throws ErrandError when it cannot start. */
export async function runNode(o: NodeOptions, onReady: (r: NodeReady) => void): Promise<void> {
  const umask = process.umask(0o077) // LevelDB makes its files with whatever modes the umask leaves
  const home = Home.open(o.home)
  await refuseSecond(socketPathOf(o.home))
  const daemon = new Daemon(home, withFlags(readConfig(home.at('config.yaml')), o), umask)
  try {
    onReady(await daemon.start(o.awaitJoin === true))
    await daemon.untilStopped()
  } finally {
    await daemon.stop()
  }
}

function withFlags(config: Config, o: NodeOptions): Config {
  const { name, listen, bootstrap, preset } = o
  const flags = {
    ...(name === undefined ? {} : { name }),
    ...(listen === undefined ? {} : { listen }),
    ...(bootstrap === undefined ? {} : { bootstrap }),
    ...(preset === undefined ? {} : { preset }),
  }
  try {
    return parseConfig(JSON.stringify({ ...config, ...flags, labels: { ...config.labels, ...o.labels } }), 'the command line')
  } catch (thrown) {
    throw new ErrandError('BAD_SETTING', asErrand(thrown).message, { hint: 'errand up --help shows the options', cause: thrown })
  }
}

/** @throws ALREADY_RUNNING when a node answers on the socket. A socket that nobody listens on is a leftover. */
async function refuseSecond(socketPath: string): Promise<void> {
  if (!existsSync(socketPath)) return
  const answers = await new Promise<boolean>((resolve) => {
    const probe = connect(socketPath, () => resolve(true))
    probe.once('error', () => resolve(false))
    probe.once('connect', () => probe.destroy())
  })
  if (answers)
    throw new ErrandError('ALREADY_RUNNING', 'a node is running on this home already', {
      hint: 'errand status shows it; errand down stops it; another node needs another --home',
    })
}
