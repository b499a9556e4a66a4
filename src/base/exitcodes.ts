/** The one table from errors and outcomes to exit codes. The contract is in docs and in `errand help run`. */
import { constants } from 'node:os'

export const EXIT = {
  ok: 0,
  /** A check that was asked for found something wrong. */
  untrue: 1,
  usage: 2,
  timedOut: 124,
  failed: 125,
  denied: 126,
  notFound: 127,
  interrupted: 130,
  /** 128 + SIGPIPE: whoever read our output has gone. */
  unread: 141,
} as const

const BY_CODE: Readonly<Record<string, number>> = {
  USAGE: EXIT.usage,
  BAD_DURATION: EXIT.usage,
  BAD_NAME: EXIT.usage,
  BAD_REVOKE: EXIT.usage,
  BAD_RIGHT: EXIT.usage,
  BAD_ROLE: EXIT.usage,
  BAD_SETTING: EXIT.usage,
  NO_CODE: EXIT.usage,
  DENIED: EXIT.denied,
  NOT_EXECUTABLE: EXIT.denied,
  COMMAND_NOT_FOUND: EXIT.notFound,
  CANCELLED: EXIT.interrupted,
}

/** @param code an ErrandError's. Whatever is not a refusal or the command's own fault is errand's: 125. */
export function exitCodeOfError(code: string): number {
  return BY_CODE[code] ?? (isDenial(code) ? EXIT.denied : EXIT.failed)
}

/** A device said no, as opposed to: something did not work. */
export function isDenial(code: string): boolean {
  return code === 'DENIED' || code.startsWith('REFUSED_')
}

const BY_WHY: Readonly<Record<string, number>> = {
  timeout: EXIT.timedOut,
  'not-found': EXIT.notFound,
  'not-executable': EXIT.denied,
  revoked: EXIT.denied,
  lost: EXIT.failed,
  'spawn-failed': EXIT.failed,
}

/** The remote command's own code or signal, unless errand or the device ended it for a reason with a code of its own. */
export function exitCodeOfOutcome({
  why,
  exitCode,
  signal,
}: {
  readonly why: string
  readonly exitCode: number | null
  readonly signal: string | null
}): number {
  return BY_WHY[why] ?? exitCode ?? (signal === null ? EXIT.failed : exitCodeOfSignal(signal))
}

/** @param name like SIGTERM; a signal that this system does not know counts as a failure. */
export function exitCodeOfSignal(name: string): number {
  const known: Readonly<Record<string, number>> = constants.signals
  const number = known[name]
  return number === undefined ? EXIT.failed : 128 + number
}
