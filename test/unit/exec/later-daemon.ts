/**
 * A daemon that comes after an upgrade: takes over what an older host runs, hears it to its end, and runs something new. Says what it
 * found and heard. Bundled with a later version of the host's protocol by the tests of versions.
 */
import { HOST } from '../../../protocols/host/frames.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { createExecutor } from '../../../src/exec/executor.ts'
import { Identity } from '../../../src/identity/identity.ts'
import type { OutputSink } from '../../../src/tasks/ports.ts'
import type { Told } from './daemon.ts'
import { orderOf, sh } from './orders.ts'

export interface Heard {
  readonly version: number
  readonly found: readonly { readonly task: string; readonly exitCode: number | null; readonly printed: string; readonly kept: string }[]
  /** The parent of a new command. */
  readonly ownHost: number
}

process.stdin.resume() // what it waits for keeps no process alive
const { seed, directory, hostFile } = JSON.parse(process.argv[2] ?? '') as Told
const identity = new Identity(Buffer.from(seed, 'hex'))
const executor = createExecutor({ clock: systemClock, device: identity.did, hostFile, runtimeDir: directory, jobsDir: `${directory}/jobs` })

function collecting(): { readonly sink: OutputSink; readonly text: () => string } {
  const got: Uint8Array[] = []
  return { sink: { output: (_fd, chunk) => void got.push(chunk.subarray()) }, text: () => Buffer.concat(got).toString() }
}

/** Joins it. The returned function hears it to its end. */
async function joined(task: string): Promise<() => Promise<Heard['found'][number]>> {
  const out = collecting()
  const running = await executor.follow(task, 0, out.sink)
  return async () => {
    const { exitCode } = await running.ended
    let kept = ''
    for await (const { bytes } of executor.printed(task, 0)) kept += Buffer.from(bytes).toString()
    return { task, exitCode, printed: out.text(), kept }
  }
}

const jobs = await executor.adopt()
const joining = await Promise.all(jobs.map(({ task }) => joined(task)))
const own = collecting()
const fresh = await executor.prepare(orderOf(identity, sh('echo $PPID'))).start(own.sink)
const found = await Promise.all(joining.map((hear) => hear()))
await fresh.ended
process.stdout.write(JSON.stringify({ version: HOST.version, found, ownHost: Number(own.text()) } satisfies Heard))
await executor[Symbol.asyncDispose]()
process.stdin.destroy()
