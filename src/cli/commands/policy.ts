/** `errand policy`: checks, tries and shows the policies of this device, which needs no node that runs; and gives the mesh one, which does. */
import { readFileSync } from 'node:fs'
import type { OrderView } from '../../../protocols/local/orders.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exitcodes.ts'
import { clean, table } from '../render.ts'
import { heardBy } from './device.ts'
import { loadNode } from './node.ts'

interface Fault {
  readonly line: number
  readonly column: number
  readonly field: string
  readonly message: string
}

export async function check(context: Context, file: string | undefined): Promise<number> {
  const { checkPolicy } = await loadNode()
  const seen = await checkPolicy(context.home, file)
  context.print(seen, () => (seen.ok ? context.tick(`${seen.file}  ${seen.hash}`) : faultsIn(file ?? 'policy.yaml', seen.faults)))
  return seen.ok ? EXIT.ok : EXIT.untrue
}

export async function test(context: Context, file: string | undefined): Promise<number> {
  const { testPolicy } = await loadNode()
  const seen = await testPolicy(context.home, file)
  const name = file ?? 'policy.yaml'
  context.print(seen, () => {
    if (seen.faults.length > 0) return faultsIn(name, seen.faults)
    const lines = seen.examples.map(({ ok, line, asked, expected, got, why }) =>
      ok ? context.tick(asked) : clean(`✗ ${name}:${line} ${asked}: expected ${expected}, got ${got}${why === '' ? '' : ` (${why})`}`),
    )
    const wrong = seen.examples.filter(({ ok }) => !ok).length
    return [...lines, `${seen.examples.length} examples, ${wrong} differ`].join('\n')
  })
  return seen.ok ? EXIT.ok : EXIT.untrue
}

export async function show(context: Context, { cwd }: { readonly cwd?: string }): Promise<number> {
  const { showPolicy } = await loadNode()
  const seen = await showPolicy(context.home, cwd)
  context.print(seen, () =>
    table(
      ['RULE', 'VALUE', 'FROM'],
      seen.rules.map(({ rule, value, from }) => [rule, value, from]),
    ),
  )
  if (seen.problem !== null) context.say(seen.problem)
  return seen.problem === null ? EXIT.ok : EXIT.untrue
}

export async function set(context: Context, file: string): Promise<number> {
  const { checkPolicy } = await loadNode()
  const seen = await checkPolicy(context.home, file)
  if (seen.ok) return await give(context, readFileSync(file, 'utf8'))
  context.print(seen, () => faultsIn(file, seen.faults))
  return EXIT.untrue
}

export async function unset(context: Context): Promise<number> {
  return await give(context, '')
}

async function give(context: Context, text: string): Promise<number> {
  const told = await context.client.call<OrderView>('POST', '/api/runtime/policy', { text })
  context.print(told, () => context.tick(`${text === '' ? 'the mesh has no policy any more' : 'this is the policy of the mesh now'} · ${heardBy(told)}`))
  return EXIT.ok
}

function faultsIn(name: string, faults: readonly Fault[]): string {
  return faults.map(({ line, column, field, message }) => clean(`${name}:${line}:${column} ${field === '' ? '' : `${field}: `}${message}`)).join('\n')
}
