/** `errand why`: the way of a command, step by step, as one reads it aloud. */
import type { PathView, WhyRequest, WhyStepView, WhyView } from '../../../protocols/local/messages.ts'
import type { Context } from '../context.ts'
import { clean, shortCid } from '../render.ts'

interface WhyOptions {
  readonly interactive?: boolean
  readonly tty?: boolean
  readonly cwd?: string
  readonly env?: Record<string, string>
  readonly user?: string
  readonly timeout?: number
  readonly limits?: WhyRequest['limits']
}

/** Steps of the way to the device; the others are about the right. */
const ON_THE_WAY: ReadonlySet<string> = new Set(['discovery', 'dial', 'relay'])

export async function why(context: Context, device: string, command: string[], options: WhyOptions): Promise<number> {
  const { cwd, user, env, timeout, tty, interactive, limits } = options
  const seen = await context.client.call<WhyView>('POST', '/api/runtime/why', {
    device,
    ...(command.length === 0 ? {} : { command }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { user }),
    ...(env === undefined ? {} : { env: Object.keys(env) }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    ...(tty === true ? { tty } : {}),
    ...(limits === undefined ? {} : { limits }),
    ...(interactive === true ? { stdin: true } : {}),
  })
  context.print(seen, () => whyText(context, seen))
  return 0
}

function whyText(context: Context, { steps, next }: WhyView): string {
  const [way, right] = [steps.filter(({ step }) => ON_THE_WAY.has(step)), steps.filter(({ step }) => !ON_THE_WAY.has(step))]
  const lines = [way, right].filter((some) => some.length > 0).map((some) => some.map((step) => sayStep(context, step)).join(' · '))
  const no = steps.find(({ ok, paths }) => !ok && paths !== undefined && paths.length > 1)
  return [...lines, ...(no?.paths ?? []).map((path) => sayPath(context, path)), `→ ${clean(next)}`].join('\n')
}

function sayStep({ paint }: Context, { step, ok, unknown, detail }: WhyStepView): string {
  const mark = ok ? paint.good('✓') : unknown === true ? paint.dim('?') : paint.bad('✗')
  return `${step} ${mark} ${clean(detail)}`
}

/** Worth a line each only when there is more than one and none leads there. */
function sayPath({ paint }: Context, { grants, ok, detail }: PathView): string {
  return `  ${ok ? paint.good('✓') : paint.bad('✗')} ${grants.map(shortCid).join(' → ')}  ${clean(detail)}`
}
