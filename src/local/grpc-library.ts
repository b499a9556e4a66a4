/**
 * The gRPC packages, and the one place that loads them: a bundle of its own (dist/grpc/library.mjs), imported when a node opens its gRPC face and
 * not before, since they cost 7 MiB and 130 ms (docs/decisions/0018). Decides nothing.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { loadSync, type PackageDefinition } from '@grpc/proto-loader'

export { Metadata, Server, ServerCredentials } from '@grpc/grpc-js'
export { ReflectionService } from '@grpc/reflection'
export { HealthImplementation } from 'grpc-health-check'

/** The files lie as far from the bundle as from here. */
const PROTO = new URL('../../protocols/local/exec.proto', import.meta.url)
const DESCRIPTORS = new URL('../../protocols/local/exec.binpb', import.meta.url)

/** Messages are plain objects: what is not set is not there, 64-bit numbers are numbers, a `oneof` has the name of its set field. */
export function loadProto(): PackageDefinition {
  return loadSync(fileURLToPath(PROTO), { longs: Number, enums: String, oneofs: true })
}

/** The same as reflection says it, with health and reflection: as protoc has compiled it, since what proto-loader makes of it other languages refuse. */
export function loadDescriptors(): PackageDefinition {
  const fileDescriptorProtos = [...filesIn(readFileSync(DESCRIPTORS))]
  return { files: { format: 'Protocol Buffer 3 EnumDescriptorProto', type: {}, fileDescriptorProtos } }
}

/** A FileDescriptorSet is one field, again and again: its tag, a length as varint, a file. */
function* filesIn(set: Buffer): Generator<Buffer> {
  for (let at = 1; at < set.length; at++) {
    let length = 0
    for (let shift = 0; ; shift += 7) {
      const byte = set.readUInt8(at++)
      length |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    yield set.subarray(at, at + length)
    at += length
  }
}
