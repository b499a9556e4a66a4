/** The quick reader of command lines against commander: whatever the quick one accepts means the same to both. */
import type { Command } from 'commander'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readPlain } from '../../../src/cli/plain.ts'
import { makeProgram } from '../../../src/cli/program.ts'

interface Meaning {
  readonly name: string
  readonly shared: unknown
  readonly words: readonly unknown[]
  readonly options: unknown
}

/** Ends commander's way where the command would begin, after everything that could refuse the line. */
class Reached extends Error {
  constructor(readonly meaning: Meaning) {
    super('reached')
  }
}

/** @returns what would be done, or why nothing would. */
async function commanderReads(argv: readonly string[]): Promise<Meaning | string> {
  const { program } = makeProgram(argv)
  const stop = (command: Command): void => {
    command.hook('preAction', (_, acting) => {
      throw new Reached({ name: acting.name(), shared: program.opts(), words: acting.processedArgs, options: acting.opts() })
    })
    for (const child of command.commands) stop(child)
  }
  for (const command of program.commands) stop(command)
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return 'nothing ran'
  } catch (thrown) {
    return thrown instanceof Reached ? thrown.meaning : String(thrown)
  }
}

function quickReads(argv: readonly string[]): Meaning | undefined {
  const plain = readPlain(argv)
  if (plain === undefined) return undefined
  const { name, shared } = plain
  return plain.name === 'run' ? { name, shared, words: [plain.device, plain.command], options: plain.options } : { name, shared, words: [], options: {} }
}

const word = fc.constantFrom(
  ...['run', 'run', 'status', 'devices', 'ps', 'grants', 'up', 'audit', 'list', 'gpu1', 'ls', '--', '--', '--home', '/h', '--home=/h', '--json', '--json=1'],
  ...['-i', '--interactive', '-ix', '--cwd', '--cw', '--env', 'A=1', 'B', '=', '--user', '--timeout', '90s', '5', '1.5h', '99999d', '--id', '--help', '-h'],
  ...['--version', '-V', '--detach', '-', '', ' ', '--no-json', '-1', 'help', '--follow'],
)
/** Lines that people mean to be right, with anything anywhere. */
const almost = fc
  .tuple(fc.array(word, { maxLength: 2 }), fc.array(word, { maxLength: 4 }), fc.array(word, { maxLength: 2 }), fc.array(word, { minLength: 1, maxLength: 4 }))
  .map(([before, options, device, command]) => [...before, 'run', ...options, 'gpu1', ...device, '--', ...command])
const showing = fc
  .tuple(fc.array(word, { maxLength: 3 }), fc.constantFrom('status', 'devices', 'ps', 'grants'), fc.array(word, { maxLength: 3 }))
  .map(([before, name, after]) => [...before, name, ...after])

test('whatever is read quickly means the same to commander', async () => {
  let plain = 0
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.array(word, { maxLength: 8 }), almost, showing), async (argv) => {
      const quick = quickReads(argv)
      if (quick === undefined) return
      plain += 1
      expect(await commanderReads(argv)).toEqual(quick)
    }),
    { numRuns: 10_000 },
  )
  expect(plain).toBeGreaterThan(50) // else the property said nothing
})

test.each([
  ['run gpu1 -- true'],
  ['run gpu1 --home /h -- sh -c true'],
  ['--home /h --json run gpu1 -- ls --json -- -i'],
  ['run -i --timeout 90s --cwd /tmp --user me --env A=1 --env B=2=3 gpu1 -- cat'],
  ['run gpu1 --interactive --home a --home b -- cat'],
  ['status'],
  ['status --json --home /h'],
  ['--json devices'],
  ['ps'],
  ['grants --home /h'],
])('%s is read quickly', async (line) => {
  const argv = line.split(' ')
  const quick = quickReads(argv)
  expect(quick).toBeDefined()
  expect(await commanderReads(argv)).toEqual(quick)
})

test.each([
  [[]],
  [['run']],
  [['run', 'gpu1', '--']],
  [['run', 'gpu1', 'ls']],
  [['run', '--', 'gpu1', 'ls']],
  [['run', 'gpu1', 'ls', '--', 'x']],
  [['run', '--help']],
  [['-i', 'run', 'gpu1', '--', 'ls']],
  [['run', 'gpu1', '--home', '--', 'ls']],
  [['run', '--timeout', '5', 'gpu1', '--', 'ls']],
  [['run', '--env', 'A', 'gpu1', '--', 'ls']],
  [['run', '--env', '=', 'gpu1', '--', 'ls']],
  [['status', 'now']],
  [['status', '--', 'now']],
  [['status', '--home', '']],
  [['status', '-i']],
  [['stauts']],
  [['--version']],
])('%j is left to commander', (argv) => {
  expect(readPlain(argv)).toBeUndefined()
})
