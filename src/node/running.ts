/** One node a home: who answers on its socket is named, and who is only starting holds its lock. */
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { asErrand, ErrandError } from '../base/errors.ts'
import { socketPathOf } from '../base/paths.ts'
import { lockDirectory } from '../store/lock.ts'
import { makePrivateDirectory } from './home.ts'

/**
 * Takes the home for this process, before it reads or makes a key there: two that began a mesh at once would each overwrite the other's.
 * @returns what lets the home go, after the node has stopped. @throws ALREADY_RUNNING
 */
export async function takeHome(home: string): Promise<() => Promise<void>> {
  if (await answers(socketPathOf(home))) throw second()
  makePrivateDirectory(join(home, 'run'))
  try {
    return await lockDirectory(join(home, 'run', 'lock'))
  } catch (thrown) {
    throw asErrand(thrown).code === 'ALREADY_RUNNING' ? second(thrown) : thrown
  }
}

function second(cause?: unknown): ErrandError {
  return new ErrandError('ALREADY_RUNNING', 'a node is running on this home already', {
    hint: 'errand status shows it; errand down stops it; another node needs another --home',
    cause,
  })
}

export async function answers(socketPath: string): Promise<boolean> {
  if (!existsSync(socketPath)) return false
  return await new Promise<boolean>((resolve) => {
    const probe = connect(socketPath, () => resolve(true))
    probe.once('error', () => resolve(false))
    probe.once('connect', () => probe.destroy())
  })
}
