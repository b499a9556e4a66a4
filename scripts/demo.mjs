/** `npm run demo`: makes the checkout ready, then shows the main job with three real nodes. The show itself is demo-main.mjs. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { asProgram, ROOT } from './build/program.mjs'
import { ensure } from './ensure.mjs'

await asProgram(async () => {
  await ensure()
  const { status } = spawnSync(process.execPath, [join(ROOT, 'scripts', 'demo-main.mjs'), ...process.argv.slice(2)], { stdio: 'inherit' })
  return status ?? 1 // null: ended by a signal
})
