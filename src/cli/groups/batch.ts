/** `errand batch`. */
import type { Command } from 'commander'
import { count, size } from '../values.ts'
import { type Does, inSession } from './group.ts'

export function addBatch(program: Command, does: Does): void {
  const batch = program
    .command('batch')
    .argument('[device]', 'where every line runs that names no other device')
    .usage('[DEVICE] [--max-parallel N] [--max-output SIZE] [--session S] < LINES')
    .description('one command a line from stdin, over one warm connection; as words (DEVICE -- COMMAND…) or as JSON')
    .option('--max-parallel <n>', 'so many at a time; results come as they end (default 1)', count)
    .option('--max-output <size>', 'end a command after it printed that much, like 10MiB', size)
    .addHelpText('after', LINES)
  does(...inSession(batch, async () => (await import('../commands/batch.ts')).batch))
}

const LINES = `
A line is words, cut as a shell cuts them (quotes count, nothing is expanded), or a JSON object:
  {"id": …, "device": "gpu1", "command": ["npm", "test"], "stdin": …, "cwd": …, "env": {…}, "timeout": "30s"}
With --json each result is a line: {"id", "exitCode", "stdout", "stderr", …}, or {"id", "exitCode", "error"}; what is no
UTF-8 is base64, and "stdoutEncoding" says so. The exit code is 0 only if all are, else the highest; a bad line counts as 2.`
