#!/bin/sh
':' //; if [ -n "${NODE_EXTRA_CA_CERTS-}" ]; then export ERRAND_NODE_EXTRA_CA_CERTS="$NODE_EXTRA_CA_CERTS"; unset NODE_EXTRA_CA_CERTS; fi; exec node "$0" "$@"

/**
 * The `errand` on the PATH: a shell script in its first two lines, JavaScript in all of them. Node 20 parses the whole bundle named by
 * NODE_EXTRA_CA_CERTS at every start (102 ms instead of 32), and a client that only speaks to a local socket needs none of it; so the
 * shell part puts the name aside, and the client hands it back to the node that it starts. Handing `$0` to Node as it is leaves symbolic
 * links to Node, which resolves them; `readlink -f` would cost a process and is not everywhere. CommonJS, because that starts sooner.
 */
const module_ = require('node:module')
const { join } = require('node:path')

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`error: errand needs Node.js 20.19 or newer; this is ${process.versions.node} (${process.execPath})\n`)
  process.exit(125)
}

// Next to the bundle and not in the shared /tmp: whoever may write there may change the code itself as well. Where nobody may, nothing is kept.
module_.enableCompileCache?.(join(__dirname, '..', 'dist', '.cache'))
// Not written as one literal: tsc would follow it and check 180,000 lines of bundles.
const program = join(__dirname, '..', 'dist', 'errand.cjs')
try {
  require(program)
} catch (error) {
  if (error.code !== 'MODULE_NOT_FOUND' || !String(error.message).includes('errand.cjs')) throw error
  process.stderr.write(
    'error: errand is not built\nhint: in a checkout, use scripts/errand or run `npm ci`; as an installed package, install it again with its scripts allowed\n',
  )
  process.exit(125)
}
