/** What this machine says of itself to the mesh: coarse, and never argv, paths or environment. */
import { arch, cpus, loadavg, platform, totalmem } from 'node:os'
import type { Announcement } from '../../protocols/announce/messages.ts'

export function describeMachine(o: {
  name: string
  labels: Record<string, string>
  version: string
  freeSlots: number
  /** What it can hold a command to; absent until it knows. */
  sandbox?: string
  limits?: string[]
  gpus?: number
  tools?: string[]
}): Omit<Announcement, 'v' | 'device' | 'seq'> {
  return {
    ...o,
    os: platform(),
    arch: arch(),
    cpus: cpus().length,
    memoryBytes: totalmem(),
    loadPercent: Math.round((loadavg()[0] ?? 0) * 100),
  }
}
