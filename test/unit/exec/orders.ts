/** Commands and orders for them, each with the proof that goes with it. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { CommandSpec } from '../../../protocols/task/messages.ts'
import { signInvocation } from '../../../src/authority/token.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import type { CommandOrder } from '../../../src/tasks/ports.ts'

/** An order with the proof that goes with it. */
export function orderOf(identity: Identity, spec: CommandSpec, more: Partial<CommandOrder> = {}, now = Math.floor(Date.now() / 1_000)): CommandOrder {
  const task = more.task ?? randomUUID()
  const challenge = randomBytes(16)
  const { env, terminal, ...bounds } = spec
  const invocation = signInvocation(identity, {
    ...{ sub: identity.did, aud: identity.did, cmd: '/exec/run', prf: [], iat: now, exp: now + 60 },
    args: { ...bounds, env: Object.keys(env).sort(), tty: terminal !== undefined, task },
    nonce: Buffer.concat([challenge, randomBytes(12)]),
  })
  const warrant = { caller: identity.did, challenge, invocation: invocation.bytes, proofs: [] }
  return { task, spec, warrant, attached: true, spool: { maxBytes: 64 << 20, policy: 'block' }, ...more }
}

export function command(exe: string, argv: string[] = [], rest: Partial<CommandSpec> = {}): CommandSpec {
  return { exe, argv, cwd: '/', env: {}, user: '', timeoutMs: 0, maxOutputBytes: 0, stdin: false, ...rest }
}

export const sh = (script: string, rest: Partial<CommandSpec> = {}): CommandSpec => command('sh', ['-c', script], rest)
