/** docs/mutation.md: one row a guard, with the test that failed without it. Rows of files that were not run stay as they are. */
import { existsSync, readFileSync } from 'node:fs'

const HEAD = `# Guards, and the tests that notice when they are gone

\`npm run mutate -- --write\` removes every guard of these files in turn, in a copy of the checkout, and runs the tests that should notice; this page is what it wrote. A guard is an \`if\` that throws or refuses (each
operand of \`||\` by itself), a refusal in a conditional or in a chain of \`??\`, or the call of a check. Rooms and tests: \`scripts/mutate/rooms.mjs\`; what counts as a guard: \`scripts/mutate/guards.mjs\`. A test counts when it fails twice, and passes with the guard; tests of speed do not count. Hours on two cores;
\`-- --room kernel\` or \`-- --file verify --only 3\` is one part. A survivor makes it exit 1. \`npm test\` runs a handful (\`test/unit/tooling/mutate.test.ts\`).
`

/**
 * @param {string} path of the page as it is.
 * @param {readonly { file: string, id: string, was: string }[]} standing every guard there is: rows of others go.
 */
export function report(path, results, standing = results) {
  const kept = existsSync(path) ? rowsIn(readFileSync(path, 'utf8')) : new Map()
  const [ran, stand] = [grouped(results), grouped(standing)]
  const parts = [...stand]
    .map(([file, guards]) => [
      file,
      guards.flatMap((guard) => rowOf(guard, ran.get(file)) ?? rowOf(guard, kept.get(file)) ?? movedTo(guard, { guards, rows: kept.get(file) }) ?? []),
    ])
    .filter(([, rows]) => rows.length > 0)
    .sort(([a], [b]) => a.localeCompare(b, 'en'))
  const all = parts.flatMap(([, rows]) => rows)
  const survived = all.filter((row) => row.includes('**nobody**')).length
  const pages = parts.map(([file, rows]) => `## ${file}\n| guard | without it | noticed by |\n|---|---|---|\n${rows.join('\n')}\n`)
  return `${HEAD}\n${all.length} guards, ${survived} survivors.\n\n${pages.join('\n')}`
}

/** What was found about the guard of this number and text. */
const rowOf = (guard, rows = []) => rows.find((row) => aboutOf(row) === aboutOf(guard))

/** The numbers moved: what was found about the guard of this text, where the file has no other that reads alike. */
function movedTo(guard, { guards, rows = [] }) {
  const alike = (list) => list.filter((row) => textOf(row) === textOf(guard))
  const [row, another] = alike(rows)
  if (row === undefined || another !== undefined || alike(guards).length > 1) return undefined
  return aboutOf(guard) + row.slice(aboutOf(row).length)
}

const aboutOf = (row) => row.slice(0, row.lastIndexOf(' | '))
const textOf = (row) => aboutOf(row).replace(/^\| \d+ /, '')

function grouped(results) {
  const by = new Map()
  for (const { file, id, was, noticed } of results) {
    const cell = (text) => text.replaceAll('|', '\\|').replaceAll('`', "'")
    const row = `| ${id.split('#')[1]} | \`${cell(was.length > 110 ? `${was.slice(0, 109)}…` : was)}\` | ${noticed === undefined ? '**nobody**' : cell(noticed.slice(0, 160))} |`
    by.set(file, [...(by.get(file) ?? []), row])
  }
  return by
}

function rowsIn(page) {
  const sections = page.split(/^## /m).slice(1)
  return new Map(sections.map((section) => [section.slice(0, section.indexOf('\n')), section.split('\n').filter((line) => /^\| \d+ \|/.test(line))]))
}
