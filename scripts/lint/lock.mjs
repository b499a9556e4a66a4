/**
 * The lock file must work for everybody: no address of anybody's registry, and every platform's package listed, so that `npm ci` on
 * another system finds its own. npm leaves a platform out when the registry it asked did not carry it, and `npm ci` then refuses the whole
 * file; `node scripts/lint/lock.mjs --complete` writes those entries (name, version and platform are known; the hash is not, until
 * somebody with a fuller registry runs `npm install`).
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { asProgram, isMain, ROOT } from '../build/program.mjs'

const SYSTEMS = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32']
const CPUS = ['arm64', 'arm', 'ia32', 'ppc64', 'riscv64', 's390x', 'x64']

/** @param packages the `packages` of a lock file. @returns one sentence a fault. */
export function lockFaults(packages) {
  const addressed = Object.keys(packages).filter((path) => packages[path].resolved !== undefined)
  const loose = Object.keys(packages).filter((path) => path !== '' && !/^\d+\.\d+\.\d+/.test(packages[path].version ?? ''))
  return [
    ...addressed.map((path) => `${path} names where it was downloaded from; is omit-lockfile-registry-resolved in .npmrc?`),
    ...loose.map((path) => `${path} has no exact version`),
    ...missing(packages).map(
      ({ name, by }) => `${name}, a platform's part of ${by}, is not listed: npm ci fails on it; run node scripts/lint/lock.mjs --complete`,
    ),
  ]
}

/** Adds the entries that `lockFaults` misses. @returns the packages in npm's order. */
export function complete(packages) {
  const added = missing(packages).map(({ name, version, dev }) => [
    `node_modules/${name}`,
    { version, ...platform(name), ...(dev ? { dev } : {}), optional: true },
  ])
  return Object.fromEntries([...Object.entries(packages), ...added].sort(([a], [b]) => a.localeCompare(b, 'en')))
}

function missing(packages) {
  const found = new Map()
  for (const [path, { optionalDependencies = {}, dev }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const listed = packages[`node_modules/${name}`] ?? packages[`${path}/node_modules/${name}`]
      if (listed === undefined && !found.has(name)) found.set(name, { name, version, dev, by: path.replace(/.*node_modules\//, '') })
    }
  }
  return [...found.values()]
}

function platform(name) {
  const words = name.split(/[/-]/)
  const cpu = CPUS.filter((word) => words.includes(word))
  const os = SYSTEMS.filter((word) => words.includes(word))
  const libc = words.some((word) => word.startsWith('musl')) ? ['musl'] : words.some((word) => word.startsWith('gnu')) ? ['glibc'] : []
  return { cpu, ...(libc.length > 0 ? { libc } : {}), os }
}

if (isMain(import.meta.url)) {
  await asProgram(() => {
    const path = join(ROOT, 'package-lock.json')
    const lock = JSON.parse(readFileSync(path, 'utf8'))
    if (process.argv.includes('--complete')) {
      lock.packages = complete(lock.packages)
      writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`)
    }
    const faults = lockFaults(lock.packages)
    process.stdout.write(faults.map((fault) => `${fault}\n`).join(''))
    return faults.length > 0 ? 1 : 0
  })
}
