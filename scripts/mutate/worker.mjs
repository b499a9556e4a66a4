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

/** A test that fails by chance, on a machine that is busy, notices nothing: the same one has to fail again, and to pass with the guard. So often it may try. */
const CHANCES = 3

/** @returns the test that failed twice without the guard and passes with it; or null: nobody noticed. */
async function judge({ file, guard, quick, all }) {
  const path = join(tree, file)
  const whole = readFileSync(path, 'utf8')
  const broken = without(whole, guard)
  try {
    for (let chance = 0; chance < CHANCES; chance++) {
      writeFileSync(path, broken)
      const failed = await firstFailure(quick, all, path)
      if (failed === undefined) return null
      if ((await session.run([failed.file], path))?.name !== failed.name) continue
      writeFileSync(path, whole)
      if ((await session.run([failed.file], path)) === undefined) return failed.name
    }
    return null
  } finally {
    writeFileSync(path, whole)
    session.forget(path)
  }
}

async function firstFailure(quick, all, path) {
  const rest = all.filter((test) => !quick.includes(test))
  return (await session.run(quick, path)) ?? (rest.length === 0 ? undefined : await session.run(rest, path))
}
