/** Bare libp2p hosts as errand makes them, one mesh for all. */
import { systemRandom } from '../../../src/base/clock.ts'
import { Identity } from '../../../src/identity/identity.ts'
import { type Host, startHost } from '../../../src/mesh/host.ts'

const MESH = new Uint8Array(32).fill(7)
const hosts: Host[] = []

export async function host(): Promise<Host> {
  const identity = new Identity(systemRandom(32))
  const started = await startHost({ identity, meshId: MESH, listen: ['/ip4/127.0.0.1/tcp/0'], version: 'test', mdns: false, dht: false }, async () => undefined)
  hosts.push(started)
  return started
}

/** After each test. */
export async function stopHosts(): Promise<void> {
  await Promise.all(hosts.splice(0).map((one) => one.stop()))
}
