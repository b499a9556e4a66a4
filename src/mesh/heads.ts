/** New heads of our log go out, a burst of them as one. */
import type { AuditLog } from '../audit/log.ts'
import type { Clock } from '../base/clock.ts'

/** Whoever asks for the log gets news at once; in between, one head a second is enough and keeps busy devices out of each other's way. */
const HEAD_DELAY_MS = 1_000

/** @returns what stops it. */
export function tellHeads(log: Pick<AuditLog, 'onHead' | 'head'>, clock: Clock, tell: (head: Uint8Array) => void): () => void {
  let armed = false
  let cancel = (): void => {}
  const off = log.onHead(() => {
    if (armed) return
    armed = true
    cancel = clock.after(HEAD_DELAY_MS, () => {
      armed = false
      const head = log.head()
      if (head !== undefined) tell(head.bytes)
    })
  })
  return () => {
    off()
    cancel()
  }
}
