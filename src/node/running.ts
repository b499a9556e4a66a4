/** Whether a node answers on a home's socket. A socket that nobody listens on is a leftover. */
import { existsSync } from 'node:fs'
import { connect } from 'node:net'

export async function answers(socketPath: string): Promise<boolean> {
  if (!existsSync(socketPath)) return false
  return await new Promise<boolean>((resolve) => {
    const probe = connect(socketPath, () => resolve(true))
    probe.once('error', () => resolve(false))
    probe.once('connect', () => probe.destroy())
  })
}
