/** What is wrong with the logs, in words for people. */
import type { AuditProblem } from '../audit/segments.ts'

/** Entries that are missing in a row are said once, with the last of them. */
export function sayProblems(problems: readonly AuditProblem[]): string[] {
  const said: string[] = []
  for (let at = 0; at < problems.length; at++) {
    const first = problems[at]
    if (first === undefined) break
    let last = at
    while (isNextMissing(problems[last], problems[last + 1])) last++
    said.push(last === at ? first.words : `${first.words}, and so are all up to entry ${problems[last]?.n ?? first.n}`)
    at = last
  }
  return said
}

function isNextMissing(a: AuditProblem | undefined, b: AuditProblem | undefined): boolean {
  return a?.kind === 'missing' && b?.kind === 'missing' && a.device === b.device && b.n === a.n + 1
}
