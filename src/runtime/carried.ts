/** What a client says of its command later, as it goes over the line: bytes and signs as they are, JSON in the form that devices speak. */
import type * as v from 'valibot'
import { At, Resize, TAG } from '../../protocols/exec/messages.ts'
import { encode, shapeOf } from '../../protocols/wire.ts'
import { ErrandError } from '../base/errors.ts'
import type { Frame, FrameLink } from '../base/frames.ts'
import type { Line } from './line.ts'

const AS_IT_IS: ReadonlySet<number> = new Set([TAG.stdin, TAG.stdinEnd, TAG.cancel, TAG.bulkTake])
const FROM_JSON: ReadonlyMap<number, v.GenericSchema> = new Map<number, v.GenericSchema>([
  [TAG.resumeAt, At],
  [TAG.resize, Resize],
])

/** Nothing happens for a frame that is not for devices. @throws ErrandError BAD_REQUEST for one that is, and does not say what its kind says. */
export async function carry({ tag, payload }: Frame, line: Pick<Line, 'say' | 'detach'>): Promise<void> {
  if (tag === TAG.detach) return await line.detach()
  if (AS_IT_IS.has(tag)) return await line.say(tag, payload)
  const schema = FROM_JSON.get(tag)
  if (schema !== undefined) await line.say(tag, inForm(schema, payload.subarray()))
}

/**
 * All that a client says until it is gone; its cancel is told besides.
 * @returns what was wrong with a word after which nothing more is taken
 */
export async function carryAll(near: FrameLink, line: Pick<Line, 'say' | 'detach'>, cancelled: () => Promise<unknown>): Promise<ErrandError | undefined> {
  try {
    for (let frame = await near.read(); frame !== undefined; frame = await near.read()) {
      await carry(frame, line)
      if (frame.tag === TAG.cancel) await cancelled()
    }
  } catch (thrown) {
    if (thrown instanceof ErrandError && thrown.code === 'BAD_REQUEST') return thrown
    // The local socket is gone: the signal of the request cancels the command.
  }
  return undefined
}

function inForm(schema: v.GenericSchema, json: Uint8Array): Uint8Array {
  try {
    return encode(shapeOf(schema, JSON.parse(Buffer.from(json).toString())))
  } catch (cause) {
    throw new ErrandError('BAD_REQUEST', 'a word about a running command is not in its form', { hint: 'protocols/local says what each looks like', cause })
  }
}
