/** The golden bytes of /errand/forward/1: every frame as it lies on the wire, and what must be refused. */
import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { AcceptedForward, Connect, EndedForward, FORWARD, FORWARD_TAG, Incoming, OpenForward, RefusedForward } from '../../../protocols/forward/messages.ts'
import { holdsItsVectors, readVectors } from '../exec/golden-frames.ts'
import { golden } from './golden.ts'

// The one way to make the file: ERRAND_WRITE_VECTORS=forward npx vitest run test/unit/forward
if (process.env['ERRAND_WRITE_VECTORS'] === 'forward') writeFileSync('protocols/forward/vectors.json', `${JSON.stringify(golden, null, 2)}\n`)

holdsItsVectors({
  vectors: readVectors('forward/vectors.json'),
  protocol: FORWARD.ids[0],
  tags: FORWARD_TAG,
  maxFrameBytes: FORWARD.maxFrameBytes,
  schemas: { open: OpenForward, accepted: AcceptedForward, refused: RefusedForward, connect: Connect, incoming: Incoming, ended: EndedForward },
})

test('what we write today is byte for byte what we wrote when the vectors were made', () => {
  expect(JSON.parse(JSON.stringify(golden))).toEqual(JSON.parse(JSON.stringify(readVectors('forward/vectors.json'))))
})
