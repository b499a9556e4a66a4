/**
 * The exec-host: a small process that spawns for its daemon, owns the output, and outlives it. Spawning copies the parent's page
 * tables (libuv forks), so a daemon of 130 MiB would block 6 ms for every command; this one does it in 1–2.
 */
import * as v from 'valibot'
import { HostSetup } from './control.ts'
import { Host } from './host.ts'

const setup = v.parse(HostSetup, JSON.parse(process.argv[2] ?? ''))
process.umask(setup.umask) // the daemon's own keeps its state private; commands get that of the user

const host = new Host(setup, () => process.exit(0))
process.once('SIGTERM', () => host.end())
process.on('SIGINT', () => undefined) // a terminal's Ctrl-C is for the daemon, which then says what to stop
process.on('SIGHUP', () => undefined) // a terminal that closes is no reason to lose what runs
await host.listen()
process.send?.('listening')
process.disconnect?.()
