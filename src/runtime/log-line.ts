/** The log of a device that has had several keys: one log a key, each of which names the next and the one before. Finds where that line is broken. */
import { query } from '../audit/query.ts'
import type { LogReader } from '../audit/segments.ts'
import type { Did } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'

export const ENDS = 'device.succeeded'
export const BEGINS = 'device.succeeds'

export interface LineOn {
  readonly logs: LogReader
  readonly directory: Pick<Directory, 'successions' | 'nameOf'>
}

/** What is wrong, in words. A log that is not here yet is no fault. @param held what is here of each log. */
export async function brokenLines(
  { logs, directory }: LineOn,
  held: readonly { readonly device: string; readonly entries: number; readonly gaps: number }[],
): Promise<string[]> {
  const problems: string[] = []
  const here = new Map(held.filter(({ gaps }) => gaps === 0).map(({ device, entries }) => [device, entries]))
  for (const [before, after] of directory.successions()) {
    const name = directory.nameOf(before) ?? before
    const [ended, begun] = [here.get(before) ?? 0, here.get(after) ?? 0]
    const end = ended === 0 ? undefined : await entry(logs, before, ENDS, after)
    const begin = begun === 0 ? undefined : await entry(logs, after, BEGINS, before)
    if (begun > 0 && begin !== 0) problems.push(`the log of ${name} under its new key does not begin with the one before it`)
    if (end !== undefined && end < ended - 1) problems.push(`${ended - 1 - end} entries of ${name} were written with its old key after that was given up`)
  }
  return problems
}

async function entry(logs: LogReader, device: string, action: string, subject: string): Promise<number | undefined> {
  for await (const one of query(logs, { device: device as Did, action })) if (one.t === 'record' && one.record.subject === subject) return one.record.n
  return undefined
}
