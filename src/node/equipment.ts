/**
 * What there is on this machine that people choose a device by: GPUs to compute on, and well-known programs that its commands can start. Looked at
 * now and then, by reading; nothing is run. Only names from the list below are told: what else is installed is nobody's to know.
 */
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { FIXED_PATH } from '../exec/environment.ts'

/** Programs that devices differ in. A device with another one says so by a label. */
const TOOLS = (
  'ansible apptainer aws az bash bazel blender bun bwrap cargo clang cmake code composer conda convert curl deno docker dotnet emacs ffmpeg flatpak gcc gcloud gdb gh git go ' +
  'gradle helm htop java jq julia kubectl latexmk lua make mvn mysql nginx ninja nix node npm nvidia-smi ollama pdflatex perl php pip pnpm podman psql python3 qemu-system-x86_64 R ' +
  'redis-server rsync ruby rustc singularity sqlite3 swift tar terraform tmux uv vim wget yarn zig zsh zstd'
).split(' ')

const LOOK_MS = 300_000
const NVIDIA = '/proc/driver/nvidia/gpus'
const AMD = '/sys/class/kfd/kfd/topology/nodes'

export interface Equipment {
  /** Absent where this system does not show them. */
  readonly gpus?: number
  readonly tools: string[]
}

/** @param more directories that are searched for commands after the fixed ones. @returns what there is, looked at anew every five minutes. */
export function openEquipment(more: readonly string[], clock: Clock): () => Equipment {
  const path = [...FIXED_PATH, ...more]
  let found: Equipment | undefined
  let lookedAt = 0
  return () => {
    if (found !== undefined && clock.monotonic() - lookedAt < LOOK_MS) return found
    lookedAt = clock.monotonic()
    found = { ...gpusHere(), tools: TOOLS.filter((tool) => path.some((directory) => isProgram(join(directory, tool)))) }
    return found
  }
}

function gpusHere(): { gpus?: number } {
  if (process.platform !== 'linux') return {}
  const amd = namesIn(AMD).filter((node) => /^simd_count [1-9]/m.test(textOf(join(AMD, node, 'properties')))) // a node without is a CPU
  return { gpus: namesIn(NVIDIA).length + amd.length }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return [] // there is no such driver
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
