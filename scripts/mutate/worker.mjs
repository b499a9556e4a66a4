/** A process that lives in a copy of the checkout, since tests read files from where they are started: breaks one guard at a time and says who noticed. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { without } from './guards.mjs'
import { openSession } from './session.mjs'

const tree = process.cwd()
const session = await openSession(tree)
process.on('message', async (mutant) => process.send?.({ id: mutant.id, noticed: await judge(mutant) }))
process.on('disconnect', () => process.exit(0))
process.send?.({ ready: true })

/** @returns the test that failed, or null: nobody noticed. */
async function judge({ file, guard, quick, all }) {
  const path = join(tree, file)
  const whole = readFileSync(path, 'utf8')
  writeFileSync(path, without(whole, guard))
  try {
    const quickly = await session.run(quick, path)
    const rest = all.filter((test) => !quick.includes(test))
    return quickly ?? (rest.length === 0 ? undefined : await session.run(rest, path)) ?? null
  } finally {
    writeFileSync(path, whole)
    session.forget(path)
  }
}
