/** What a host is told when it is started: one argument, as JSON. Everything else comes over its socket. */
import * as v from 'valibot'
import { Count, DidText, List, Text } from '../../protocols/wire.ts'
import { Means } from './means.ts'

const Path = Text(4_096)

export const HostSetup = v.strictObject({
  /** The device: whatever is ordered has to be an invocation on it. */
  device: DidText,
  /** Where it listens. */
  socket: Path,
  /** Of the node: its pipes are made here. */
  directory: Path,
  /** One directory a task. */
  jobs: Path,
  home: Path,
  path: List(Path, 64),
  /** Where the host finds what makes terminals; without it there are none. */
  pty: v.exactOptional(Path),
  /** What a command can be held to here. With a tag alone the host finds out by itself, at the first command that is to be held; with neither, to nothing. */
  means: v.exactOptional(Means),
  tag: v.exactOptional(Text(64)),
  /** Real paths that no sandbox shows. */
  hidden: v.exactOptional(List(Path, 16)),
  umask: v.pipe(Count, v.maxValue(0o777)),
  /** A link to the socket, where the socket's own path would be too long; it goes when the socket goes. */
  alias: v.exactOptional(Path),
  /** Other waits than the protocol's: for tests. */
  waits: v.exactOptional(v.partial(v.strictObject({ openMs: Count, graceMs: Count, ticketMs: Count, handshakeMs: Count }))),
})
export type HostSetup = v.InferOutput<typeof HostSetup>
