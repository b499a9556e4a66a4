/** The output of a task that was begun before, as its bytes come, and how it ends. */
import type { ExecOutcome } from '../../../protocols/local/messages.ts'
import { asErrand } from '../../base/errors.ts'
import type { AttachOptions } from '../../local/client.ts'
import { type Context, printError } from '../context.ts'
import { EXIT, exitCodeOfError, exitCodeOfOutcome, exitCodeOfSignal } from '../exitcodes.ts'
import { drained, Unread } from '../writer.ts'
import { notices, sayEnd, takers } from './run.ts'

/** Ctrl-C leaves a task that is only watched; it goes on. */
const LEAVERS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

interface Wanted {
  readonly task: string
  readonly from?: number
  readonly follow: boolean
  readonly input?: boolean
}

/** What is ours of a terminal that is come back to. */
interface OurEnd extends Pick<AttachOptions, 'stdin' | 'onTerminal'> {
  readonly left?: AbortController
}

export async function watchOutput(context: Context, wanted: Wanted, { left = new AbortController(), ...ours }: OurEnd = {}): Promise<number> {
  let exitCode: number | undefined
  for (const signal of LEAVERS) {
    process.on(signal, () => {
      exitCode ??= exitCodeOfSignal(signal)
      left.abort()
    })
  }
  const skipped: AttachOptions['onSkipped'] = (bytes) => context.say(`errand: ${bytes} bytes of output are not kept any more (deployment.spoolBytes)`)
  try {
    const outcome = await context.client.attach(wanted, {
      ...ours,
      ...takers(context.json),
      ...notices(context, 'its device'),
      onSkipped: skipped,
      abandon: left.signal,
    })
    if (outcome !== undefined) await sayOutcome(context, outcome)
    return outcome === undefined ? EXIT.ok : exitCodeOfOutcome(outcome)
  } catch (thrown) {
    if (thrown instanceof Unread) return EXIT.unread
    if (exitCode !== undefined) return exitCode
    if (left.signal.aborted) return EXIT.ok // by a word of the person, not by a signal
    const error = asErrand(thrown)
    printError(error, { json: context.json, givenHome: context.givenHome })
    return exitCodeOfError(error.code)
  }
}

async function sayOutcome(context: Context, outcome: ExecOutcome): Promise<void> {
  if (context.json) await drained(process.stdout, `${JSON.stringify({ t: 'ended', ...outcome })}\n`)
  else sayEnd(context, outcome, outcome.device)
}
