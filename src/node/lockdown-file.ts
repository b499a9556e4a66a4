/** The lockdown of this device alone, as a file of its home: it outlives restarts, and needs neither a mesh nor an owner. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import type { LocalLockdown } from '../runtime/lockdown.ts'
import { writeWhole } from './home.ts'

export function lockdownFile(path: string): LocalLockdown {
  // A file that is there and cannot be read still says that there is one.
  const read = (): { reason: string } | undefined => {
    if (!existsSync(path)) return undefined
    try {
      return { reason: readFileSync(path, 'utf8').slice(0, 200).trim() }
    } catch {
      return { reason: '' }
    }
  }
  let held = read()
  return {
    get: () => held,
    set(state) {
      if (state === undefined) rmSync(path, { force: true })
      else writeWhole(path, Buffer.from(`${state.reason}\n`))
      held = state
      return Promise.resolve()
    },
  }
}
