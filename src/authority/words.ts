/** Words, commas and semicolons of a right as a person types it; quoting both ways. */

export type Token = { readonly t: ',' | ';' } | { readonly t: 'word'; readonly text: string; readonly quoted: boolean }

const TOKEN = /\s*(?:([,;])|("(?:[^"\\]|\\.)*")(?=[\s,;]|$)|([^\s,;"]+)(?=[\s,;]|$))/uy
const NEEDS_QUOTES = /[\s,;"\p{Cc}\p{Cf}]|^$|^\*$|^…$|^\.\.\.$/u
/** NUL, and halves of surrogate pairs, which no UTF-8 can carry. */
const NEVER = /[\0\p{Cs}]/u

/** @returns the tokens, or undefined at an open quote or a character that no argument can hold. */
export function tokensOf(text: string): Token[] | undefined {
  const tokens: Token[] = []
  const trimmed = text.trimEnd()
  let at = 0
  while (at < trimmed.length) {
    TOKEN.lastIndex = at
    const match = TOKEN.exec(trimmed)
    if (match === null) return undefined
    const token = tokenOf(match[1], match[2], match[3])
    if (token === undefined) return undefined
    tokens.push(token)
    at = TOKEN.lastIndex
  }
  return tokens
}

function tokenOf(mark: string | undefined, quoted: string | undefined, bare: string | undefined): Token | undefined {
  if (mark === ',' || mark === ';') return { t: mark }
  const text = quoted === undefined ? bare : unquote(quoted)
  return text === undefined || NEVER.test(text) ? undefined : { t: 'word', text, quoted: quoted !== undefined }
}

function unquote(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}

/** A word as it can be typed again: quoted where it must be, invisible characters spelled out. */
export function sayWord(text: string): string {
  return NEEDS_QUOTES.test(text) ? spellOut(JSON.stringify(text)) : text
}

/** Any value as JSON with every invisible character spelled out, so that nothing hides in a message. */
export function sayValue(value: unknown): string {
  return spellOut(JSON.stringify(value) ?? 'nothing')
}

function spellOut(json: string): string {
  return json.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) =>
    [...Array(char.length).keys()].map((i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  )
}

/** The tokens between marks of one kind. */
export function split(tokens: readonly Token[], mark: ',' | ';'): Token[][] {
  const parts: Token[][] = [[]]
  for (const token of tokens) {
    if (token.t === mark) parts.push([])
    else parts[parts.length - 1]?.push(token)
  }
  return parts
}
