/**
 * npm runs this after `npm ci` in a checkout and before `npm pack`, because dist is not committed. During our own setup it stays out of
 * the way (setup builds next), and without the bundler (`npm ci --omit=dev` on an unpacked package that brings its dist) it has nothing to do.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { asProgram, ROOT, say } from './build/program.mjs'
import { ensure } from './ensure.mjs'

await asProgram(async () => {
  if (process.env.ERRAND_SETUP !== undefined) return
  if (existsSync(join(ROOT, 'node_modules', 'esbuild'))) return ensure()
  if (existsSync(join(ROOT, 'dist', 'errand.mjs'))) return
  say('not built: the bundler is a development package and those were left out; run `npm run build` after a full `npm ci`')
})
