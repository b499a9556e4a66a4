/** Whether a node answers on a home's socket. A socket that nobody listens on is a leftover. */
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { ErrandError } from '../base/errors.ts'
import { socketPathOf } from '../base/paths.ts'

/** @throws ALREADY_RUNNING when a node answers on the home's socket. */
export async function refuseSecond(home: string): Promise<void> {
  if (await answers(socketPathOf(home))) {
    throw new ErrandError('ALREADY_RUNNING', 'a node is running on this home already', {
      hint: 'errand status shows it; errand down stops it; another node needs another --home',
    })
  }
}

export async function answers(socketPath: string): Promise<boolean> {
  if (!existsSync(socketPath)) return false
  return await new Promise<boolean>((resolve) => {
    const probe = connect(socketPath, () => resolve(true))
    probe.once('error', () => resolve(false))
    probe.once('connect', () => probe.destroy())
  })
}
