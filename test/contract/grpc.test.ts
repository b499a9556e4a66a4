/** The face of programs in other languages: gRPC on its Unix socket, over messages of exec.proto and nothing else. */
import { socketPathOf } from '../../src/base/paths.ts'
import { connect } from '../../src/local/client.ts'
import { GrpcClient } from './grpc-client.ts'
import { contract } from './runtime.ts'

contract({
  name: 'gRPC on the Unix socket',
  async open(w) {
    const stranger = await w.founder('stranger')
    const { home } = await w.joiner(stranger, 'here', { config: { 'transport.grpc.socket': true } })
    await w.connected(home, 'stranger')
    const asked = connect({ socketPath: socketPathOf(home) })
    const { grpc } = await asked.status()
    asked.close()
    const runtime = new GrpcClient(grpc ?? '')
    return { runtime, device: 'here', denied: { device: 'stranger', command: ['id'] }, close: async () => runtime.close() }
  },
})
