/**
 * The host's own look at the right behind an order. The daemon parses what the network sends; should it ever be made to order
 * something that nobody with a right has signed, nothing is spawned here. Revocations are the daemon's part: the host has none.
 */
import type { Order } from '../../protocols/host/messages.ts'
import type { Limits } from '../../protocols/task/limits.ts'
import { shapeOf } from '../../protocols/wire.ts'
import { ExecRunArgs } from '../authority/commands.ts'
import { limitsOf } from '../authority/limits.ts'
import { NonceMemory } from '../authority/seen.ts'
import { verifyInvocation } from '../authority/verify.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { asDid, type Did } from '../identity/identity.ts'

export class Warrants {
  readonly #seen = new NonceMemory()
  readonly #device: Did

  constructor(private readonly on: { readonly device: string; readonly clock: Clock }) {
    this.#device = asDid(on.device)
  }

  /** @returns what every link of its chain bounds it to. @throws ErrandError DENIED */
  check({ task, spec, warrant }: Order): Limits {
    const { invocation, proofs, caller, challenge } = warrant
    const now = Math.floor(this.on.clock.now() / 1_000)
    const seen = verifyInvocation(invocation, proofs, {
      self: this.#device,
      peer: asDid(caller),
      challenge,
      now,
      revocations: { kills: () => undefined },
      seen: this.#seen,
    })
    if (!seen.ok) throw denied(seen.detail)
    if (seen.invocation.cmd !== '/exec/run') throw denied(`the invocation is for ${seen.invocation.cmd}`)
    const { env, tty, ...args } = shapeOf(ExecRunArgs, seen.invocation.args)
    const { env: values, terminal, ...asked } = spec
    const names = Object.keys(values).sort()
    const declared = JSON.stringify([task, ...Object.entries(asked).sort(([a], [b]) => (a < b ? -1 : 1)), names])
    const { task: signedTask, ...bounds } = args
    const signed = JSON.stringify([signedTask, ...Object.entries(bounds).sort(([a], [b]) => (a < b ? -1 : 1)), env])
    if (declared !== signed || tty !== (terminal !== undefined)) throw denied('the order is not what the invocation says')
    return limitsOf(seen.chain)
  }
}

function denied(why: string): ErrandError {
  return new ErrandError('DENIED', `the exec-host refuses: ${why}`, { hint: 'the daemon and its exec-host disagree; is one of them changed?' })
}
