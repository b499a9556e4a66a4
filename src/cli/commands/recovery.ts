/** The recovery words: made, shown and read here, in the client. The node hears their public key and their signature, never a word. */
import type { OwnerChangeView, OwnersView, RecoveryDraft, RecoveryKey } from '../../../protocols/local/owners.ts'
import { ErrandError } from '../../base/errors.ts'
import type { Words } from '../../runtime/recovery-words.ts'
import { ask } from '../ask.ts'
import type { Context } from '../context.ts'
import { askSecret, requireTerminal } from '../secret.ts'
import { sayDone } from './owner.ts'

const ASKED_BACK = [3, 12, 21]

export async function make(context: Context): Promise<number> {
  refuseJson(context)
  requireTerminal('recovery words')
  const seen = await ownersOf(context)
  if (seen.recovery !== null) await agree('  There are recovery words already; they will be worth nothing any more. Go on? [y/N] ')
  const { newPhrase } = await import('../../runtime/recovery-words.ts')
  const { words, did } = newPhrase(bytesOf(seen.mesh))
  await show(words)
  const changed = await context.client.call<OwnerChangeView>('POST', '/api/runtime/owners/change', { recovery: did })
  sayDone(context, changed)
  return 0
}

export async function use(context: Context, { keep, yes }: { keep?: string[]; yes?: boolean }): Promise<number> {
  const seen = await ownersOf(context)
  if (seen.recovery === null) throw noWords()
  if (yes !== true && process.stdin.isTTY !== true) {
    throw new ErrandError('NOT_AGREED', 'nobody is here to agree to it', { hint: 'errand recovery use --yes, with the words on stdin' })
  }
  const words = await typedWords(seen)
  const key = await context.client.call<RecoveryKey>('POST', '/api/runtime/recovery/key', {})
  const { giftOf, signStep } = await import('../../runtime/recovery-words.ts')
  const gift = base64(giftOf(words, key.did))
  const draft = await context.client.call<RecoveryDraft>('POST', '/api/runtime/recovery/draft', { gift, ...(keep === undefined ? {} : { keep }) })
  if (yes !== true) {
    context.say(`  ${draft.words}\n  What the owners of before have signed goes on to count; look at it afterwards: errand devices, errand grants.`)
    await agree('  All devices will be told, and the words are used up. Go on? [y/N] ')
  }
  const step = new Uint8Array(Buffer.from(draft.step, 'base64'))
  const signature = base64(signStep(bytesOf(seen.mesh), words, step))
  const done = await context.client.call<OwnerChangeView>('POST', '/api/runtime/recovery', { step: draft.step, kept: draft.kept, signature, gift })
  sayDone(context, done)
  if (!context.json) context.say('the words are used up; make new ones:  errand recovery new')
  return 0
}

async function ownersOf(context: Context): Promise<OwnersView> {
  return await context.client.call<OwnersView>('GET', '/api/runtime/owners')
}

/** A mistake is found here, before the node hears of anything. */
async function typedWords({ mesh, recovery }: OwnersView): Promise<Words> {
  const { readPhrase } = await import('../../runtime/recovery-words.ts')
  const read = readPhrase(await askSecret('  the 24 recovery words, one line, not shown: '), bytesOf(mesh))
  if (!read.ok) throw new ErrandError('WRONG_WORDS', `these are no recovery words: ${read.why}`, { hint: 'type them again: errand recovery use' })
  if (read.identity.did === recovery) return read.identity
  throw new ErrandError('WRONG_WORDS', 'these are not the recovery words of this mesh', { hint: 'newer ones may have been made since: errand owner list' })
}

/** Shown until somebody presses Enter, then wiped; a few have to be typed back, so that they are on paper before they count. */
async function show(words: readonly string[]): Promise<void> {
  const lines = [0, 6, 12, 18].map((from) =>
    words
      .slice(from, from + 6)
      .map((word, n) => `${String(from + n + 1).padStart(4)}. ${word.padEnd(9)}`)
      .join(''),
  )
  const above = ['  Write these words on paper, in this order. Whoever has them can take this mesh over; nothing keeps them but the paper.', '', ...lines, '']
  process.stderr.write(`${above.join('\n')}\n`)
  await ask('  Press Enter when they are written down. ')
  process.stderr.write(`\u001b[${above.length + 1}A\u001b[0J\u001b[3J`)
  for (const at of ASKED_BACK) {
    const typed = (await ask(`  Word ${at}: `)).trim().toLowerCase()
    if (typed !== words[at - 1])
      throw new ErrandError('NOT_AGREED', `word ${at} is another one; nothing was changed`, { hint: 'begin again: errand recovery new' })
  }
}

async function agree(question: string): Promise<void> {
  if (!/^y(es)?$/i.test((await ask(question)).trim())) throw new ErrandError('NOT_AGREED', 'nothing was changed')
}

function refuseJson({ json }: Context): void {
  if (json)
    throw new ErrandError('NO_TERMINAL', 'recovery words are shown once, to a person at a terminal, and never as data', {
      hint: 'errand recovery new, without --json; errand owner list --json says whether there are any',
    })
}

function noWords(): ErrandError {
  return new ErrandError('NO_RECOVERY', 'this mesh has no recovery words, or they were used', {
    hint: 'an owner makes new ones: errand recovery new',
  })
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}
