/** The reference: a node in this very process, made by `createNode` as a program gets it from dist. Its neighbour is a process of its own. */
import { expect, test } from 'vitest'
import type { createNode as Create } from '../../src/node/public.ts'
import { contract } from './runtime.ts'

const { createNode }: { createNode: typeof Create } = await import(new URL('../../dist/index.mjs', import.meta.url).href)

const warnings: Error[] = []
process.on('warning', (warning) => warnings.push(warning))

contract({
  name: 'in this process',
  async open(w) {
    const stranger = await w.founder('stranger')
    const { code } = await w.invite(stranger.home, '--name', 'here')
    const node = await createNode({ home: w.at('here'), awaitJoin: true, settings: { 'transport.mdns': false } })
    await node.owner.join({ code })
    return { runtime: node.runtime, device: 'here', denied: { device: 'stranger', command: ['id'] }, close: () => node.close() }
  },
})

test('in all of this the node has made its process warn of nothing', () => {
  expect(warnings).toEqual([])
})
