/** The device that a client certificate names: one URI of the form `spiffe://<mesh id>/device/<peer id>`. Trust is decided elsewhere. */
import type { X509Certificate } from 'node:crypto'
import { ErrandError } from '../base/errors.ts'

export interface NamedDevice {
  /** Mesh id in hex. */
  readonly mesh: string
  readonly peerId: string
}

/** @throws FORBIDDEN_CERTIFICATE */
export function deviceOf({ subjectAltName, ca }: Pick<X509Certificate, 'subjectAltName' | 'ca'>): NamedDevice {
  if (ca) throw wrong('it is that of an authority')
  return deviceIn(subjectAltName ?? '')
}

/** @param names as Node.js writes them: `URI:spiffe://…, DNS:…`; a value with a comma in it comes in quotes. @throws FORBIDDEN_CERTIFICATE */
export function deviceIn(names: string): NamedDevice {
  // A quoted value could hold what looks like another name; nobody who is honest needs one.
  if (names.includes('"')) throw wrong('a name in it is quoted')
  const uris = names.split(', ').filter((name) => name.startsWith('URI:'))
  if (uris.length !== 1) throw wrong(`it has ${uris.length} URIs where there has to be one`)
  const [, mesh, peerId] = /^URI:spiffe:\/\/([0-9a-f]{64})\/device\/([1-9A-HJ-NP-Za-km-z]{46,64})$/.exec(uris[0] ?? '') ?? []
  if (mesh === undefined || peerId === undefined) throw wrong('its URI names no device')
  return { mesh, peerId }
}

function wrong(why: string): ErrandError {
  return new ErrandError('FORBIDDEN_CERTIFICATE', `the client certificate does not name a device: ${why}`, {
    hint: 'it needs one URI, spiffe://<mesh id>/device/<peer id>; errand status --json shows both',
  })
}
