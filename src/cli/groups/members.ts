/** Who is in the mesh, and how others come in. */
import { type Command, Option } from 'commander'
import { addresses, duration, list } from '../values.ts'
import { type Does, plain } from './group.ts'

export function addMembers(program: Command, does: Does): void {
  does(
    plain(program, 'devices').description('all devices of the mesh: who is online, how reached, how fast'),
    async () => (await import('../commands/show.ts')).devices,
  )
  const invite = program
    .command('invite')
    .usage(
      '[--name N] [--mine | --ask RIGHT…] [--role R | --give RIGHT…] [--guest [--on DEVICE…]] [--for DURATION] [--expires DURATION] [--approve] [--short | --long] [--qr]',
    )
    .description('make a code that admits one device')
    .option('--name <name>', 'what the new device will be called')
    .addOption(new Option('--mine', 'it is my own device: its rights go to the owners (the default)').conflicts('ask'))
    .option('--ask <right>', "what the new device gives, like 'exec: git, npm test' (repeatable)", list)
    .addOption(new Option('--role <role>', 'what the new device may do: a role').conflicts('give'))
    .option('--give <right>', 'what the new device may do: single rights (repeatable)', list)
    .addOption(new Option('--guest', 'it comes as a guest: it meets the devices that its rights name, and learns of no others').conflicts(['mine', 'role']))
    .option('--on <device>', 'where a guest may do what it is given; this device, where none is named (repeatable)', list)
    .option('--for <duration>', 'how long those rights last; a guest is one no longer than they', duration)
    .option('--expires <duration>', 'how long the code can be used (default: 10m)', duration)
    .option('--approve', 'hold the new device until somebody here has looked at it and said yes')
    .addOption(new Option('--short', 'also with --json: a code of four words to be typed, in the field shortCode').conflicts(['long', 'qr']))
    .option('--long', 'one code that carries all it takes, to be pasted; for scripts and for devices on other networks')
    .option('--qr', 'the long code, and a drawing of it')
  does(invite, async () => (await import('../commands/invite.ts')).invite)
  const join = program
    .command('join')
    .argument('[code]', 'a long one; asked for when absent, and a short one is only ever typed there')
    .usage('[CODE] [--via MULTIADDR] [--yes]')
    .description('join the mesh that a code is for')
  join
    .option('--via <multiaddr>', 'where to reach the inviting device, when it is not on this network (repeatable)', addresses)
    .option('--yes', 'agree to what is shown')
  does(join, async () => (await import('../commands/join.ts')).join)
}
