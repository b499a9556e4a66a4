/** Exit codes, for the command line: the table itself is in `base`, since a node tells what a fan-out comes to. */
export { EXIT, exitCodeOfError, exitCodeOfOutcome, exitCodeOfSignal, isDenial } from '../base/exitcodes.ts'
