/**
 * A node inside a program, as `import { createNode } from 'errand'` makes it: the same daemon as `errand up` starts, and measured from within.
 * Started by support-nodes.ts with home and name; each message on its IPC channel is a command to run elsewhere, each answer says how long it took.
 */
import { fileURLToPath } from 'node:url'
import type * as errand from '../../src/node/public.ts'

export interface Asked {
  readonly device: string
  readonly command: string[]
}
export type Told = { readonly t: 'ready' } | { readonly t: 'took'; readonly ms: number } | { readonly t: 'failed'; readonly why: string }

const tell = (told: Told): void => void process.send?.(told)
const [home = '', name = ''] = process.argv.slice(2)
const INDEX = fileURLToPath(new URL('../index.mjs', import.meta.url)) // lies beside dist/bench
const { createNode }: typeof errand = await import(INDEX)
const node = await createNode({ home, name, listen: ['/ip4/127.0.0.1/tcp/0'] })

process.on('message', (asked: Asked) => void run(asked))
process.once('disconnect', () => void node.close())
process.once('SIGTERM', () => void node.close().then(() => process.exit(0)))
tell({ t: 'ready' })

async function run({ device, command }: Asked): Promise<void> {
  try {
    const startedAt = performance.now()
    const { exitCode } = await node.runtime.execute({ device, command })
    const ms = performance.now() - startedAt
    tell(exitCode === 0 ? { t: 'took', ms } : { t: 'failed', why: `the command ended with ${exitCode}` })
  } catch (thrown) {
    tell({ t: 'failed', why: String(thrown) })
  }
}
