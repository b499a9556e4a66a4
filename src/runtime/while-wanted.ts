/** A command that waits, for a place or for a yes, and what takes it out of there: a cancel, the end of its right, an attached caller who leaves. */
import type { About } from '../../protocols/task/messages.ts'
import { ErrandError } from '../base/errors.ts'
import type { Admitted } from './exec-admission.ts'
import type { LiveCommands } from './live.ts'

interface Wanted {
  readonly request: Pick<Admitted, 'admission' | 'task'> & { readonly about: About }
  readonly asker: { readonly signal: AbortSignal }
}

/** A detached task goes on waiting when its submitter is gone. */
export async function whileWanted<T>(live: LiveCommands, { request, asker }: Wanted, wait: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { about, admission, task } = request
  const gone = new AbortController()
  const left = (): void => gone.abort(new ErrandError('CANCELLED', 'whoever asked is gone'))
  const cancelled = (): void => gone.abort(new ErrandError('CANCELLED', 'the task was cancelled while it waited'))
  const done = live.whenCancelled(task, cancelled)
  const release = live.rests.hold({ task, right: admission, end: (why) => gone.abort(why) })
  if (!about.detached) asker.signal.addEventListener('abort', left, { once: true })
  if (!about.detached && asker.signal.aborted) left()
  try {
    return await wait(gone.signal)
  } finally {
    done()
    release()
    asker.signal.removeEventListener('abort', left)
  }
}
