/** What reflection says (exec.binpb, compiled by protoc) is what the services speak (exec.proto): without protoc, message by message. */
import { readFileSync } from 'node:fs'
import { loadFileDescriptorSetFromBuffer, loadSync, type MethodDefinition, type PackageDefinition } from '@grpc/proto-loader'
import { expect, test } from 'vitest'

/** Every message with its fields and their numbers, every enum with its values, every service with its methods. */
function outline(proto: PackageDefinition): Record<string, unknown> {
  const ours = Object.entries(proto).filter(([name]) => name.startsWith('errand.v1.'))
  return Object.fromEntries(ours.map(([name, one]) => [name, 'format' in one ? parts(one.type) : Object.values(one).map(method)]))
}

function parts(type: object): unknown {
  const { field = [], value = [] } = type as { field?: Part[]; value?: Part[] }
  return [...field, ...value].map(({ name, number }) => `${name} = ${number}`).sort()
}

interface Part {
  readonly name: string
  readonly number: number
}

function method({ path, requestStream, responseStream, requestType, responseType }: MethodDefinition<object, object>): unknown[] {
  return [path, requestStream, responseStream, ...[requestType, responseType].map(({ type }) => (type as { name?: string }).name)]
}

test('exec.binpb is what exec.proto says; after a change: node scripts/grpc/descriptors.mjs', () => {
  const written = outline(loadSync('protocols/local/exec.proto', { keepCase: true }))
  const compiled = outline(loadFileDescriptorSetFromBuffer(readFileSync('protocols/local/exec.binpb'), { keepCase: true }))
  expect(Object.keys(written).length).toBeGreaterThan(25)
  expect(compiled).toEqual(written)
})
