/** The face of programs that come over TCP: `errand/client` with the address and the token that the node made for them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from '../../src/local/client.ts'
import { runtimeOf } from '../../src/local/runtime-of.ts'
import { contract } from './runtime.ts'

contract({
  name: 'HTTP on a TCP address, with a token',
  async open(w) {
    const stranger = await w.founder('stranger')
    const { home } = await w.joiner(stranger, 'here', { config: { 'transport.api.listen': '127.0.0.1:0' } })
    await w.connected(home, 'stranger')
    const { api } = await connect({ home }).status()
    const client = connect({ url: api?.url ?? '', token: readFileSync(join(home, 'api.token'), 'utf8').trim() })
    return { runtime: runtimeOf(client), device: 'here', denied: { device: 'stranger', command: ['id'] }, close: async () => client.close() }
  },
})
