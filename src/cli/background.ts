/** Puts a node in the background: starts this same program again as `up`, and waits until that says it is ready or why it is not. */

import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { WireError } from '../base/errors.ts'
import { ErrandError, fromWire } from '../base/errors.ts'
import { makeDirectories } from '../base/paths.ts'

/** What a node says of itself once it can be used. */
export interface NodeReport {
  readonly did: string
  readonly peerId: string
  readonly name: string
  readonly words: string
  readonly addresses: readonly string[]
  readonly mesh: { readonly id: string; readonly name: string } | null
  readonly devices: { readonly known: number }
  readonly api: { readonly url: string; readonly tokenFile: string | null } | null
  /** The identity was made by this start. */
  readonly created: boolean
  readonly warnings: readonly string[]
}

/** What the background node tells the process that started it, once. */
export type StartMessage = { readonly t: 'ready'; readonly report: NodeReport } | { readonly t: 'failed'; readonly error: WireError }

/** Says to a node that its parent waits on the IPC channel. */
export const REPORT_VARIABLE = 'ERRAND_REPORT'
const READY_MS = 30_000

/**
 * @param options what `errand up` takes, beside the home.
 * @throws the node's own error; NODE_SLOW when it is not ready within 30 s (it goes on), NODE_FAILED when it ended without a reason.
 */
export async function startInBackground(home: string, options: readonly string[]): Promise<NodeReport & { readonly pid: number }> {
  const child = await launch(home, options)
  const message = await firstMessage(child, home).finally(() => {
    if (child.connected) child.disconnect()
    child.unref()
  })
  if (message.t === 'failed') throw fromWire(message.error)
  return { ...message.report, pid: child.pid ?? 0 }
}

async function launch(home: string, options: readonly string[]): Promise<ChildProcess> {
  const { spawn } = await import('node:child_process') // Here and not above: every other command would pay for loading it.
  const [, program] = process.argv
  if (program === undefined) throw new ErrandError('NODE_FAILED', 'this program does not know its own file', { hint: 'start the node with: errand up' })
  const log = openLog(home)
  try {
    return spawn(process.execPath, [...process.execArgv, program, 'up', '--home', home, ...options], {
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
      env: nodeEnvironment(),
    })
  } finally {
    if (log !== 'ignore') closeSync(log)
  }
}

/** A home that cannot be written or is none is the node's to explain; it does so over the channel, and finds no log of ours in somebody's documents. */
function openLog(home: string): number | 'ignore' {
  try {
    makeDirectories(home)
    const names = readdirSync(home)
    const isHome = names.length === 0 || names.some((name) => ['identity', 'runtime.yaml', 'config.yaml', 'errand.log'].includes(name))
    if (!isHome || (process.getuid !== undefined && statSync(home).uid !== process.getuid())) return 'ignore'
    return openSync(join(home, 'errand.log'), 'a', 0o600)
  } catch {
    return 'ignore'
  }
}

/** The launcher puts NODE_EXTRA_CA_CERTS aside because it slows every start of the client; the node gets it back. */
function nodeEnvironment(): NodeJS.ProcessEnv {
  const { ERRAND_NODE_EXTRA_CA_CERTS: certificates, ...env } = process.env
  return { ...env, [REPORT_VARIABLE]: 'ipc', ...(certificates === undefined ? {} : { NODE_EXTRA_CA_CERTS: certificates }) }
}

function firstMessage(child: ChildProcess, home: string): Promise<StartMessage> {
  const log = join(home, 'errand.log')
  return new Promise((resolve, reject) => {
    // The only sender is this same program; a message of another shape would be a fault of ours.
    child.once('message', (message) => resolve(message as StartMessage))
    child.once('error', (cause) => reject(new ErrandError('NODE_FAILED', `the node could not be started: ${cause.message}`, { cause })))
    child.once('exit', (code, signal) => {
      const fault = new ErrandError('NODE_FAILED', `the node ended while it started (${signal ?? `exit code ${code}`})`, {
        hint: `see ${log}`,
        fields: { log },
      })
      // Its last message may still be in the channel; only the channel's end says that there is none.
      if (child.connected) child.once('disconnect', () => reject(fault))
      else reject(fault)
    })
    AbortSignal.timeout(READY_MS).addEventListener('abort', () =>
      reject(
        new ErrandError('NODE_SLOW', `the node is not ready after ${READY_MS / 1_000} s; it goes on starting`, {
          hint: `see ${log}, then: errand status`,
          fields: { pid: child.pid },
        }),
      ),
    )
  })
}
