/** The golden bytes of the exec-host's socket and of its bulk door. */
import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Ended } from '../../../protocols/exec/messages.ts'
import {
  At,
  Attend,
  Attending,
  Detach,
  Expel,
  Failed,
  Follow,
  Held,
  HOST,
  HOST_TAG,
  Order,
  Resize,
  Started,
  StdinCredit,
  Stop,
  Ticket,
  Ticketed,
} from '../../../protocols/host/messages.ts'
import { offsetBytes, offsetIn } from '../../../src/base/offset.ts'
import { holdsItsVectors } from './golden-frames.ts'
import { hostVectors } from './host-golden.ts'

const FILE = 'protocols/host/vectors.json'
// The one way to make the file: ERRAND_WRITE_VECTORS=host npx vitest run test/unit/exec/host-vectors.test.ts
if (process.env['ERRAND_WRITE_VECTORS'] === 'host') writeFileSync(FILE, `${JSON.stringify(hostVectors, null, 2)}\n`)

test('what we write today is byte for byte what we wrote when the vectors were made', () => {
  expect(JSON.parse(JSON.stringify(hostVectors))).toEqual(JSON.parse(readFileSync(FILE, 'utf8')))
})

holdsItsVectors({
  vectors: hostVectors,
  protocol: 'host',
  tags: HOST_TAG,
  maxFrameBytes: HOST.maxFrameBytes,
  schemas: {
    ...{ order: Order, follow: Follow, attend: Attend, ticket: Ticket, expel: Expel, stop: Stop, stdinCredit: StdinCredit, at: At, ended: Ended },
    ...{ started: Started, failed: Failed, resize: Resize, attending: Attending, ticketed: Ticketed, held: Held, detach: Detach },
  },
})

test('an offset is 8 bytes, most significant first, and nothing else is one', () => {
  expect(Buffer.from(offsetBytes(0x0102030405)).toString('hex')).toBe('0000000102030405')
  expect(offsetIn(offsetBytes(Number.MAX_SAFE_INTEGER))).toBe(Number.MAX_SAFE_INTEGER)
  for (const bytes of [new Uint8Array(), new Uint8Array(7), new Uint8Array(9), new Uint8Array(8).fill(0xff)]) expect(() => offsetIn(bytes)).toThrow(RangeError)
})
