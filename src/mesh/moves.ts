/** Notices that this machine has other addresses than a moment ago: it changed networks, or a cable is back. Node cannot be told, so it looks. */
import { type Clock, every } from '../base/clock.ts'

const LOOK_MS = 1_000

export interface Move {
  readonly gone: ReadonlySet<string>
  readonly come: ReadonlySet<string>
}

export interface MovesOn {
  readonly clock: Clock
  /** The IP addresses of this machine now. */
  readonly addresses: () => readonly string[]
  readonly moved: (move: Move) => void
}

/** The returned function ends it. */
export function watchMoves({ clock, addresses, moved }: MovesOn): () => void {
  let known = new Set(addresses())
  return every(clock, LOOK_MS, () => {
    const now = new Set(addresses())
    const move = { gone: without(known, now), come: without(now, known) }
    known = now
    if (move.gone.size + move.come.size > 0) moved(move)
  })
}

function without(all: ReadonlySet<string>, others: ReadonlySet<string>): Set<string> {
  return new Set([...all].filter((one) => !others.has(one)))
}
