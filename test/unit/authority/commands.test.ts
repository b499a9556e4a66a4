/** The registry of commands, and what it takes for arguments. */
import { expect, test } from 'vitest'
import { checkArgs } from '../../../src/authority/commands.ts'

test('arguments are a map: nothing else passes for an empty one', () => {
  expect(checkArgs('/device/info', {})).toEqual({ ok: true })
  for (const args of [[], new Uint8Array(), null, '', undefined]) expect(checkArgs('/device/info', args)).toMatchObject({ ok: false, code: 'BAD_ARGS' })
})

test('a command that is not in the registry has no arguments that fit', () => {
  for (const command of ['/', '/device', '/device/info/more', 'constructor']) expect(checkArgs(command, {})).toMatchObject({ code: 'UNKNOWN_COMMAND' })
})
