/** Processes that a test left behind. Each test world has a directory of its own, and every process of it carries that path in its environment. */
import { readdirSync, readFileSync } from 'node:fs'

export interface Leftover {
  readonly pid: number
  readonly command: string
}

/** Processes, besides this one, whose environment or command line names `root`. Linux only: elsewhere none are seen. */
export function processesOf(root: string): Leftover[] {
  return pids()
    .filter((pid) => pid !== process.pid)
    .map((pid) => ({ pid, environment: read(pid, 'environ'), command: read(pid, 'cmdline').replaceAll('\0', ' ').trim() }))
    .filter(({ environment, command }) => environment.includes(root) || command.includes(root))
    .map(({ pid, command }) => ({ pid, command }))
}

function pids(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger)
  } catch {
    return []
  }
}

/** Empty for a process that has gone, that is a zombie, or that is not ours to look at. */
function read(pid: number, name: 'environ' | 'cmdline'): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1')
  } catch {
    return ''
  }
}
