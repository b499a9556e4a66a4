/** The passphrase of the owner's key on this device: typed here, sent over the home's socket, kept nowhere. */
import type { OwnerKeyView } from '../../../protocols/local/owners.ts'
import { sayDuration } from '../../base/duration.ts'
import { ErrandError } from '../../base/errors.ts'
import type { Context } from '../context.ts'
import { askSecret } from '../secret.ts'

export async function protect(context: Context): Promise<number> {
  const passphrase = await askSecret('  a passphrase for the owner’s key, 8 characters at least, not shown: ')
  if (process.stdin.isTTY === true && (await askSecret('  once more: ')) !== passphrase) {
    throw new ErrandError('NOT_AGREED', 'these were two passphrases; nothing was changed', { hint: 'errand owner protect' })
  }
  const seen = await context.client.call<OwnerKeyView>('POST', '/api/runtime/owners/protect', { passphrase })
  context.print(seen, () => context.tick('the owner’s key of this device is under a passphrase, and locked'))
  if (!context.json)
    context.say('what needs it says so; errand owner unlock opens it for a while. Who forgets the passphrase needs another owner or the recovery words')
  return 0
}

export async function unlock(context: Context, { for: forMs }: { for: number }): Promise<number> {
  const passphrase = await askSecret('  the passphrase of the owner’s key, not shown: ')
  const seen = await context.client.call<OwnerKeyView>('POST', '/api/runtime/owners/unlock', { passphrase, forMs })
  context.print(seen, () => context.tick(`the owner’s key is open for ${sayDuration(forMs)}; errand owner lock closes it at once`))
  return 0
}

export async function lock(context: Context): Promise<number> {
  const seen = await context.client.call<OwnerKeyView>('POST', '/api/runtime/owners/lock', {})
  context.print(seen, () => context.tick('the owner’s key is locked'))
  return 0
}
