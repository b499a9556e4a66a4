/** As much of a list as one frame takes. */
import { encode } from '../../protocols/wire.ts'

/** For the words around them. */
const ENVELOPE_BYTES = 4_096

/** As many of them, from the first on, as fit. */
export function fitting<T>(items: readonly T[], maxBytes: number): T[] {
  let left = maxBytes - ENVELOPE_BYTES
  const taken: T[] = []
  for (const item of items) {
    left -= encode(item).length
    if (left < 0) break
    taken.push(item)
  }
  return taken
}
