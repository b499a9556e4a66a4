/** Whether this device can hold a command to all that bounds it: its right, its caller, its policies. What cannot be enforced is refused before anything starts. */
import type { Limits, SandboxLevel } from '../../protocols/task/limits.ts'
import { shapeOf } from '../../protocols/wire.ts'
import { ExecRunArgs } from '../authority/commands.ts'
import { isUnbounded, limitsOf, narrowest, sayLimits } from '../authority/limits.ts'
import { asErrand } from '../base/errors.ts'
import type { Asked, Check, Verdict } from './checks.ts'

/** How this device would hold a command. */
export interface Holding {
  readonly level: SandboxLevel
  /** Level and tools, for the log; '' where nothing holds it. */
  readonly words: string
}

export interface SandboxCheckOn {
  /** @throws ErrandError with a next step, for what cannot be enforced. */
  readonly hold: (limits: Limits, user: string) => Promise<Holding>
  /** What the policies of this device hold it to. */
  readonly policyOf: (asked: Asked) => Limits
}

export class SandboxCheck implements Check {
  readonly step = 'sandbox'

  constructor(private readonly on: SandboxCheckOn) {}

  /** At once for what nothing bounds: most commands wait for nobody here. */
  judge(asked: Asked): Verdict | Promise<Verdict> {
    if (asked.command !== '/exec/run') return { ok: true, detail: 'nothing is run' }
    const { limits: own = {}, user } = shapeOf(ExecRunArgs, asked.args)
    const right = limitsOf(asked.admission.chain)
    if (isWider(own, right)) return refuseWider(own, right)
    const limits = narrowest([right, own, this.on.policyOf(asked)])
    return isUnbounded(limits) && user === '' ? { ok: true, detail: 'nothing bounds it' } : this.#hold(limits, user)
  }

  async #hold(limits: Limits, user: string): Promise<Verdict> {
    try {
      const { words } = await this.on.hold(limits, user)
      if (words === '') return { ok: true, detail: 'nothing bounds it' }
      const { sandbox: _, ...amounts } = limits
      const held = [words, sayLimits(amounts)].filter((one) => one !== '').join('; ')
      return { ok: true, detail: `held to ${isUnbounded(limits) ? words : `${sayLimits(limits)} (${words})`}`, held }
    } catch (thrown) {
      const { message, hint, fields } = asErrand(thrown)
      return { ok: false, code: String(fields['reason'] ?? 'UNENFORCEABLE'), detail: message, ...(hint === undefined ? {} : { hint }) }
    }
  }
}

/** The level is no amount: who asks for a lower one gets the higher one. */
function isWider(own: Limits, right: Limits): boolean {
  const both = narrowest([right, own])
  return (['memoryBytes', 'cpuMillis', 'processes'] as const).some((name) => own[name] !== both[name] && own[name] !== undefined)
}

/** Whoever asks for more than the right gives is told so, and does not get less without a word. */
function refuseWider(own: Limits, right: Limits): Verdict {
  return {
    ok: false,
    code: 'LIMIT_BEYOND',
    detail: `the command asks for ${sayLimits(own)}, and its right holds it to ${sayLimits(right)}`,
    hint: 'ask for no more than that; what the right says holds without asking',
  }
}
