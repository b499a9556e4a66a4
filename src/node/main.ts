/** The node program: checks the home, starts the daemon on it, and stays until it is told to stop. */
import pino from 'pino'
import { stayAwake } from '../base/awake.ts'
import { loadConfig } from './config.ts'
import { type Flags, forgetOverrides, overridesOf, recordOverrides } from './config-overrides.ts'
import { Daemon, type NodeReady } from './daemon.ts'
import { Home } from './home.ts'
import { takeHome } from './running.ts'

export { ErrandError } from '../base/errors.ts'
export { getSetting, listSettings, typeSetting } from './config-show.ts'
export type { NodeReady } from './daemon.ts'
export { createNode } from './embed.ts'
export { checkPolicy, showPolicy, testPolicy } from './policy-show.ts'

export interface NodeOptions extends Flags {
  readonly home: string
  /** A home without a mesh waits for a join instead of beginning a mesh of its own. */
  readonly awaitJoin?: boolean
}

/** Runs until SIGTERM, SIGINT or a shutdown request; resolves when the node has stopped. @throws ErrandError when it cannot start. */
export async function runNode(o: NodeOptions, onReady: (r: NodeReady) => void): Promise<void> {
  const umask = process.umask(0o077) // LevelDB makes its files with whatever modes the umask leaves
  const home = Home.open(o.home)
  const letGo = await takeHome(o.home)
  try {
    await runOn(home, { ...o, umask }, onReady)
  } finally {
    await letGo()
  }
}

async function runOn(home: Home, o: NodeOptions & { readonly umask: number }, onReady: (r: NodeReady) => void): Promise<void> {
  const overrides = overridesOf(o, process.env)
  const log = pino.destination({ dest: 2, sync: true })
  const daemon = new Daemon(home, loadConfig(o.home, overrides), { umask: o.umask, socket: true, log })
  let started = false
  const rest = stayAwake() // a start may wait for nothing but a timer, and a node ends when it is told to, never because it waits
  try {
    const ready = await daemon.start(o.awaitJoin === true)
    started = true
    recordOverrides(o.home, overrides)
    onReady(ready)
    await daemon.untilStopped()
  } finally {
    if (started) forgetOverrides(o.home) // who did not start may stand beside the node whose they are
    await daemon.stop()
    rest()
  }
}
