/** The face between devices: `/errand/call/1` and `/errand/exec/1` of another device, under rights that were granted to this one. */
import { socketPathOf } from '../../src/base/paths.ts'
import { connect } from '../../src/local/client.ts'
import { runtimeOf } from '../../src/local/runtime-of.ts'
import { contract, RIGHT } from './runtime.ts'

contract({
  name: 'another device over libp2p',
  async open(w) {
    const there = await w.founder('there')
    const { home } = await w.joiner(there, 'here')
    const granted = await w.errand(there.home, 'grant', 'here', '--on', 'there', '--can', RIGHT, '--for', '1h')
    if (granted.code !== 0) throw new Error(granted.stderr)
    await w.connected(home, 'there')
    const client = connect({ socketPath: socketPathOf(home) })
    return { runtime: runtimeOf(client), device: 'there', denied: { device: 'there', command: ['id'] }, close: async () => client.close() }
  },
})
