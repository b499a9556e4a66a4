/** The processes of a demo, known by its directory: every one carries it in its arguments or its environment. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

const PATIENCE_MS = 5_000
const LOOK_EVERY_MS = 50

/** Processes besides this one that name `root`: `[{ pid, command }]`. */
export function processesOf(root) {
  const all = process.platform === 'linux' ? fromProc() : fromPs()
  return all.filter(({ pid, seen }) => pid !== process.pid && seen.includes(root)).map(({ pid, command }) => ({ pid, command }))
}

/** Asks them to end, waits, and ends by force what is still there. */
export async function sweep(root) {
  for (const signal of ['SIGTERM', 'SIGKILL']) {
    for (const { pid } of processesOf(root)) send(pid, signal)
    const until = performance.now() + PATIENCE_MS
    while (processesOf(root).length > 0 && performance.now() < until) await pause(LOOK_EVERY_MS)
  }
}

function send(pid, signal) {
  try {
    process.kill(pid, signal)
  } catch {
    // It has just ended.
  }
}

function fromProc() {
  return readdirSync('/proc')
    .map(Number)
    .filter(Number.isInteger)
    .map((pid) => {
      const command = read(pid, 'cmdline').replaceAll('\0', ' ').trim()
      return { pid, command, seen: `${command}\0${read(pid, 'environ')}` }
    })
}

/** Empty for a process that has gone, that is a zombie, or that is not ours to look at. */
function read(pid, name) {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1')
  } catch {
    return ''
  }
}

/** macOS and the BSDs: `-E` shows the environment of one's own processes, where the system allows it. */
function fromPs() {
  const lines = execFileSync('ps', ['-A', '-E', '-ww', '-o', 'pid=,command='], { encoding: 'utf8' }).split('\n')
  return lines.map((line) => {
    const [, pid, command = ''] = /^\s*(\d+) (.*)$/.exec(line) ?? []
    return { pid: Number(pid), command, seen: command }
  })
}
