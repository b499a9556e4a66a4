/** Connections through devices. */
import { type Command, InvalidArgumentError } from 'commander'
import { type Does, inSession } from './group.ts'

export function addNet(program: Command, does: Does): void {
  const forward = program
    .command('forward')
    .argument('<device>', 'a name, a DID or a PeerId')
    .argument('<spec...>', '[BIND:]PORT:HOST:PORT')
    .usage('DEVICE [--reverse] [BIND:]PORT:HOST:PORT… [--session S]')
    .description('a port here that is a port over there: the device connects to HOST:PORT for whoever connects to PORT here')
    .option('--reverse', 'the other way round: the device listens on PORT, and connections go out from here to HOST:PORT')
    .addHelpText('after', FORWARDS)
  does(...inSession(forward, async () => (await import('../commands/forward.ts')).forward))
  const proxy = program
    .command('proxy')
    .argument('<device>', 'a name, a DID or a PeerId')
    .usage('DEVICE [--port 22] [--host localhost] [--session S]')
    .description("stdin and stdout are a connection to a port of the device: ssh -o ProxyCommand='errand proxy %h --port %p' DEVICE")
    .option('--port <port>', 'over there', port, 22)
    .option('--host <host>', 'whom the device connects to', 'localhost')
  does(...inSession(proxy, async () => (await import('../commands/proxy.ts')).proxy))
}

const FORWARDS = `
BIND is an address of whoever listens, 127.0.0.1 without it; PORT 0 is a free one, and is printed. HOST is a name or an address as the side knows it
that connects. It takes a right there: errand grant WHO --on DEVICE --can 'forward: localhost:80' --for 8h, or with --reverse 'listen: 8080'.
Exit codes: 125 errand itself failed; 126 denied, or the right is gone; 130 after Ctrl-C.`

function port(text: string): number {
  const value = Number(text)
  if (/^\d{1,5}$/.test(text) && value >= 1 && value <= 65_535) return value
  throw new InvalidArgumentError('Write a port from 1 to 65535.')
}
