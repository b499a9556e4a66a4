/**
 * Members that send what is no request, or one request twice at once: refused as such, and the connection has not suffered. On a device of its
 * own, since it bears only so many refusals of one member before it slows them down.
 */
import { expect, test } from 'vitest'
import { EXEC, TAG } from '../../protocols/exec/messages.ts'
import { encode } from '../../protocols/wire.ts'
import { type Answer, ask, command, ExecStream, openFrame, type Session } from './support-attack.ts'
import { besieged, framed, type Siege, sendAll, varint } from './support-siege.ts'

let siege: Siege
besieged((begun) => {
  siege = begun
})

test('what is no request is refused as such: too large before it is read, unknown tags, garbage, bombs, too many proofs', async () => {
  const { connection, challenge } = await siege.as('carol')
  const good = openFrame(siege.byCarol({ connection, challenge }))
  const nest = (depth: number): Buffer => Buffer.concat([Buffer.alloc(depth, 0x81), Buffer.of(0)])
  const proof = Buffer.alloc(64, 1)
  const raw: [string, Uint8Array][] = [
    ['one byte over the cap, and only its length is sent', varint(EXEC.maxFrameBytes + 1)],
    ['a length of 2^60', Buffer.from('ffffffffffffffff0f', 'hex')],
    ['a length without end', Buffer.alloc(64, 0xff)],
    ['a frame without a tag', Buffer.of(0)],
    ['an unknown tag', Buffer.from([1, 0x77])],
    ['stdin first', Buffer.from([2, TAG.stdin, 65])],
    ['cancel first', Buffer.from([1, TAG.cancel])],
    ['no CBOR', framed(TAG.open, Buffer.alloc(1_000, 0xfe))],
    ['a request twice in one frame', framed(TAG.open, Buffer.concat([good, good]))],
    ['lists in lists', framed(TAG.open, nest(200_000))],
    ['a list that says it has 2^32 items', framed(TAG.open, Buffer.from('9affffffff', 'hex'))],
    ['bytes that say they are 2^53 long', framed(TAG.open, Buffer.from('5b001fffffffffffff', 'hex'))],
    ['nested invocation', framed(TAG.open, encode({ invocation: nest(60_000), proofs: [], env: {} }))],
    ['an invocation over its cap', framed(TAG.open, encode({ invocation: Buffer.alloc(65_537), proofs: [], env: {} }))],
    ['nine proofs', framed(TAG.open, encode({ invocation: proof, proofs: Array.from({ length: 9 }, () => proof), env: {} }))],
    ['a proof over its cap', framed(TAG.open, encode({ invocation: proof, proofs: [Buffer.alloc(8_193)], env: {} }))],
    ['100,000 proofs', framed(TAG.open, encode({ invocation: proof, proofs: Array.from({ length: 100_000 }, () => new Uint8Array()), env: {} }))],
    ['environment of numbers', framed(TAG.open, encode({ invocation: proof, proofs: [], env: { A: 1 } }))],
    ['nothing but an end', new Uint8Array()],
  ]
  const began = performance.now()
  for (const [what, bytes] of raw) expect(await sayRaw(connection, bytes), what).toMatchObject({ t: expect.stringMatching(/refused|cut/) })
  expect(performance.now() - began, 'none of them waits for a deadline').toBeLessThan(EXEC.openMs)
  expect(await ask(connection, good), 'the connection has not suffered').toMatchObject({ t: 'ended' })
})

test('one task id is one command: two requests under it at once do not both run', async () => {
  const session = await siege.as('carol')
  const args = command('sleep', '0.3')
  const answers = await Promise.all([0, 1, 2].map(() => ask(session.connection, openFrame(siege.byCarol(session, { args })))))
  expect(answers.filter(({ t }) => t === 'ended')).toHaveLength(1)
  expect(answers.filter((answer) => answer.t === 'refused' && answer.code === 'TASK_EXISTS')).toHaveLength(2)
})

/** Sends bytes as they are, ends its side where that is all there is to say, and waits for the answer. */
async function sayRaw(connection: Session['connection'], bytes: Uint8Array): Promise<Answer> {
  const stream = await ExecStream.open(connection)
  const answer = stream.answer()
  if (bytes.length > 0) await sendAll(stream, bytes)
  else await stream.stream.close()
  return await answer
}
