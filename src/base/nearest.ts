/** The known word that somebody may have meant. For short words. */
import { distance } from 'fastest-levenshtein'

/** @returns the nearest of the known words, or undefined where none is near. */
export function nearestOf(word: string, known: readonly string[]): string | undefined {
  const [best] = known.map((one) => ({ one, far: distance(word.toLowerCase(), one.toLowerCase()) })).sort((a, b) => a.far - b.far)
  return best !== undefined && best.far <= Math.min(3, Math.ceil(word.length / 2.5)) ? best.one : undefined
}
