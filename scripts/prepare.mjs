/**
 * npm runs this after an install in a checkout, before `npm pack`, and for `npm install -g .`, because dist is not committed. During our
 * own setup it stays out of the way (setup builds next). Where somebody left the development packages out on purpose it only says so.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { asProgram, ROOT, say } from './build/program.mjs'
import { ensure } from './ensure.mjs'

await asProgram(async () => {
  if (process.env.ERRAND_SETUP !== undefined) return
  const mustHaveDist = process.env.npm_config_global === 'true' || ['pack', 'publish'].includes(process.env.npm_command ?? '')
  if (mustHaveDist || existsSync(join(ROOT, 'node_modules', 'esbuild'))) return ensure()
  say('not built: the bundler is a development package and those were left out; run `npm run build` after a full `npm ci`')
})
