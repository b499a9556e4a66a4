/** What owners decide about devices. */
import type { Command } from 'commander'
import { list, pairs } from '../values.ts'
import { type Does, plain, strict } from './group.ts'

export function addDevice(program: Command, does: Does): void {
  const device = program.command('device').usage('list | label DEVICE …').description('what owners say of devices')
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
}
