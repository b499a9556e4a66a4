/** `errand grant import` and `errand grant export`: rights from and to programs that use UCAN 0.8 (`ucans`). */
import { readFileSync, statSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import type { ExportView, ImportView } from '../../../protocols/local/messages.ts'
import { asErrand, ErrandError } from '../../base/errors.ts'
import { ask } from '../ask.ts'
import type { Context } from '../context.ts'
import { clean, shortCid } from '../render.ts'

/** More than any token; the node says how large one may be. */
const MAX_FILE_BYTES = 20_000

export async function importGrant(context: Context, file: string, { yes }: { readonly yes?: boolean }): Promise<number> {
  const token = (file === '-' ? await text(process.stdin) : readToken(file)).trim()
  if (token.length > MAX_FILE_BYTES) throw tooLarge(token.length)
  const offered = await context.client.call<ImportView>('POST', '/api/runtime/grants/import', { token })
  if (!context.json) process.stderr.write(`${importText(offered)}\n`)
  await agree(context, offered, { yes: yes === true, isPiped: file === '-' })
  const taken = await context.client.call<ImportView>('POST', '/api/runtime/grants/import', { token, agreed: true })
  context.print(taken, () => taken.grants.map(({ words, cid }) => context.tick(`${words} · ${shortCid(cid)}`)).join('\n'))
  return 0
}

export async function exportGrant(context: Context, grant: string, { format }: { readonly format: string }): Promise<number> {
  const written = await context.client.call<ExportView>('POST', '/api/runtime/grants/export', { grant: grant.split('…').at(-1), format })
  if (!context.json) context.say(`${written.words} · root issuer ${written.issuer}`)
  context.print(written, () => written.jwt)
  return 0
}

function readToken(file: string): string {
  try {
    const { size } = statSync(file)
    if (size > MAX_FILE_BYTES) throw tooLarge(size)
    return readFileSync(file, 'utf8')
  } catch (thrown) {
    const error = asErrand(thrown)
    throw error.code === 'TOO_LARGE' ? error : new ErrandError('NO_FILE', `cannot read ${file}: ${error.message}`, { hint: 'name a file that holds one token' })
  }
}

async function agree(context: Context, offered: ImportView, o: { readonly yes: boolean; readonly isPiped: boolean }): Promise<void> {
  if (o.yes) return
  if (context.json || o.isPiped || process.stdin.isTTY !== true) {
    throw new ErrandError('NOT_AGREED', 'nobody is here to agree to this', { hint: 'to agree to what is shown, add --yes', fields: { offered } })
  }
  const answer = await ask('  Sign this? [y/N] ')
  if (!/^y(es)?$/i.test(answer.trim())) throw new ErrandError('NOT_AGREED', 'not imported', { hint: 'nothing was signed' })
}

function importText({ holder, gives }: ImportView): string {
  return [`  ${clean(holder)} shows a UCAN 0.8 token that begins here. It would get:`, ...gives.map((words) => `    ${clean(words)}`)].join('\n')
}

function tooLarge(bytes: number): ErrandError {
  return new ErrandError('TOO_LARGE', `${bytes} bytes are no token that is taken here`, { hint: 'at most 16,384 characters' })
}
