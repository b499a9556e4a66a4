/** What goes along with a command that is run for somebody at a local face. Types only. */
import type { Session } from './session.ts'

/** How a command is run for somebody at a local face. */
export interface ExecWith {
  readonly signal: AbortSignal
  /** In which session it acts. */
  readonly scope?: Session | undefined
  /** The id was made a moment ago by this node itself: nobody can know it. */
  readonly isFresh?: boolean
}
