/** Runs dependency-cruiser and also fails when it saw too little: it exits 0 with no modules at all when it cannot read the TypeScript at hand. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { asProgram, isMain, ROOT } from '../build/program.mjs'

/** Fewer modules than this mean that the tool is blind, not that the house is small. */
export const FEWEST_MODULES = 50

/** @typedef {{ readonly rule: string, readonly from: string, readonly to: string }} Breach */

/**
 * Judges the tree at `root` by our rules.
 * @param {string} root
 * @returns {{ modules: number, breaches: readonly Breach[] }} the modules of ours that it saw, and every breach.
 */
export function cruise(root) {
  const cli = join(ROOT, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs')
  const args = [cli, 'src', 'protocols', '--config', join(ROOT, '.dependency-cruiser.cjs'), '--output-type', 'json']
  const { modules, summary } = JSON.parse(execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 }))
  return {
    modules: modules.filter(({ source }) => /^(src|protocols)\//.test(source)).length,
    breaches: summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to })),
  }
}

if (isMain(import.meta.url)) {
  await asProgram(() => {
    const { modules, breaches } = cruise(ROOT)
    for (const { rule, from, to } of breaches) process.stdout.write(`${rule}: ${from} → ${to}\n`)
    if (modules < FEWEST_MODULES) process.stdout.write(`saw only ${modules} modules; can dependency-cruiser read this TypeScript?\n`)
    return breaches.length > 0 || modules < FEWEST_MODULES ? 1 : 0
  })
}
