/** What is written down of a request: the same words at the submitter and at the executor, so that one task is one on both. Pure. */
import type { ExecRequest } from '../../protocols/local/messages.ts'
import type { About } from '../../protocols/task/messages.ts'
import type { ExecRunArgs } from '../authority/commands.ts'
import type { Did } from '../identity/identity.ts'
import type { Submitted, TaskId } from '../tasks/machine.ts'

export const ATTACHED: About = { detached: false }

export function submissionFor(args: ExecRunArgs, about: About, o: { device: Did; submittedBy: Did; createdAt: number; grant?: string | undefined }): Submitted {
  const { exe, argv, cwd, user, env, timeoutMs, tty, task } = args
  const { grant, ...who } = o
  return {
    ...{ id: task as TaskId, command: [exe, ...argv], ...who },
    ...about,
    ...(cwd === '' ? {} : { cwd }),
    ...(user === '' ? {} : { user }),
    ...(env.length === 0 ? {} : { env }),
    ...(tty ? { tty } : {}),
    ...(timeoutMs === 0 ? {} : { timeoutMs }),
    ...(grant === undefined ? {} : { grant }),
  }
}

/** What comes back with the task. The session is the one that is proven, whatever the request says. */
export function aboutOf(request: ExecRequest, { detached, session }: { readonly detached: boolean; readonly session: string | undefined }): About {
  const { idempotent, description, input, prompt, agent, parent, metadata, context } = request
  const said = { idempotent, description, input, prompt, agent, session, parent: parent?.toLowerCase(), metadata, context }
  return { detached, ...Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)) }
}
