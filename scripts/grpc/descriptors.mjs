/**
 * Makes protocols/local/exec.binpb: what reflection says of the services, compiled by protoc. The packages for Node.js make descriptors
 * of their own that other languages refuse (docs/decisions/0018). `--check` compares and writes nothing. Needs protoc: scripts/grpc/client.mjs.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asProgram, ROOT, SetupFailed } from '../build/program.mjs'

const FILE = join(ROOT, 'protocols', 'local', 'exec.binpb')
const packages = join(ROOT, 'node_modules')
/** Where protoc looks, and the names that the files have for the world. */
const PATHS = [
  `errand/v1=${join(ROOT, 'protocols', 'local')}`,
  join(packages, 'grpc-health-check', 'proto'),
  join(packages, '@grpc', 'reflection', 'build', 'proto'),
]
const PROTOS = ['errand/v1/exec.proto', 'health/v1/health.proto', 'grpc/reflection/v1/reflection.proto', 'grpc/reflection/v1alpha/reflection.proto']

/** protoc writes to files only. */
function compiled() {
  const dir = mkdtempSync(join(tmpdir(), 'errand-protoc-'))
  try {
    const file = join(dir, 'set.binpb')
    execFileSync('protoc', [...PATHS.map((path) => `-I${path}`), '--include_imports', `--descriptor_set_out=${file}`, ...PROTOS])
    return readFileSync(file)
  } finally {
    rmSync(dir, { recursive: true })
  }
}

await asProgram(() => {
  const made = compiled()
  if (!process.argv.includes('--check')) return writeFileSync(FILE, made)
  if (!readFileSync(FILE).equals(made)) throw new SetupFailed('protocols/local/exec.binpb is not what exec.proto says\nhint: node scripts/grpc/descriptors.mjs')
})
