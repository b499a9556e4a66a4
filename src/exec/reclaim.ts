/**
 * Buffers that bulk leaves behind. Those that outlive two young collections V8 looks for only when there are 64 MiB of them (its bound
 * for memory outside the heap), and what malloc once had the process keeps. So the host asks for a collection earlier, once or twice a GiB.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Looked at after so many bytes. */
const EVERY_BYTES = 1 << 22
/** Collected when so many bytes are held, or twice as many as were in use after the last time. */
const HELD_BYTES = 3 << 23

/**
 * @param held bytes in buffers, in use or not.
 * @returns to be told how many bytes went through, in buffers of their own.
 */
export function reclaiming(held = () => process.memoryUsage().arrayBuffers, collect = collectHere): (bytes: number) => void {
  let passed = 0
  let bound = HELD_BYTES
  return (bytes) => {
    passed += bytes
    if (passed < EVERY_BYTES) return
    passed = 0
    if (held() < bound) return
    collect()
    bound = Math.max(HELD_BYTES, 2 * held())
  }
}

/** Only a script that begins after the flag can name V8's collector. */
function collectHere(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc()')
}
