/**
 * The numbers of the local protocol for the client, which must start without the schema library.
 * Not a second truth: each constant is typed as the literal of its original, so tsc refuses any difference.
 */
import type * as exec from '../../protocols/exec/messages.ts'
import type * as local from '../../protocols/local/messages.ts'

export const TAG: typeof exec.TAG = {
  open: 0x01,
  accepted: 0x02,
  refused: 0x03,
  stdin: 0x10,
  stdinEnd: 0x11,
  stdinCredit: 0x12,
  stdout: 0x20,
  stderr: 0x21,
  cancel: 0x30,
  ended: 0x3f,
}

export const LOCAL_TAG: typeof local.LOCAL_TAG = { request: 0x00 }

/** `number` where the original is computed; `test/unit/local/words.test.ts` compares those. */
export const LOCAL: typeof local.LOCAL = { version: 1, maxBodyBytes: 1 << 20, maxFrameBytes: (1 << 18) + 16, upgrade: 'errand-exec' }

export const STDIN_WINDOW_BYTES: typeof exec.EXEC.stdinWindowBytes = 1 << 18
