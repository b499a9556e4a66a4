/** What the inputs begin with: every byte string of the golden vectors, and the examples of the local API. */
import { readFileSync } from 'node:fs'
import { isMap } from '../../protocols/authority/messages.ts'

/** @param root of the checkout. @returns every byte string (hex or base64, 8 bytes and more) in the vectors of a protocol. */
export function seedsOf(root: string, protocol: string): Uint8Array[] {
  const found: Uint8Array[] = []
  collect(JSON.parse(readFileSync(`${root}/protocols/${protocol}/vectors.json`, 'utf8')), found)
  return found
}

export function textSeeds(texts: readonly string[]): Uint8Array[] {
  return texts.map((text) => new Uint8Array(Buffer.from(text)))
}

/** JWTs and the like: strings that are no bytes. */
export function tokensOf(root: string): Uint8Array[] {
  const text = readFileSync(`${root}/protocols/bridge/vectors.json`, 'utf8')
  return textSeeds([...text.matchAll(/"(eyJ[\w.-]+)"/g)].map((match) => match[1] ?? ''))
}

function collect(value: unknown, found: Uint8Array[]): void {
  if (typeof value === 'string') {
    const hex = /^(?:[0-9a-f]{2}){8,}$/.test(value)
    if (hex) found.push(new Uint8Array(Buffer.from(value, 'hex')))
    else if (/^[A-Za-z0-9+/]{12,}={0,2}$/.test(value) && value.length % 4 === 0 && value.length < 20_000)
      found.push(new Uint8Array(Buffer.from(value, 'base64')))
  } else if (Array.isArray(value)) for (const item of value) collect(item, found)
  else if (isMap(value)) for (const item of Object.values(value)) collect(item, found)
}
