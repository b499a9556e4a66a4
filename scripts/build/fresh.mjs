/** Tells whether the installed packages and dist are what the lock file and the sources ask for. Reads only; changes nothing. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** What a build is made of; a change in any of these makes a new one necessary. */
const SOURCES = ['src', 'protocols', 'scripts', 'package.json', 'package-lock.json', 'tsconfig.json']

/**
 * True when node_modules holds exactly the versions of the lock file. Compares with the record that npm itself keeps there, so that an
 * `npm install` by hand counts as well; an interrupted install leaves no such record.
 */
export function isInstalled(root) {
  const wanted = readJson(join(root, 'package-lock.json'))
  const present = readJson(join(root, 'node_modules', '.package-lock.json'))
  if (wanted === undefined || present === undefined) return false
  return Object.entries(wanted.packages).every(([path, { version, optional, devOptional }]) => {
    if (path === '' || ((optional || devOptional) && present.packages[path] === undefined)) return true
    return present.packages[path]?.version === version && existsSync(join(root, path, 'package.json'))
  })
}

/** True when dist was made from the sources as they are now. */
export function isBuilt(root) {
  const stamp = join(root, 'dist', '.build')
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint(root)
}

/** Names, sizes and times of all sources: a deleted file shows as well, which newest-time comparisons miss. */
export function fingerprint(root) {
  const hash = createHash('sha256').update(process.version.split('.')[0])
  for (const source of SOURCES) addTo(hash, root, source)
  return hash.digest('hex')
}

function addTo(hash, root, path) {
  const seen = statSync(join(root, path), { throwIfNoEntry: false })
  if (seen === undefined) return
  if (!seen.isDirectory()) return void hash.update(`${path}\0${seen.size}\0${seen.mtimeMs}\n`)
  for (const name of readdirSync(join(root, path)).sort()) addTo(hash, root, `${path}/${name}`)
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined // missing or half written: both mean "not installed"
  }
}
