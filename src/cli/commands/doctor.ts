/** `errand doctor`: how the node is and what this device can enforce, each with what to do about it. Data for scripts with --json; exit code 1 when something is wrong. */
import type { Status } from '../../../protocols/local/messages.ts'
import type { Context } from '../context.ts'
import { clean } from '../render.ts'

interface Finding {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
  readonly hint?: string
}

export async function doctor(context: Context): Promise<number> {
  const seen = await context.client.status()
  const findings = [...nodeFindings(seen), ...sandboxFindings(seen)]
  const healthy = seen.problems.length === 0
  context.print({ healthy, findings }, () => findings.map((finding) => line(context, finding)).join('\n'))
  return healthy ? 0 : 1
}

function nodeFindings({ problems, version, pid }: Status): Finding[] {
  const node = { name: 'node', ok: true, detail: `${version}, process ${pid}` }
  return [node, ...problems.map((detail) => ({ name: 'problem', ok: false, detail }))]
}

function sandboxFindings({ sandbox }: Status): Finding[] {
  if (sandbox === undefined) return [{ name: 'sandbox', ok: false, detail: 'the node is still finding out what it can enforce', hint: 'ask again in a moment' }]
  const { level, limits, by, lacking } = sandbox
  const can = { name: 'sandbox', ok: level === 'files', detail: `up to "${level}"${by.length === 0 ? '' : ` (${by.join(', ')})`}` }
  const bounds = { name: 'limits', ok: limits.length > 2, detail: limits.length === 0 ? 'none can be enforced here' : limits.join(', ') }
  return [can, bounds, ...lacking.map(({ what, why, how }) => ({ name: what, ok: false, detail: why, hint: how }))]
}

function line({ paint }: Context, { name, ok, detail, hint }: Finding): string {
  const said = `${ok ? paint.good('✓') : paint.bad('✗')} ${name.padEnd(9)} ${clean(detail)}`
  return hint === undefined ? said : `${said}\n  ${' '.repeat(9)} → ${clean(hint)}`
}
