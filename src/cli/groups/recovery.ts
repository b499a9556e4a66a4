/** The words for an emergency. */
import type { Command } from 'commander'
import { list } from '../values.ts'
import { type Does, plain, strict } from './group.ts'

export function addRecovery(program: Command, does: Does): void {
  const recovery = program.command('recovery').usage('new | use').description('24 words on paper, for when the owner’s key is lost or stolen')
  strict(recovery)
  does(
    plain(recovery, 'new').description('make recovery words; they are shown once, and older ones are worth nothing any more'),
    async () => (await import('../commands/recovery.ts')).make,
  )
  const use = recovery
    .command('use')
    .usage('[--keep OWNER]… [--yes]')
    .description('make a new owner’s key on this device the owner of the mesh; asks for the words')
    .option('--keep <owner>', 'an owner who stays one (repeatable; default: nobody)', list)
    .option('--yes', 'do not ask')
  does(use, async () => (await import('../commands/recovery.ts')).use)
}
