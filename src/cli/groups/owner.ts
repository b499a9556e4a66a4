/** Who owns the mesh, and the words for an emergency. */
import type { Command } from 'commander'
import { count, duration } from '../values.ts'
import { type Does, plain, strict } from './group.ts'

export function addOwners(program: Command, does: Does): void {
  const owner = program
    .command('owner')
    .usage('list | new | add CARD… | remove OWNER… | threshold N | sign [ID] | protect | unlock | lock')
    .description('who owns the mesh: people, not devices')
  strict(owner)
  does(plain(owner, 'list').description('the owners, and changes that wait for signatures'), async () => (await import('../commands/owner.ts')).list)
  does(
    plain(owner, 'new').description('make an owner’s key on this device, and the card that owners add'),
    async () => (await import('../commands/owner.ts')).fresh,
  )
  const add = owner
    .command('add')
    .argument('<cards...>', 'what errand owner new printed on a device of theirs')
    .usage('CARD… [--threshold N]')
    .description('make somebody an owner')
    .option('--threshold <n>', 'how many owners sign a change from then on', count)
  does(add, async () => {
    const act = (await import('../commands/owner.ts')).change
    return async (context, cards: string[], options: { threshold?: number }) => await act(context, { add: cards, ...options })
  })
  const remove = owner
    .command('remove')
    .argument('<owners...>', 'the three words of an owner’s key, or a DID')
    .usage('OWNER… [--threshold N]')
    .description('an owner who is to be none any more: what they sign from then on does not count')
    .option('--threshold <n>', 'how many owners sign a change from then on', count)
  does(remove, async () => {
    const act = (await import('../commands/owner.ts')).change
    return async (context, owners: string[], options: { threshold?: number }) => await act(context, { remove: owners, ...options })
  })
  const threshold = plain(owner, 'threshold').argument('<n>', 'more than half of the owners', count).description('how many owners sign a change')
  does(threshold, async () => {
    const act = (await import('../commands/owner.ts')).change
    return async (context, n: number) => await act(context, { threshold: n })
  })
  const sign = plain(owner, 'sign')
    .argument('[id]', 'which change, where more than one waits')
    .description('sign a change of the owners that another owner began')
  does(sign, async () => (await import('../commands/owner.ts')).sign)
  addPassphrase(owner, does)
}

function addPassphrase(owner: Command, does: Does): void {
  does(
    plain(owner, 'protect').description('put the owner’s key of this device under a passphrase; asks for it'),
    async () => (await import('../commands/owner-key.ts')).protect,
  )
  const unlock = owner
    .command('unlock')
    .usage('[--for DURATION]')
    .description('open the owner’s key of this device for a while; asks for its passphrase')
    .option('--for <duration>', 'for how long', duration, 15 * 60_000)
  does(unlock, async () => (await import('../commands/owner-key.ts')).unlock)
  does(plain(owner, 'lock').description('forget the opened key at once'), async () => (await import('../commands/owner-key.ts')).lock)
}
