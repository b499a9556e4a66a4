/** docs/mutation.md: one row a guard, with the test that failed without it. Rows of files that were not run stay as they are. */
import { existsSync, readFileSync } from 'node:fs'

const HEAD = `# Guards, and the tests that notice when they are gone

\`npm run mutate -- --write\` removes every guard of these files in turn, in a copy of the checkout, and runs the tests that should notice; this page is what it wrote. A guard is an \`if\` that throws or refuses (each
operand of \`||\` by itself), a refusal in a conditional or in a chain of \`??\`, or the call of a check. Rooms and tests: \`scripts/mutate/rooms.mjs\`; what counts as a guard: \`scripts/mutate/guards.mjs\`. A test counts when it fails twice. Hours on two cores;
\`-- --room kernel\` or \`-- --file verify --only 3\` is one part. A survivor makes it exit 1. \`npm test\` runs a handful (\`test/unit/tooling/mutate.test.ts\`).
`

/** @param {string} path of the page as it is. */
export function report(path, results) {
  const kept = existsSync(path) ? rowsIn(readFileSync(path, 'utf8')) : new Map()
  const files = new Set(results.map(({ file }) => file))
  for (const [file, rows] of grouped(results)) {
    const old = results.length > 0 && files.has(file) ? new Map((kept.get(file) ?? []).map((row) => [row.split('|')[1], row])) : new Map()
    for (const row of rows) old.set(row.split('|')[1], row)
    kept.set(
      file,
      [...old.values()].sort((a, b) => Number(a.split('|')[1]) - Number(b.split('|')[1])),
    )
  }
  const parts = [...kept]
    .sort(([a], [b]) => a.localeCompare(b, 'en'))
    .map(([file, rows]) => `## ${file}\n| guard | without it | noticed by |\n|---|---|---|\n${rows.join('\n')}\n`)
  const all = [...kept.values()].flat()
  const survived = all.filter((row) => row.includes('**nobody**')).length
  return `${HEAD}\n${all.length} guards, ${survived} survivors.\n\n${parts.join('\n')}`
}

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
