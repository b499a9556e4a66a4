/**
 * Both sides of OPAQUE (RFC 9807) over the words of a short code, in bytes. The library keeps everything as base64url; what crosses a wire
 * here is what the RFC calls KE1, KE2 and KE3. A wrong word yields nothing on either side, and nothing that could be searched offline.
 */
import { PAKE_NAMES, STRETCH } from '../../protocols/pair/messages.ts'

type Opaque = typeof import('@serenity-kit/opaque')

const keyStretching = { 'argon2id-custom': STRETCH }
const identifiers = PAKE_NAMES

/** The inviter's half of one code: what it can judge a try with. Lives in memory only. */
export interface Lock {
  /** Answers one try. What comes back opens only with the KE3 of somebody who has the words. */
  try(ke1: Uint8Array): { readonly ke2: Uint8Array; finish(ke3: Uint8Array): Uint8Array | undefined }
}

/** @param plate part of the record, so that words are good for their own number only. */
export async function makeLock(words: string, plate: number): Promise<Lock> {
  const { client, server } = await opaque()
  const userIdentifier = String(plate)
  const serverSetup = server.createSetup()
  const { clientRegistrationState, registrationRequest } = client.startRegistration({ password: words })
  const { registrationResponse } = server.createRegistrationResponse({ serverSetup, userIdentifier, registrationRequest })
  const { registrationRecord } = client.finishRegistration({ password: words, clientRegistrationState, registrationResponse, identifiers, keyStretching })
  return {
    try: (ke1) => {
      const started = server.startLogin({ serverSetup, registrationRecord, userIdentifier, identifiers, startLoginRequest: text(ke1) })
      return {
        ke2: bytes(started.loginResponse),
        finish: (ke3) =>
          attempt(() => bytes(server.finishLogin({ serverLoginState: started.serverLoginState, finishLoginRequest: text(ke3), identifiers }).sessionKey)),
      }
    },
  }
}

/** The joiner's half of one try. */
export interface Key {
  readonly ke1: Uint8Array
  /** @returns undefined when the words are not the inviter's, or it does not know them. */
  turn(ke2: Uint8Array): { readonly ke3: Uint8Array; readonly sessionKey: Uint8Array } | undefined
}

export async function makeKey(words: string): Promise<Key> {
  const { client } = await opaque()
  const { clientLoginState, startLoginRequest } = client.startLogin({ password: words })
  return {
    ke1: bytes(startLoginRequest),
    turn: (ke2) => {
      const done = attempt(() => client.finishLogin({ password: words, clientLoginState, loginResponse: text(ke2), identifiers, keyStretching }))
      return done === undefined ? undefined : { ke3: bytes(done.finishLoginRequest), sessionKey: bytes(done.sessionKey) }
    },
  }
}

/** Loaded when first needed: most nodes never pair, and it is 400 KiB of WebAssembly. */
async function opaque(): Promise<Opaque> {
  const library = await import('@serenity-kit/opaque')
  await library.ready
  return library
}

function bytes(base64url: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64url, 'base64url'))
}

function text(from: Uint8Array): string {
  return Buffer.from(from).toString('base64url')
}

/** The library throws for bytes that are no points and for proofs that do not hold; both mean no. */
function attempt<T>(fn: () => T): T | undefined {
  try {
    return fn()
  } catch {
    return undefined
  }
}
