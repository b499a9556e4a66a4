/**
 * A daemon as far as its exec-host can tell: a process with an executor, told in one argument what to start. It says what it has
 * started, then waits to be killed. Bundled and started by the tests of adoption.
 */
import { systemClock } from '../../../src/base/clock.ts'
import { createExecutor } from '../../../src/exec/executor.ts'
import { Identity } from '../../../src/identity/identity.ts'
import { orderOf, sh } from './orders.ts'

export interface Told {
  readonly seed: string
  readonly directory: string
  readonly hostFile: string
  readonly scripts: readonly { readonly script: string; readonly attached: boolean }[]
  readonly waits?: { readonly graceMs: number }
}

export interface Said {
  readonly started: readonly { readonly task: string; readonly pid: number }[]
}

process.stdin.resume() // it stays until it is killed
const told = JSON.parse(process.argv[2] ?? '') as Told
const identity = new Identity(Buffer.from(told.seed, 'hex'))
const { directory, hostFile, waits } = told
const executor = createExecutor({
  ...{ clock: systemClock, device: identity.did, hostFile, runtimeDir: directory, jobsDir: `${directory}/jobs` },
  ...(waits === undefined ? {} : { waits }),
})
const started = await Promise.all(
  told.scripts.map(async ({ script, attached }) => {
    const order = orderOf(identity, sh(script), { attached })
    const running = await executor.prepare(order).start()
    return { task: order.task, pid: running.pid }
  }),
)
process.stdout.write(`${JSON.stringify({ started } satisfies Said)}\n`)
