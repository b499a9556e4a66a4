/** `node scripts/run.mjs NAME [ARG…]`: makes the checkout ready, then runs dist/NAME.mjs. For the programs that are not the product: conformance, bench/*. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { asProgram, ROOT, SetupFailed } from './build/program.mjs'
import { ensure } from './ensure.mjs'

await asProgram(async () => {
  const [name, ...args] = process.argv.slice(2)
  await ensure()
  const program = join(ROOT, 'dist', `${name}.mjs`)
  if (!existsSync(program)) throw new SetupFailed(`there is no ${name} to run (dist/${name}.mjs)`)
  const { status } = spawnSync(process.execPath, [program, ...args], { stdio: 'inherit' })
  return status ?? 1 // null: ended by a signal
})
