import { expect, test } from 'vitest'
import { EXEC, TAG } from '../../../protocols/exec/messages.ts'
import { LOCAL, LOCAL_TAG } from '../../../protocols/local/messages.ts'
import * as words from '../../../src/local/words.ts'

test('client and protocol speak with the same numbers', () => {
  expect({ ...words }).toEqual({ TAG, LOCAL, LOCAL_TAG, STDIN_WINDOW_BYTES: EXEC.stdinWindowBytes })
})
