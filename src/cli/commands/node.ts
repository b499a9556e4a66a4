/** `errand up`: the node in this process, or the same in the background. The one command that loads the node. */
import { homedir } from 'node:os'
import { asErrand, ErrandError } from '../../base/errors.ts'
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
  readonly api?: string
  readonly detach?: boolean
  readonly awaitJoin?: boolean
}

type NodeModule = typeof import('../../node/main.ts')
type Asked<Call extends (...given: never[]) => unknown> = (...given: Parameters<Call>) => Promise<Awaited<ReturnType<Call>>>

type Lent = 'getSetting' | 'listSettings' | 'typeSetting' | 'checkPolicy' | 'testPolicy' | 'showPolicy'

/** The node's bundle; its errors come back as ours. */
export async function loadNode(): Promise<{ readonly [Name in Lent]: Asked<NodeModule[Name]> }> {
  const { getSetting, listSettings, typeSetting, checkPolicy, testPolicy, showPolicy } = await import('../../node/main.ts')
  return {
    ...{ getSetting: own(getSetting), listSettings: own(listSettings), typeSetting: own(typeSetting) },
    ...{ checkPolicy: own(checkPolicy), testPolicy: own(testPolicy), showPolicy: own(showPolicy) },
  }
}

function own<Given extends unknown[], T>(call: (...given: Given) => T | Promise<T>): (...given: Given) => Promise<T> {
  return async (...given) => {
    try {
      return await call(...given)
    } catch (thrown) {
      throw fromNode(thrown)
    }
  }
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
  try {
    const { runNode } = await import('../../node/main.ts')
    await runNode({ home: context.home, ...options, ...(label === undefined ? {} : { labels: label }) }, (report) =>
      tell === undefined ? announce(context, report) : void tell({ t: 'ready', report }),
    )
    return 0
  } catch (thrown) {
    const error = fromNode(thrown)
    await tell?.({ t: 'failed', error: error.toWire() })
    throw error
  }
}

/** The node is a bundle of its own, with its own copy of the class: its errors are known by their shape. */
function fromNode(thrown: unknown): ErrandError {
  if (!(thrown instanceof Error) || !('code' in thrown) || typeof thrown.code !== 'string') return asErrand(thrown)
  const { message, code } = thrown
  const hint = 'hint' in thrown && typeof thrown.hint === 'string' ? { hint: thrown.hint } : {}
  const fields = 'fields' in thrown && typeof thrown.fields === 'object' && thrown.fields !== null ? { fields: { ...thrown.fields } } : {}
  return new ErrandError(code, message, { ...hint, ...fields, cause: thrown })
}

/** @returns undefined unless a process that put us in the background waits for one message. */
function parentChannel(): ((message: StartMessage) => Promise<void>) | undefined {
  const awaited = process.env[REPORT_VARIABLE] === 'ipc' && process.send !== undefined
  delete process.env[REPORT_VARIABLE]
  if (!awaited) return undefined
  // A parent that was killed meanwhile is no reason to stop.
  process.on('error', () => undefined)
  return (message) =>
    new Promise((resolve) => {
      if (!process.connected || process.send === undefined) return resolve()
      process.send(message, undefined, undefined, () => {
        if (process.connected) process.disconnect()
        resolve()
      })
    })
}

export function argvOf({ name, listen, bootstrap, label, preset, api, awaitJoin }: UpOptions): string[] {
  const one = (option: string, value: string | undefined): string[] => (value === undefined ? [] : [`--${option}=${value}`])
  return [
    ...one('name', name),
    ...(listen ?? []).flatMap((address) => one('listen', address)),
    ...(bootstrap ?? []).flatMap((address) => one('bootstrap', address)),
    ...Object.entries(label ?? {}).flatMap(([key, value]) => one('label', `${key}=${value}`)),
    ...one('preset', preset),
    ...one('api', api),
    ...(awaitJoin === true ? ['--await-join'] : []),
  ]
}

function announce(context: Context, report: NodeReport): void {
  const { did, peerId, name, words, addresses, mesh, devices, api } = report
  for (const warning of report.warnings) context.say(`errand: ${warning}`)
  const lines = [
    context.tick(`identity  ${shortDid(did)}  (${words})     keys in ${tilde(context.home)}, mode 0600`),
    context.tick(`${reach(addresses, api)} · ${mesh === null ? 'in no mesh yet' : plural(Math.max(0, devices.known - 1), 'other device')}`),
    ...(!api ? [] : [context.tick(`API  ${api.url}${api.tokenFile === null ? '' : ` · its token is in ${tilde(api.tokenFile)}`}`)]),
    mesh === null ? '  Join a mesh:   errand join' : '  Add a device:  errand invite',
    ...(report.created && mesh !== null ? ['  For the worst: errand recovery new     (24 words on paper, with which you get the mesh back)'] : []),
  ]
  context.print({ event: 'ready', did, peerId, name, words, addresses, mesh, devices, api, created: report.created, warnings: report.warnings }, () =>
    lines.join('\n'),
  )
}

function reach(addresses: readonly string[], api: NodeReport['api']): string {
  const open = addresses.filter((address) => !/^\/(ip4\/127\.|ip6\/::1\/|dns\w*\/localhost\/)/.test(address))
  if (open.length === 0 && api && !/\/\/(127\.|localhost|\[::1\])/.test(api.url)) return 'only the API listens on the network'
  return open.length === 0 ? 'local only: nothing listens on the network yet' : `listening on ${open.map(clean).join(', ')}`
}

function tilde(path: string): string {
  const home = homedir()
  return path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path
}
