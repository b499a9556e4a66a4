/**
 * The gRPC packages, and the one place that loads them: a bundle of its own (dist/grpc/library.mjs), imported when a node opens its gRPC face and
 * not before, since they cost 20 MB and 100 ms (docs/decisions/0018). Decides nothing.
 */
import { fileURLToPath } from 'node:url'
import { loadSync, type PackageDefinition } from '@grpc/proto-loader'

export { Metadata, Server, ServerCredentials } from '@grpc/grpc-js'
export { ReflectionService } from '@grpc/reflection'
export { HealthImplementation } from 'grpc-health-check'

/** The file lies as far from the bundle as from here. */
const PROTO = fileURLToPath(new URL('../../protocols/local/exec.proto', import.meta.url))

/** Messages are plain objects: what is not set is not there, 64-bit numbers are numbers, a `oneof` has the name of its set field. */
export function loadProto(): PackageDefinition {
  return loadSync(PROTO, { longs: Number, enums: String, oneofs: true })
}
