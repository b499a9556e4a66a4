/**
 * Golden bytes change only with the version of their protocol: protocols/vectors.lock holds the hash of every vectors file, and this
 * compares. Adding a file needs `npm run vectors:accept`; changing one needs the file's name as well, so that nobody does it in passing.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { asProgram, isMain, ROOT } from '../build/program.mjs'

/** @param now and @param locked both map a file's name to its hash. @returns one sentence a fault. */
export function vectorFaults(now, locked) {
  return [...new Set([...Object.keys(now), ...Object.keys(locked)])].sort().flatMap((file) => {
    if (now[file] === locked[file]) return []
    if (locked[file] === undefined) return [`${file} is new: npm run vectors:accept`]
    if (now[file] === undefined) return [`${file} is gone; old bytes must stay readable for one more release`]
    return [`${file} has changed: peers in the field speak the old bytes. Give the protocol a new version, or: npm run vectors:accept -- ${file}`]
  })
}

/** Locks what is new and what is named; everything else stays as it was. */
export function accept(now, locked, named) {
  const kept = Object.keys(now).map((file) => [file, locked[file] === undefined || named.includes(file) ? now[file] : locked[file]])
  const gone = Object.keys(locked).filter((file) => now[file] === undefined && !named.includes(file))
  return Object.fromEntries([...kept, ...gone.map((file) => [file, locked[file]])].sort(([a], [b]) => a.localeCompare(b, 'en')))
}

/** Line ends are evened out, so that a checkout on Windows has the same hash. */
export function vectorHashes(root) {
  const files = readdirSync(join(root, 'protocols'), { recursive: true })
    .map(String)
    .filter((file) => /(^|[/\\])[^/\\]*vectors\.json$/.test(file))
  const hash = (file) =>
    createHash('sha256')
      .update(readFileSync(join(root, 'protocols', file), 'utf8').replaceAll('\r\n', '\n'))
      .digest('hex')
  return Object.fromEntries(files.map((file) => [file.replaceAll('\\', '/'), hash(file)]))
}

if (isMain(import.meta.url)) {
  await asProgram(() => {
    const path = join(ROOT, 'protocols', 'vectors.lock')
    const now = vectorHashes(ROOT)
    let locked = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {}
    const [flag, ...named] = process.argv.slice(2)
    if (flag === '--accept') {
      locked = accept(now, locked, named)
      writeFileSync(path, `${JSON.stringify(locked, null, 2)}\n`)
    }
    const faults = vectorFaults(now, locked)
    process.stdout.write(faults.map((fault) => `${fault}\n`).join(''))
    return faults.length > 0 ? 1 : 0
  })
}
