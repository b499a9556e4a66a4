/**
 * The words between the daemon and its exec-host, over Node's IPC channel of a child process. Private to this version: both ends
 * ship in one package and the daemon starts the host it came with, so there is no negotiation. Output and input do not travel here.
 */
import * as v from 'valibot'
import { CommandSpec } from '../../protocols/task/messages.ts'
import { Count, List, Text } from '../../protocols/wire.ts'

const Id = Count
const Path = Text(4_096)
const SignalName = v.picklist(['SIGTERM', 'SIGKILL'])

/** The host's only argument, as JSON. */
export const HostSetup = v.strictObject({ home: Path, path: List(Path, 64), umask: v.pipe(Count, v.maxValue(0o777)) })
export type HostSetup = v.InferOutput<typeof HostSetup>

/** Named pipes the daemon holds open at its end; the host opens the other end, unlinks the name and gives them to the child. */
const Pipes = v.strictObject({ stdin: v.nullable(Path), stdout: Path, stderr: Path })
export type Pipes = v.InferOutput<typeof Pipes>

export const ToHost = v.variant('t', [
  v.strictObject({ t: v.literal('make-pipes'), paths: List(Path, 256) }),
  v.strictObject({ t: v.literal('start'), id: Id, spec: CommandSpec, pipes: Pipes }),
  v.strictObject({ t: v.literal('signal'), id: Id, signal: SignalName }),
])
export type ToHost = v.InferOutput<typeof ToHost>

export const Fault = v.strictObject({ code: Text(64), message: Text(1_024), hint: v.optional(Text(1_024)), fields: v.record(v.string(), v.unknown()) })
export type Fault = v.InferOutput<typeof Fault>

export const FromHost = v.variant('t', [
  v.strictObject({ t: v.literal('pipes-made'), paths: List(Path, 256), fault: v.nullable(Fault) }),
  v.strictObject({ t: v.literal('started'), id: Id, pid: Count }),
  v.strictObject({ t: v.literal('failed'), id: Id, fault: Fault }),
  /** The main process is gone. `groupLeft`: others of its process group are not; 'group-gone' follows once they are. */
  v.strictObject({ t: v.literal('exited'), id: Id, code: v.nullable(Count), signal: v.nullable(Text(16)), groupLeft: v.boolean() }),
  v.strictObject({ t: v.literal('group-gone'), id: Id }),
])
export type FromHost = v.InferOutput<typeof FromHost>
