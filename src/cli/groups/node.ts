/** The node itself: start, stop, state, settings. */
import { type Command, Option } from 'commander'
import { addresses, duration, pairs } from '../values.ts'
import { type Does, plain, strict } from './group.ts'

export function addNode(program: Command, does: Does): void {
  const up = program
    .command('up')
    .usage('[--name N] [--listen MULTIADDR]… [--bootstrap MULTIADDR]… [--label K=V]… [--preset local|lan|internet] [--api HOST:PORT] [--detach]')
    .description('start the node of this home')
    .option('--name <name>', 'what this device is called')
    .option('--listen <multiaddr>', 'an address to listen on, like /ip4/0.0.0.0/tcp/4701 (repeatable)', addresses)
    .option('--bootstrap <multiaddr>', 'an address to find the mesh by (repeatable)', addresses)
    .option('--label <k=v>', 'something to choose this device by (repeatable)', pairs)
    .addOption(new Option('--preset <preset>', 'whom to be reachable for').choices(['local', 'lan', 'internet']))
    .option('--api <host:port>', 'serve the HTTP API on TCP as well, like 127.0.0.1:8080')
    .option('--detach', 'return once the node is ready; it goes on in the background')
    .addOption(new Option('--await-join', 'wait for an invitation instead of founding a mesh').hideHelp())
  does(up, async () => (await import('../commands/node.ts')).up)
  const down = program.command('down').usage('[--drain DURATION]').description('stop the node')
  down.option('--drain <duration>', 'take no new work and wait that long for what runs', duration)
  does(down, async () => (await import('../commands/down.ts')).down)
  does(plain(program, 'status').description('how the node is'), async () => (await import('../commands/show.ts')).status)
  does(plain(program, 'doctor').description('what is wrong, and what this device can enforce'), async () => (await import('../commands/doctor.ts')).doctor)
  const config = program.command('config').usage('list | get KEY | set KEY VALUE').description('the settings of this home')
  strict(config)
  does(plain(config, 'list').description('every setting, its value and where that comes from'), async () => (await import('../commands/config.ts')).list)
  does(config.command('get').argument('<key>').description('one setting'), async () => (await import('../commands/config.ts')).get)
  does(
    config.command('set').argument('<key>').argument('<value>').description('change one setting; null goes back to the default'),
    async () => (await import('../commands/config.ts')).set,
  )
  does(
    plain(program, 'version').description('the version of this program, and of the node that runs'),
    async () => (await import('../commands/version.ts')).version,
  )
}
