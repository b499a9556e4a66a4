/** What this node can hold a command to: found out once, when it has started or somebody asks, and then known to whoever admits, runs or tells of it. */
import { createHash } from 'node:crypto'
import { existsSync, realpathSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'
import type { SandboxView } from '../../protocols/local/messages.ts'
import type { Limits } from '../../protocols/task/limits.ts'
import { systemClock as clock } from '../base/clock.ts'
import { shortSocketPath, socketPathOf } from '../base/paths.ts'
import { type Means, planOf, publishedOf } from '../exec/means.ts'
import { probeMeans } from '../exec/probe.ts'
import type { Holding } from '../runtime/sandbox-check.ts'
import type { Home } from './home.ts'

export interface Sandbox {
  /** Resolves when it is known; never, where the node stops before. */
  readonly means: Promise<Means>
  /** Names the groups of this node among those of others. */
  readonly tag: string
  /** Real paths that no sandbox shows. */
  readonly hidden: readonly string[]
  /** @throws ErrandError DENIED with a next step, for what cannot be enforced. */
  hold(limits: Limits, user: string): Promise<Holding>
  /** What the device says of itself to the mesh; nothing until it is known. */
  published(): { readonly sandbox?: string; readonly limits?: string[] }
  view(): SandboxView | undefined
  stop(): void
}

/** It takes a quarter of a second of a processor, and whoever starts a node waits for something else then. */
const AFTER_START_MS = 1_000

export function openSandbox(home: Home): Sandbox {
  const tag = createHash('sha256').update(realpathSync(home.path)).digest('hex').slice(0, 12)
  let known: Means | undefined
  let begun: Promise<Means> | undefined
  let tell: (found: Means) => void = () => undefined
  const means = new Promise<Means>((resolve) => {
    tell = resolve
  })
  const find = async (): Promise<Means> => {
    known = await probeMeans(tag)
    tell(known)
    return known
  }
  const begin = (): Promise<Means> => {
    begun ??= find()
    return begun
  }
  const stop = clock.after(AFTER_START_MS, () => void begin())
  const own = userInfo().username
  return {
    means,
    stop,
    tag,
    hidden: hiddenOf(home),
    published: () => (known === undefined ? {} : publishedOf(known)),
    view: () => (known === undefined ? undefined : sandboxView(known)),
    hold: async (limits, user) => planOf(limits, user !== '' && user !== own, await begin()),
  }
}

/** The home, and where its sockets are when its path is too long for one. */
function hiddenOf(home: Home): string[] {
  const beside = [socketPathOf(home.path), shortSocketPath(home.at('run', 'exec', 'x'.repeat(24)))].map((socket) => dirname(socket))
  return [...new Set([home.path, ...beside].filter((path) => existsSync(path)).map((path) => realpathSync(path)))]
}

function sandboxView(means: Means): SandboxView {
  const { sandbox: level, limits } = publishedOf(means)
  const tools = [means.bwrap !== null ? 'bwrap' : undefined, means.unshare !== null ? 'unshare' : undefined, means.switchesUser ? 'setpriv' : undefined]
  const by = [...tools, means.group?.kind].filter((one) => one !== undefined)
  return { level, limits, by, lacking: Object.entries(means.lacking).map(([what, lack]) => ({ what: WHAT[what] ?? what, ...lack })) }
}

const WHAT: Readonly<Record<string, string>> = { bwrap: 'sandbox', group: 'limits', setpriv: 'users' }
