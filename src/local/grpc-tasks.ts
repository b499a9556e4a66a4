/** The gRPC service Tasks, and what Exec has in common with it: decode once, ask the runtime, answer in the face's words. Holds no state. */
import * as v from 'valibot'
import { ErrandError } from '../base/errors.ts'
import type { Actor, Runtime } from '../runtime/runtime.ts'
import { checked } from './door.ts'
import type { Calls } from './grpc-calls.ts'
import { deviceOf, readRequest, statusMessageOf, taskListOf, taskOf, updatesOf } from './grpc-words.ts'

export interface TasksOn {
  readonly runtime: Runtime
  readonly actor: Actor
  readonly calls: Calls
  /** Aborts when the server stops: watchers are let go. */
  readonly stopping: AbortSignal
}

const Ref = v.object({ id: v.optional(v.pipe(v.string(), v.maxLength(64)), ''), events: v.optional(v.boolean(), false) })
const All = v.object({ all: v.optional(v.boolean(), false) })
const Cursor = v.object({ cursor: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))) })

/** The three that have the same meaning in both services. */
export function sharedMethods({ runtime, actor, calls }: TasksOn) {
  return {
    get: calls.unary(async ({ message }) => {
      const { id, events } = checked(Ref, message)
      return taskOf(await runtime.getTask(id, { events }))
    }),
    list: calls.unary(async ({ message }) => taskListOf(await runtime.listTasks(checked(All, message)))),
    cancel: calls.unary(async ({ message }) => taskOf(await runtime.cancelTask(actor, checked(Ref, message).id))),
  }
}

export function tasksMethods(on: TasksOn) {
  const { runtime, actor, calls, stopping } = on
  return {
    // Not bounded by the call's deadline: it is handed over, and goes on without its caller.
    SubmitTask: calls.unary(async ({ message }) => {
      const { request, stdin, isInteractive } = readRequest(message, undefined)
      if (stdin !== undefined || isInteractive) throw new ErrandError('BAD_REQUEST', 'a task that is handed over takes no input', { hint: 'use Exec for that' })
      return taskOf(await runtime.submitTask(actor, request))
    }),
    PauseTask: calls.unary(async ({ message }) => taskOf(await runtime.pauseTask(actor, checked(Ref, message).id))),
    ResumeTask: calls.unary(async ({ message }) => taskOf(await runtime.resumeTask(actor, checked(Ref, message).id))),
    StreamTaskUpdates: calls.stream(async ({ message, gone }, say) => {
      const { cursor } = checked(Cursor, message)
      const signal = AbortSignal.any([gone, stopping])
      for await (const update of runtime.streamTaskUpdates({ ...(cursor === undefined ? {} : { cursor }), signal })) {
        for (const piece of updatesOf(update)) await say(piece)
      }
      if (stopping.aborted) throw new ErrandError('CANCELLED', 'the watch ended')
    }),
    ListDevices: calls.unary(async () => ({ devices: (await runtime.listDevices()).map(deviceOf) })),
    ListAgents: calls.unary(async () => ({ offered: await runtime.listAgents() })),
    ListSkills: calls.unary(async () => ({ offered: await runtime.listSkills() })),
    GetStatus: calls.unary(async () => statusMessageOf(await runtime.getStatus())),
  }
}
