/** What a client says of its command later, as it goes over the line: bytes and signs as they are, JSON in the form that devices speak. */
import type * as v from 'valibot'
import { At, Resize, TAG } from '../../protocols/exec/messages.ts'
import { encode, shapeOf } from '../../protocols/wire.ts'
import type { Frame } from '../base/frames.ts'
import type { Line } from './line.ts'

const AS_IT_IS: ReadonlySet<number> = new Set([TAG.stdin, TAG.stdinEnd, TAG.cancel, TAG.bulkTake])
const FROM_JSON: ReadonlyMap<number, v.GenericSchema> = new Map<number, v.GenericSchema>([
  [TAG.resumeAt, At],
  [TAG.resize, Resize],
])

/** Nothing happens for a frame that is not for devices. @throws BAD_SHAPE, SyntaxError */
export async function carry({ tag, payload }: Frame, line: Pick<Line, 'say'>): Promise<void> {
  if (AS_IT_IS.has(tag)) return await line.say(tag, payload)
  const schema = FROM_JSON.get(tag)
  if (schema !== undefined) await line.say(tag, encode(shapeOf(schema, JSON.parse(Buffer.from(payload.subarray()).toString()))))
}
