/** The face of programs on the same machine: `errand/client` over the node's Unix socket. */
import { socketPathOf } from '../../src/base/paths.ts'
import { connect } from '../../src/local/client.ts'
import { runtimeOf } from '../../src/local/runtime-of.ts'
import { contract } from './runtime.ts'

contract({
  name: 'local HTTP on the Unix socket',
  async open(w) {
    const stranger = await w.founder('stranger')
    const { home } = await w.joiner(stranger, 'here')
    await w.connected(home, 'stranger')
    const client = connect({ socketPath: socketPathOf(home) })
    return { runtime: runtimeOf(client), device: 'here', denied: { device: 'stranger', command: ['id'] }, close: async () => client.close() }
  },
})
