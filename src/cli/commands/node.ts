/** `errand up`: the node in this process, or the same in the background. The one command that loads the node. */
import { homedir } from 'node:os'
import { asErrand } from '../../base/errors.ts'
import type { NodeReport, StartMessage } from '../background.ts'
import { REPORT_VARIABLE, startInBackground } from '../background.ts'
import type { Context } from '../context.ts'
import { clean, plural, shortDid } from '../render.ts'

export interface UpOptions {
  readonly name?: string
  readonly listen?: string[]
  readonly bootstrap?: string[]
  readonly label?: Record<string, string>
  readonly preset?: 'local' | 'lan' | 'internet'
  readonly detach?: boolean
  readonly awaitJoin?: boolean
}

export async function up(context: Context, options: UpOptions): Promise<number> {
  if (options.detach === true) {
    const report = await startInBackground(context.home, argvOf(options))
    announce(context, report)
    return 0
  }
  return await inForeground(context, options)
}

async function inForeground(context: Context, { label, detach: _, ...options }: UpOptions): Promise<number> {
  const tell = parentChannel()
  const { runNode } = await import('../../node/main.ts')
  try {
    await runNode({ home: context.home, ...options, ...(label === undefined ? {} : { labels: label }) }, (report) =>
      tell === undefined ? announce(context, report) : tell({ t: 'ready', report }),
    )
    return 0
  } catch (error) {
    tell?.({ t: 'failed', error: asErrand(error).toWire() })
    throw error
  }
}

/** @returns undefined unless a process that put us in the background waits for one message. */
function parentChannel(): ((message: StartMessage) => void) | undefined {
  const awaited = process.env[REPORT_VARIABLE] === 'ipc' && process.send !== undefined
  delete process.env[REPORT_VARIABLE]
  if (!awaited) return undefined
  // A parent that was killed meanwhile is no reason to stop.
  process.on('error', () => undefined)
  return (message) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => process.connected && process.disconnect())
  }
}

export function argvOf({ name, listen, bootstrap, label, preset, awaitJoin }: UpOptions): string[] {
  const one = (option: string, value: string | undefined): string[] => (value === undefined ? [] : [`--${option}=${value}`])
  return [
    ...one('name', name),
    ...(listen ?? []).flatMap((address) => one('listen', address)),
    ...(bootstrap ?? []).flatMap((address) => one('bootstrap', address)),
    ...Object.entries(label ?? {}).flatMap(([key, value]) => one('label', `${key}=${value}`)),
    ...one('preset', preset),
    ...(awaitJoin === true ? ['--await-join'] : []),
  ]
}

function announce(context: Context, report: NodeReport): void {
  const { did, peerId, name, words, addresses, mesh, devices } = report
  for (const warning of report.warnings) context.say(`errand: ${warning}`)
  const lines = [
    context.tick(`identity  ${shortDid(did)}  (${words})     keys in ${tilde(context.home)}, mode 0600`),
    context.tick(`${reach(addresses)} · ${mesh === null ? 'in no mesh yet' : plural(Math.max(0, devices.known - 1), 'other device')}`),
    mesh === null ? '  Join a mesh:   errand join' : '  Add a device:  errand invite',
  ]
  context.print({ event: 'ready', did, peerId, name, words, addresses, mesh, devices, created: report.created, warnings: report.warnings }, () =>
    lines.join('\n'),
  )
}

function reach(addresses: readonly string[]): string {
  const open = addresses.filter((address) => !/^\/(ip4\/127\.|ip6\/::1\/|dns\w*\/localhost\/)/.test(address))
  return open.length === 0 ? 'local only: nothing listens on the network yet' : `listening on ${open.map(clean).join(', ')}`
}

function tilde(path: string): string {
  const home = homedir()
  return path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path
}
