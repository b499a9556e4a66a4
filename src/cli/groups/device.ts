/** What owners decide about devices. */
import { Argument, type Command } from 'commander'
import { TRUST_LEVELS, type TrustLevel } from '../../../protocols/member/orders.ts'
import type { LockdownOptions } from '../commands/device.ts'
import { list, pairs } from '../values.ts'
import { type Does, plain, strict } from './group.ts'

export function addDevice(program: Command, does: Does): void {
  const device = program.command('device').usage('list | label | trust | remove | rotate …').description('what owners say of devices')
  strict(device)
  does(plain(device, 'list').description('all devices of the mesh, like errand devices'), async () => (await import('../commands/show.ts')).devices)
  const label = device
    .command('label')
    .argument('<device>')
    .argument('[labels...]', 'like gpu=h200', pairs, {})
    .usage('DEVICE [K=V]… [--remove K]…')
    .description('labels that count before what the device says of itself')
    .option('--remove <name>', 'take a label away (repeatable)', list)
  does(label, async () => {
    const act = (await import('../commands/device.ts')).label
    return async (context, name: string, labels: Record<string, string>, options: { remove?: string[] }) => await act(context, name, labels, options)
  })
  const trust = plain(device, 'trust')
    .argument('<device>')
    .addArgument(new Argument('<level>').choices([...TRUST_LEVELS]))
    .description('how far a device is trusted: a ceiling on all that it was granted')
  does(trust, async () => {
    const act = (await import('../commands/device.ts')).trust
    return async (context, name: string, level: TrustLevel) => await act(context, name, level)
  })
  const remove = plain(device, 'remove')
    .argument('<device>')
    .description('take a device out of the mesh: a lost one, or one that is not yours any more')
    .option('--reason <text>', 'why, for the log')
    .option('--yes', 'do not ask')
  const rotate = plain(device, 'rotate').description('give this device a new key; it keeps its name and its rights, and the old key is nobody')
  does(rotate, async () => (await import('../commands/rotate.ts')).rotate)
  does(remove, async () => {
    const act = (await import('../commands/device.ts')).remove
    return async (context, name: string, options: { reason?: string; yes?: boolean }) => await act(context, name, options)
  })
}

export function addLockdown(program: Command, does: Does): void {
  const lockdown = plain(program, 'lockdown')
    .addArgument(new Argument('[state]').choices(['on', 'off']).default('on'))
    .description('no new work for others, no joins, no new grants, and an end to what runs for others')
    .option('--on <device>', 'of one device; without it, of all')
    .option('--here', 'of this device alone, also without an owner’s key')
    .option('--reason <text>', 'why: shown to whoever is refused')
  does(lockdown, async () => {
    const act = (await import('../commands/device.ts')).lockdown
    return async (context, state: 'on' | 'off', options: LockdownOptions) => await act(context, state, options)
  })
}
