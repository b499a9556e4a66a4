/** One vitest that stays, in a copy of the checkout: it transforms what did not change only once, so a guard costs a second or two instead of ten. */
import { join } from 'node:path'

/** Tests of how long something takes: on a busy machine they fail with every guard in its place. */
const OF_SPEED = /budget of time|takes less than \d+ ms/

/** Without its guard many a test waits for an answer that never comes. */
const TEST_MS = 15_000

/** @returns a runner of tests in this tree. A changed file has to be named, so that its old form is forgotten. */
export async function openSession(tree) {
  const { createVitest } = await import('vitest/node')
  const vitest = await createVitest('test', {
    ...{ root: tree, config: join(tree, 'vitest.config.ts'), watch: false, bail: 1, reporters: [{}], pool: 'forks', maxWorkers: 1, isolate: false },
    ...{ fileParallelism: false, teardownTimeout: 2_000, onConsoleLog: () => false, testNamePattern: `^(?!.*(?:${OF_SPEED.source}))` },
  })
  for (const { config } of vitest.projects) config.testTimeout = TEST_MS
  return {
    /** @param tests paths, or the beginnings of paths. @returns the first test that failed and its file; undefined when all passed. */
    async run(tests, changed) {
      vitest.invalidateFile(changed)
      const specifications = await vitest.globTestSpecifications(tests)
      if (specifications.length === 0) throw new Error(`no tests in ${tests.join(', ')}`)
      const order = (spec) => tests.findIndex((test) => spec.moduleId.includes(test))
      // It keeps what earlier runs found, and would tell it again.
      vitest.state.filesMap.clear()
      vitest.state.idMap.clear()
      vitest.state.errorsSet.clear()
      const { testModules, unhandledErrors } = await vitest.runTestSpecifications([...specifications].sort((a, b) => order(a) - order(b)))
      const uncaught = unhandledErrors.length > 0 ? { file: tests[0], name: 'an error that nobody caught' } : undefined
      return failureIn(testModules) ?? uncaught
    },
    forget: (file) => vitest.invalidateFile(file),
  }
}

function failureIn(modules) {
  for (const module of modules) {
    const name = module.relativeModuleId.replace(/^test\//, '')
    const file = module.relativeModuleId
    if (module.state() === 'failed' && module.errors().length > 0) return { file, name: `${name}: it does not load` }
    for (const test of module.children.allTests('failed')) return { file, name: `${name}: ${test.fullName}` }
  }
  return undefined
}
