/** The highest time that this device's clock has shown, in a file of the home: a clock that is set back is noticed over a restart, too. */
import { existsSync, readFileSync } from 'node:fs'
import type { FloorFile } from '../runtime/clock-watch.ts'
import { type Home, writeWhole } from './home.ts'

const FILE = 'clock.floor'
const LINE = /^errand clock floor v1 (\d{13,15})\n$/

/** A file that does not read is as good as none, and replaced: who can write it could remove it as well. */
export function clockFloor(home: Pick<Home, 'at'>): FloorFile {
  const path = home.at(FILE)
  return {
    name: path,
    load: () => {
      const ms = existsSync(path) ? LINE.exec(readFileSync(path, 'latin1'))?.[1] : undefined
      return ms === undefined ? undefined : Number(ms)
    },
    save: (ms) => {
      try {
        writeWhole(path, Buffer.from(`errand clock floor v1 ${Math.round(ms)}\n`))
      } catch {
        // A full disk: the next minute tries again.
      }
    },
  }
}
