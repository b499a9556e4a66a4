/** The face for terminals and live streams: commands, input and output over WebSocket, on the Unix socket. */
import { socketPathOf } from '../../src/base/paths.ts'
import { runtimeOf } from '../../src/local/runtime-of.ts'
import { webSocketCalls } from '../support/ws-client.ts'
import { contract } from './runtime.ts'

contract({
  name: 'WebSocket on the Unix socket',
  async open(w) {
    const stranger = await w.founder('stranger')
    const { home } = await w.joiner(stranger, 'here')
    await w.connected(home, 'stranger')
    const client = webSocketCalls({ socketPath: socketPathOf(home) })
    return { runtime: runtimeOf(client), device: 'here', denied: { device: 'stranger', command: ['id'] }, close: async () => client.close() }
  },
})
