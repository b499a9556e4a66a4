/**
 * A gRPC client that is not ours: Python's, from Debian's packages (python3-grpcio, python3-protobuf, protobuf-compiler). Where apt-get cannot
 * install them, the same from PyPI in node_modules/.cache. Neither is a dependency of errand; test/e2e/grpc.test.ts asks for it.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { asProgram, isMain, ROOT, SetupFailed, say } from '../build/program.mjs'

const VENV = join(ROOT, 'node_modules', '.cache', 'errand-grpc')
const DEBIAN = { python: '/usr/bin/python3', protoc: ['protoc'] }
const PYPI = { python: join(VENV, 'bin', 'python3'), protoc: [join(VENV, 'bin', 'python3'), '-m', 'grpc_tools.protoc'] }
const APT = ['install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=60', 'python3-grpcio', 'python3-protobuf', 'protobuf-compiler']

/**
 * Installs it once.
 * @returns {{ python: string, protoc: readonly string[] }} how to start Python with grpc and protobuf, and the compiler.
 * @throws SetupFailed with what both ways said.
 */
export function grpcClient() {
  if (works(DEBIAN)) return DEBIAN
  if (works(PYPI)) return PYPI
  const said = [byApt(), works(DEBIAN) ? undefined : byPip()].filter((words) => words !== undefined)
  const found = [DEBIAN, PYPI].find(works)
  if (found !== undefined) return found
  throw new SetupFailed(`no gRPC client that is not ours:\n${said.join('\n')}\nhint: as root: apt-get ${APT.join(' ')}`)
}

function works({ python, protoc: [file, ...args] }) {
  const hasPackages = spawnSync(python, ['-c', 'import grpc, google.protobuf.descriptor_pool']).status === 0
  return hasPackages && spawnSync(file, [...args, '--version']).status === 0
}

/** @returns what went wrong. */
function byApt() {
  say('installing python3-grpcio by apt-get (once)')
  if (tried('apt-get', APT) === undefined) return undefined
  tried('apt-get', ['update'])
  return tried('apt-get', APT)
}

function byPip() {
  say('installing grpcio from PyPI into node_modules/.cache (once)')
  const venv = existsSync(PYPI.python) ? undefined : tried('python3', ['-m', 'venv', VENV])
  return venv ?? tried(PYPI.python, ['-m', 'pip', 'install', '--quiet', 'grpcio==1.84.0', 'grpcio-tools==1.84.0'])
}

function tried(file, args) {
  try {
    execFileSync(file, args, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, stdio: ['ignore', 'ignore', 'pipe'], timeout: 180_000 })
    return undefined
  } catch (error) {
    return `${file}: ${String(error.stderr ?? error.message)
      .trim()
      .slice(-500)}`
  }
}

if (isMain(import.meta.url)) await asProgram(() => say(`Python with gRPC: ${grpcClient().python}`))
