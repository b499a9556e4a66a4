/**
 * The exec-host: a small process that spawns for its daemon. Spawning copies the parent's page tables (libuv forks), so a daemon
 * of 130 MiB would block 6 ms for every command; this one does it in 1–2. Ends, with all its commands, when its daemon does.
 */
import * as v from 'valibot'
import { Children } from './children.ts'
import { HostSetup, ToHost } from './control.ts'

const setup = v.parse(HostSetup, JSON.parse(process.argv[2] ?? ''))
process.umask(setup.umask) // the daemon's own keeps its state private; commands get that of the user

const children = new Children(setup, (message) => {
  process.send?.(message, undefined, undefined, () => undefined) // a daemon that is gone hears nothing; 'disconnect' follows
})

function leave(): void {
  children.endAll()
  process.exit(0)
}

process.on('message', (message) => children.handle(v.parse(ToHost, message)))
process.once('disconnect', leave)
process.once('SIGTERM', leave)
process.on('SIGINT', () => undefined) // a terminal's Ctrl-C is for the daemon, which then says what to stop
