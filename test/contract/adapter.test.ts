/** A face of somebody else's: the example of docs/adapters.md, in a node made by `createNode`. */
import { lineAdapter } from '../../docs/examples/line-adapter.ts'
import type { createNode as Create } from '../../src/node/public.ts'
import { LineClient } from './line-client.ts'
import { contract } from './runtime.ts'

const { createNode }: { createNode: typeof Create } = await import(new URL('../../dist/index.mjs', import.meta.url).href)

contract({
  name: 'the adapter of docs/adapters.md',
  async open(w) {
    const stranger = await w.founder('stranger')
    const { code } = await w.invite(stranger.home, '--name', 'here')
    const socketPath = w.at('lines.sock')
    const node = await createNode({ home: w.at('here'), awaitJoin: true, adapters: [lineAdapter(socketPath)], settings: { 'transport.mdns': false } })
    await node.owner.join({ code })
    return { runtime: new LineClient(socketPath), device: 'here', denied: { device: 'stranger', command: ['id'] }, close: () => node.close() }
  },
})
