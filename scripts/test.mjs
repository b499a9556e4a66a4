/** `npm test`: makes the checkout ready, then runs vitest with the arguments given (`npm test -- test/unit/tasks`). */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { asProgram, ROOT } from './build/program.mjs'
import { ensure } from './ensure.mjs'

await asProgram(async () => {
  await ensure()
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs')
  const { status } = spawnSync(process.execPath, [vitest, 'run', ...process.argv.slice(2)], { cwd: ROOT, stdio: 'inherit' })
  return status ?? 1 // null: ended by a signal
})
