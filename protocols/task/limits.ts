/** What a command is held to while it runs: how much it may take, and how far it may reach. Every field can only narrow; absent is unbounded. See README.md. */
import * as v from 'valibot'

/**
 * How far a command is shut in, each including those before it.
 * `none`: not at all. `privileges`: as another user than the node's, and no way to more. `processes`: it sees and signals its own processes only, and
 * errand's keys and sockets are not there. `files`: it writes to the directory that was named for it and to a /tmp and a home of its own, which go with it.
 */
export const SANDBOX_LEVELS = ['none', 'privileges', 'processes', 'files'] as const
export type SandboxLevel = (typeof SANDBOX_LEVELS)[number]
export const SandboxLevel = v.picklist(SANDBOX_LEVELS)

export const LIMITS = {
  /** Below this not even a shell starts. */
  minMemoryBytes: 4 << 20,
  /** The kernel's smallest quota: 1 ms in 100. */
  minCpuMillis: 10,
  maxCpuMillis: 1_024_000,
  maxProcesses: 4_194_304,
} as const

const whole = (least: number, most: number) => v.pipe(v.number(), v.safeInteger(), v.minValue(least), v.maxValue(most))

export const Limits = v.strictObject({
  /** Of all its processes together. */
  memoryBytes: v.exactOptional(whole(LIMITS.minMemoryBytes, Number.MAX_SAFE_INTEGER)),
  /** Thousandths of one processor, together. */
  cpuMillis: v.exactOptional(whole(LIMITS.minCpuMillis, LIMITS.maxCpuMillis)),
  /** At once; threads count. */
  processes: v.exactOptional(whole(1, LIMITS.maxProcesses)),
  /** No network, not even the device's own loopback. */
  network: v.exactOptional(v.literal(false)),
  sandbox: v.exactOptional(v.picklist(['privileges', 'processes', 'files'])),
})
export type Limits = v.InferOutput<typeof Limits>

/** The names by which a device says what it can enforce. */
export const ENFORCED = ['memory', 'cpu', 'processes', 'network', 'kill'] as const
export type Enforced = (typeof ENFORCED)[number]
