/**
 * `npm run fuzz [-- --count N] [--seed S] [--door NAME] [--skip NAME] [--from N]`: bent and random bytes against every door. No door may throw anything but the
 * errors that its callers handle, work longer than 100 ms on one input, or grow the process by more than 192 MiB. Exit 1 with what was found and
 * how to see it again.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { doorsOf } from './fuzz/doors.ts'
import { feed } from './fuzz/run.ts'
import { readCases } from './vectors/cases.ts'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    door: { type: 'string' },
    from: { type: 'string', default: '0' },
    skip: { type: 'string' },
  },
})
const [count, seed, from] = [Number(values.count), Number(values.seed), Number(values.from)]
const cases = readCases(JSON.parse(readFileSync('protocols/authority/vectors.json', 'utf8')))
const all = doorsOf('.', cases)
for (const asked of [values.door, values.skip])
  if (asked !== undefined && !all.some(({ name }) => name === asked))
    throw new Error(`no door is called "${asked}"; there are: ${all.map(({ name }) => name).join(', ')}`)
const doors = all.filter(({ name }) => (values.door === undefined || name === values.door) && name !== values.skip)

process.stdout.write('door                       inputs    taken  codes  slowest ms  grown MiB  seconds\n')
let wrong = 0
for (const door of doors) {
  const fed = await feed(door, { seed, count, from })
  const row = [fed.count, fed.taken, Object.keys(fed.refused).length, fed.slowestMs.toFixed(1), fed.grownMiB, fed.seconds.toFixed(1)]
  const widths = [9, 9, 7, 12, 11, 9]
  process.stdout.write(`${door.name.padEnd(24)}${row.map((cell, i) => String(cell).padStart(widths[i] ?? 0)).join('')}\n`)
  for (const { n, what, inputHex } of fed.findings) {
    wrong++
    process.stdout.write(`  input ${n}: ${what}\n    ${inputHex}\n    again: npm run fuzz -- --door '${door.name}' --seed ${seed} --from ${n} --count 1\n`)
  }
}
process.stdout.write(wrong === 0 ? `nothing found in ${count} inputs a door, seed ${seed}\n` : `${wrong} findings\n`)
process.exitCode = wrong === 0 && doors.length > 0 ? 0 : 1
