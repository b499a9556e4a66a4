/** Gathers the licence texts of every package whose code is in a bundle: whoever passes the code on must pass these on. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** @param metafiles what esbuild says of its builds. @returns one text, packages in order of their names. */
export function licences(root, metafiles) {
  const folders = new Set(metafiles.flatMap(({ inputs }) => Object.keys(inputs).flatMap((path) => /.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? [])))
  const texts = [...folders].map((folder) => textOf(join(root, folder))).filter((text) => text !== undefined)
  return [...new Set(texts)].sort((a, b) => a.localeCompare(b, 'en')).join(`\n${'─'.repeat(80)}\n\n`)
}

function textOf(folder) {
  if (!existsSync(join(folder, 'package.json'))) return undefined
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file))
  const bodies = files.map((file) => readFileSync(join(folder, file), 'utf8').trim())
  return `${[`${name} ${version}: ${license ?? 'see below'}`, ...bodies].join('\n\n')}\n`
}
