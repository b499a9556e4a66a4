/**
 * Promises that can be read off the text of a file: no hidden clock, no suppressed check, no unfinished work, no private address, no
 * endless file. What needs a parser belongs to biome or tsc; this only greps.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { asProgram, isMain, ROOT } from '../build/program.mjs'

const CODE = ['.ts', '.mjs', '.cjs', '.js', '.sh']
const MAX_LINES = 300
/** From here on a file is told to split, without failing. */
const LONG_LINES = 250

const isCode = (path) => CODE.includes(extname(path)) || path === 'scripts/errand' || path === '.ci/run'
const isOurs = (path) => /^(src|protocols)\//.test(path) && path !== 'src/base/clock.ts'
/** These name what they look for. */
const isAboutRules = (path) => path.startsWith('scripts/lint/') || path.startsWith('test/unit/tooling/')

/** Words of machines and networks that are nobody's business. Pieced together, so that this file does not breach its own rule. */
const PRIVATE = new RegExp(
  [
    ['(?<![\\w.~-])', 'work', '(main|shared|\\.library|\\.mirror)\\b'].join('/'),
    ['\\.\\.', 'shared\\b'].join('/'),
    ['(?<![\\w.])', 'root', ''].join('/'),
    ['(?<![\\w.])', 'home', '(?!alice|bob|you|user|me\\b)\\w+', ''].join('/'),
    `_${'auth'}(Token)?\\s*=`,
    `//[^\\s"'/]*(${['regis' + 'try', 'npm' + 'js', 'yarn' + 'pkg', 'arti' + 'factory'].join('|')})[^\\s"'/]*\\.[a-z]+`,
  ].join('|'),
)

export const RULES = [
  {
    name: 'clock',
    say: 'take a Clock or Random as an argument; only src/base/clock.ts reads the machine',
    applies: isOurs,
    pattern:
      /\b(Date\.now|Math\.random|performance\.now|process\.hrtime)\b|\bnew Date\(\)|(?<![.\w])(setTimeout|setInterval)\(|\b(node:)?timers(\/promises)?['"]/,
    inCodeOnly: true,
  },
  {
    name: 'suppression',
    say: 'switch a rule off in the configuration, with its reason, or mend the code',
    applies: (path) => isCode(path) && !isAboutRules(path),
    pattern: /biome-ignore|@ts-(ignore|expect-error|nocheck)|eslint-disable|(v8|c8|istanbul) ignore/,
  },
  {
    name: 'unfinished',
    say: 'finish it, or write an issue',
    applies: (path) => isCode(path) && !isAboutRules(path),
    pattern: /\b(TODO|FIXME|XXX)\b|\b(test|it|describe)\.(skip|only|todo|fails|skipIf|runIf)\b/,
  },
  {
    name: 'private',
    say: 'this names a machine or a network of ours',
    applies: (path) => path !== '.ci/run' && !path.startsWith('test/unit/tooling/'),
    pattern: PRIVATE,
  },
]

/** @typedef {{ readonly path: string, readonly line: number, readonly rule: string, readonly say: string }} Fault */

/**
 * @param {readonly { path: string, text: string }[]} files paths from the root of the repository
 * @returns {Fault[]}
 */
export function lintText(files) {
  return files.flatMap(({ path, text }) => [...lintLines(path, text), ...lintLength(path, text)])
}

function lintLines(path, text) {
  const rules = RULES.filter((rule) => rule.applies(path))
  if (rules.length === 0) return []
  return text.split('\n').flatMap((content, at) => {
    const code = withoutComment(content)
    return rules.filter((rule) => rule.pattern.test(rule.inCodeOnly ? code : content)).map((rule) => ({ path, line: at + 1, rule: rule.name, say: rule.say }))
  })
}

/** Good enough for a grep: a comment may say `Date.now`. A `//` inside of a string hides what follows it, hence the blank before it. */
function withoutComment(line) {
  return /^\s*(\*|\/\*\*?|\/\/)/.test(line) ? '' : line.replace(/\s\/\/ .*$/, '')
}

function lintLength(path, text) {
  const lines = text.split('\n').length - 1
  return isCode(path) && lines > MAX_LINES
    ? [{ path, line: lines, rule: 'length', say: `${lines} lines; ${LONG_LINES} are the aim, ${MAX_LINES} the end: split it by subject` }]
    : []
}

/** Files that are too long to grow further, for a word of warning. */
export function longFiles(files) {
  return files.filter(({ path, text }) => isCode(path) && text.split('\n').length - 1 > LONG_LINES).map(({ path }) => path)
}

/** What git knows and what it will know after the next commit; ignored files are nobody's promise. */
export function repositoryFiles(root = ROOT) {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
  const paths = [...new Set(listed.split('\0'))].filter((path) => path !== '' && existsSync(join(root, path)))
  return paths.map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

if (isMain(import.meta.url)) {
  await asProgram(() => {
    const files = repositoryFiles()
    const faults = lintText(files)
    for (const { path, line, rule, say } of faults) process.stdout.write(`${path}:${line} ${rule}: ${say}\n`)
    const long = longFiles(files)
    if (faults.length === 0 && long.length > 0) process.stdout.write(`more than ${LONG_LINES} lines: ${long.join(', ')}\n`)
    return faults.length > 0 ? 1 : 0
  })
}
