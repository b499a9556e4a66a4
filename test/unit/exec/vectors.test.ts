/** The golden bytes of /errand/exec/1: every frame as it lies on the wire, and what must be refused. */
import * as v from 'valibot'
import { expect, test } from 'vitest'
import {
  Accepted,
  At,
  Attach,
  Bulk,
  Detached,
  Ended,
  EXEC,
  Open,
  Queued,
  Refused,
  Resize,
  StdinCredit,
  TAG,
  Waits,
  WHY,
} from '../../../protocols/exec/messages.ts'
import { holdsItsVectors, readVectors } from './golden-frames.ts'

holdsItsVectors({
  vectors: readVectors('exec/vectors.json'),
  protocol: EXEC.ids[0],
  tags: TAG,
  maxFrameBytes: EXEC.maxFrameBytes,
  schemas: {
    ...{ open: Open, accepted: Accepted, refused: Refused, stdinCredit: StdinCredit, ended: Ended },
    ...{ attach: Attach, queued: Queued, waits: Waits, at: At, bulk: Bulk, bulkMoved: At, resumeAt: At, resize: Resize, detached: Detached },
  },
})

test('every reason for an end has golden bytes', () => {
  const reasons = readVectors('exec/vectors.json')
    .frames.filter(({ tag }) => tag === 'ended')
    .map(({ value }) => v.parse(v.object({ why: v.string() }), value).why)
  expect(new Set(reasons)).toEqual(new Set(WHY))
})
