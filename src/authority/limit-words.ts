/** Limits as clauses of a right: `memory 512MiB; cpu 1.5; processes 64; no-network; sandbox files`. */
import * as v from 'valibot'
import { Limits } from '../../protocols/task/limits.ts'
import { ErrandError } from '../base/errors.ts'
import { parseSize } from '../base/size.ts'

const CLAUSES: Readonly<Record<string, { readonly field: keyof Limits; read(text: string): unknown; readonly hint: string }>> = {
  memory: { field: 'memoryBytes', read: parseSize, hint: "write '; memory 512MiB': 4MiB at least" },
  cpu: { field: 'cpuMillis', read: millis, hint: "write '; cpu 1.5': processors, from 0.01 to 1024" },
  processes: { field: 'processes', read: (text) => (/^\d{1,7}$/.test(text) ? Number(text) : undefined), hint: "write '; processes 64': 1 at least" },
  'no-network': { field: 'network', read: (text) => (text === '' ? false : undefined), hint: '"no-network" stands alone' },
  sandbox: { field: 'sandbox', read: (text) => text, hint: "write '; sandbox processes', or privileges, or files" },
}

/** @param said what stands behind the name. @returns undefined for a clause that is about something else. @throws ErrandError BAD_RIGHT, with a hint. */
export function limitIn(name: string, said: () => string): Limits | undefined {
  const clause = Object.hasOwn(CLAUSES, name) ? CLAUSES[name] : undefined
  if (clause === undefined) return undefined
  const text = said()
  const read = v.safeParse(Limits, { [clause.field]: valueIn(clause.read, text) })
  if (read.success) return read.output
  throw new ErrandError('BAD_RIGHT', `"${name}" does not take ${JSON.stringify(text.slice(0, 80))}`, { hint: clause.hint })
}

function valueIn(read: (text: string) => unknown, text: string): unknown {
  try {
    return read(text)
  } catch {
    return undefined
  }
}

function millis(text: string): number | undefined {
  return /^\d+(\.\d+)?$/.test(text) ? Math.round(Number(text) * 1_000) : undefined
}
