/** Waiting for a condition of another process: asked again and again until it holds, with a deadline. Never a guess how long something takes. */

const LOOK_EVERY_MS = 50

/**
 * Resolves with the first answer that is neither undefined nor false. A question that throws counts as "not yet".
 * @throws after `withinMs`, naming what was waited for and the last thing that was seen.
 */
export async function until<T>(what: string, ask: () => Promise<T | undefined | false> | T | undefined | false, withinMs = 30_000): Promise<T> {
  const end = performance.now() + withinMs
  let last: unknown
  for (;;) {
    try {
      const answer = await ask()
      if (answer !== undefined && answer !== false) return answer
      last = answer
    } catch (thrown) {
      last = thrown
    }
    if (performance.now() > end)
      throw new Error(`not within ${withinMs} ms: ${what} (last seen: ${last instanceof Error ? last.message : JSON.stringify(last)})`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}
