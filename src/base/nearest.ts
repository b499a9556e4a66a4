/** The known word that somebody may have meant. For short words. */

/** @returns the nearest of the known words, or undefined where none is near. */
export function nearestOf(word: string, known: readonly string[]): string | undefined {
  const [best] = known.map((one) => ({ one, far: distance(word.toLowerCase(), one.toLowerCase()) })).sort((a, b) => a.far - b.far)
  return best !== undefined && best.far <= Math.min(3, Math.ceil(word.length / 2.5)) ? best.one : undefined
}

/** Levenshtein distance. */
export function distance(a: string, b: string): number {
  let row = [...Array(b.length + 1).keys()]
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length] ?? 0
}
