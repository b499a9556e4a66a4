import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createNode } from '../../../src/node/embed.ts'
import { takeHome } from '../../../src/node/running.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'errand-running-'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

test('while one start holds a home, another makes no key in it, though no socket answers yet', async () => {
  const letGo = await takeHome(home)
  await expect(createNode({ home, socket: false })).rejects.toMatchObject({ code: 'ALREADY_RUNNING', hint: expect.stringContaining('errand down') })
  expect(existsSync(join(home, 'identity', 'device.pem'))).toBe(false)
  await letGo()
})

test('a home that was let go can be taken again, and so can one whose start failed', async () => {
  await (await takeHome(home))()
  await expect(createNode({ home, socket: false, listen: ['nonsense'] })).rejects.toMatchObject({ code: 'BAD_SETTING' })
  await (await takeHome(home))()
})
