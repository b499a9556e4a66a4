/** What a program says of one command through the node, and what takes its output. Types only. */
import type { ExecAccepted, ExecWaits } from '../../protocols/local/messages.ts'
import type { WindowSize } from '../../protocols/task/messages.ts'
import type { ErrandError } from '../base/errors.ts'
import type { QuickLink } from './quick-link.ts'

/** Connections to a node's exec face, each for one command: over its socket, or inside its process. */
export interface Faces {
  readonly socketPath: string
  take(): { readonly link: QuickLink; readonly socket: { destroy(): void } }
  /** A command is over; the next may follow. */
  prepare(): void
}

/** What takes output. A returned promise stops the command's output until it resolves. The bytes are the taker's. */
export type OutputTaker = (chunk: Uint8Array) => Promise<void> | undefined | void

export interface ExecOptions {
  /** Forwarded as the command's stdin; without it the command's stdin is empty. */
  readonly stdin?: AsyncIterable<Uint8Array>
  readonly onStdout?: OutputTaker
  readonly onStderr?: OutputTaker
  readonly onAccepted?: (accepted: ExecAccepted) => void
  /** All places of the device are taken; so many stand before this command, and itself. */
  readonly onQueued?: (queued: { task: string; place: number }) => void
  /** It waits until people have approved it; said again whenever one has. */
  readonly onWaits?: (waits: ExecWaits) => void
  /** The line to the device was cut: the node dials it for so many milliseconds, and the command goes on there meanwhile. */
  readonly onLineDown?: (waitMs: number) => void
  /** Once it runs, for one with a terminal: gets what tells the device the terminal's size from now on. */
  readonly onTerminal?: (resize: (size: WindowSize) => void, detach: () => void) => void
  /** The device does not let the caller leave the command to itself, and why. It stays as it was. */
  readonly onMustStay?: (why: ErrandError) => void
  /** It prints so much that its output now takes a way of its own. */
  readonly onBulk?: () => void
  /** So many bytes of output are not there any more. */
  readonly onSkipped?: (bytes: number) => void
  /** Asks the device to end the command; `exec` still resolves with its outcome. */
  readonly signal?: AbortSignal
  /** Hangs up at once, whatever state things are in; `exec` rejects with CANCELLED. The node cancels the command then. */
  readonly abandon?: AbortSignal
}

export type AttachOptions = Pick<
  ExecOptions,
  'onStdout' | 'onStderr' | 'onAccepted' | 'onSkipped' | 'onBulk' | 'onLineDown' | 'abandon' | 'stdin' | 'onTerminal'
>
