/** The exec-host's socket in the test's own hands: what a daemon says, and what nobody should. */
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { HOST, HOST_TAG } from '../../../protocols/host/frames.ts'
import { decodeStrict, encode } from '../../../protocols/wire.ts'
import { type Frame, FrameLink } from '../../../src/base/frames.ts'
import { SocketLink } from '../../../src/base/socket-link.ts'
import type { World } from './world.ts'

/** Where the world's host listens; it has one after its first command. */
export function socketOf({ directory }: Pick<World, 'directory'>): string {
  const [name] = readdirSync(join(directory, 'exec')).filter((entry) => entry.endsWith('.sock'))
  return join(directory, 'exec', name ?? 'none.sock')
}

export interface Dialled {
  readonly socket: Socket
  readonly link: FrameLink
  /** Resolves when the host has hung up. */
  readonly closed: Promise<void>
}

export function dial(path: string): Dialled {
  const socket = connect({ path })
  socket.on('error', () => undefined)
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  return { socket, closed, link: new FrameLink(new SocketLink(socket, new Uint8Array(), 1 << 20), HOST.maxFrameBytes) }
}

/** Says one thing on a connection of its own. @returns the tags and values of all answers, until the host hangs up. */
export async function say(path: string, ...frames: readonly (readonly [tag: number, value: unknown])[]): Promise<Answer[]> {
  const { link, socket } = dial(path)
  for (const [tag, value] of frames) void link.write(tag, value instanceof Uint8Array ? value : encode(value))
  const answers: Answer[] = []
  try {
    for (let frame = await link.read(); frame !== undefined; frame = await link.read()) answers.push(answerOf(frame))
  } catch {
    // Cut off; what came before counts.
  }
  socket.destroy()
  return answers
}

export interface Answer {
  readonly tag: number
  readonly value: unknown
}

const RAW: ReadonlySet<number> = new Set([HOST_TAG.stdout, HOST_TAG.stderr, HOST_TAG.progress])

export function answerOf({ tag, payload }: Frame): Answer {
  const bytes = payload.subarray()
  return { tag, value: RAW.has(tag) || bytes.length === 0 ? Buffer.from(bytes).toString() : decodeStrict(bytes, HOST.maxFrameBytes) }
}
