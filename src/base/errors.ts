/** The one error shape of the project. What crosses a wire is code, message, hint and fields; never a stack. */

export interface ErrorFacts {
  readonly hint?: string
  readonly retryable?: boolean
  readonly fields?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/** Where a failure came from: the command itself, the device that should run it, or errand on this side. */
export type ErrorSource = 'command' | 'device' | 'errand'

export interface WireError {
  readonly code: string
  readonly message: string
  readonly hint?: string
  readonly source?: ErrorSource
  readonly fields?: Readonly<Record<string, unknown>>
}

export class ErrandError extends Error {
  readonly hint: string | undefined
  readonly retryable: boolean
  readonly fields: Readonly<Record<string, unknown>>

  constructor(
    readonly code: string,
    message: string,
    facts: ErrorFacts = {},
  ) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.name = code
    this.hint = facts.hint
    this.retryable = facts.retryable ?? false
    this.fields = facts.fields ?? {}
  }

  toWire(source: ErrorSource = 'errand'): WireError {
    return {
      code: this.code,
      message: this.message,
      source,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(Object.keys(this.fields).length === 0 ? {} : { fields: this.fields }),
    }
  }
}

/** Any thrown thing as an ErrandError, so that doors have one shape to answer with. An error of ours that is named by its code (BadBytes) keeps it. */
export function asErrand(thrown: unknown, code = 'INTERNAL'): ErrandError {
  if (thrown instanceof ErrandError) return thrown
  if (thrown instanceof Error && 'code' in thrown && thrown.code === thrown.name) return new ErrandError(thrown.name, thrown.message, { cause: thrown })
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new ErrandError(code, message, { cause: thrown })
}

/** An error that arrived over a wire, rebuilt on this side. */
export function fromWire(wire: WireError): ErrandError {
  return new ErrandError(wire.code, wire.message, {
    ...(wire.hint === undefined ? {} : { hint: wire.hint }),
    fields: { ...wire.fields, ...(wire.source === undefined ? {} : { source: wire.source }) },
  })
}
