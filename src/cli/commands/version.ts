/** `errand version`: this program's version, and the running node's when there is one. */
import { asErrand } from '../../base/errors.ts'
import type { Context } from '../context.ts'
import { clean } from '../render.ts'
import { VERSION } from '../version.ts'

export async function version(context: Context): Promise<number> {
  const node = await context.client.status().then(
    (status) => status.version,
    (error: unknown) => {
      if (asErrand(error).code === 'NO_NODE') return null
      throw error
    },
  )
  context.print(
    { version: VERSION, node, runtime: process.version },
    () => `errand ${VERSION}${node === null || node === VERSION ? '' : `  (the node that runs here: ${clean(node)})`}`,
  )
  return 0
}
