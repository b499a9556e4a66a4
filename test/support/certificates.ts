/** Certificates made by openssl for one test: authorities, and what they sign. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-batch']

/** PEM, and the files they are in; the key's has mode 0600. */
export interface Signed {
  readonly cert: string
  readonly key: string
  readonly certPath: string
  readonly keyPath: string
}

export interface Wanted {
  /** As openssl writes them: `DNS:localhost`, `URI:spiffe://…`. */
  readonly names: readonly string[]
  /** The end of its days was yesterday. */
  readonly isExpired?: boolean
  readonly isAuthority?: boolean
}

export class Authority {
  readonly #root = mkdtempSync('/tmp/e-ca-')
  #made = 0

  constructor() {
    this.#openssl('req', '-x509', ...NEW_KEY, '-days', '2', '-subj', '/CN=test authority', '-keyout', this.#at('ca.key'), '-out', this.#at('ca.pem'))
  }

  get path(): string {
    return this.#at('ca.pem')
  }

  get cert(): string {
    return readFileSync(this.path, 'utf8')
  }

  sign({ names, isExpired = false, isAuthority = false }: Wanted): Signed {
    const at = (ending: string): string => this.#at(`${this.#made}.${ending}`)
    this.#made++
    const extensions = ['-addext', `subjectAltName=${names.join(',')}`, '-addext', `basicConstraints=CA:${isAuthority ? 'TRUE' : 'FALSE'}`]
    this.#openssl('req', ...NEW_KEY, '-subj', '/CN=test', ...extensions, '-keyout', at('key'), '-out', at('csr'))
    const by = ['-CA', this.path, '-CAkey', this.#at('ca.key'), '-copy_extensions', 'copy', '-days', isExpired ? '-1' : '2']
    this.#openssl('x509', '-req', '-in', at('csr'), ...by, '-out', at('pem'))
    chmodSync(at('key'), 0o600)
    return { cert: readFileSync(at('pem'), 'utf8'), key: readFileSync(at('key'), 'utf8'), certPath: at('pem'), keyPath: at('key') }
  }

  [Symbol.dispose](): void {
    rmSync(this.#root, { recursive: true, force: true })
  }

  #at(name: string): string {
    return join(this.#root, name)
  }

  /** @throws with what openssl says; a machine without it says that it cannot be found. */
  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  }
}
