/**
 * The home directory: everything a node keeps, owned by one user (0700, files 0600). Creates it, checks it, and names what is wrong with it.
 * Layout: identity/ (keys, genesis, membership) · runtime.yaml · db/ · run/ · errand.sock · errand.log
 */
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, readdirSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { systemRandom } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { makeDirectories } from '../base/paths.ts'
import { type Did, Identity } from '../identity/identity.ts'
import { fromPem, toPem } from '../identity/keyfile.ts'
import { sealedDid } from '../identity/sealed-key.ts'
import { type KnownMesh, readGenesis, readMembership } from '../runtime/joining.ts'

const FILES = {
  device: 'identity/device.pem',
  nextDevice: 'identity/device-next.pem',
  owner: 'identity/owner.pem',
  genesis: 'identity/genesis.cbor',
  membership: 'identity/membership.cbor',
  nextMembership: 'identity/membership-next.cbor',
} as const

export class Home {
  private constructor(readonly path: string) {}

  /** Creates the directory when it is missing. @throws HOME_NOT_OURS, HOME_NOT_WRITABLE, NOT_A_DIRECTORY */
  static open(path: string): Home {
    refuseForeign(path)
    makePrivateDirectory(path)
    makePrivateDirectory(join(path, 'identity'))
    return new Home(path)
  }

  at(...parts: string[]): string {
    return join(this.path, ...parts)
  }

  /** The device key, made on first use. @throws KEY_DAMAGED, KEY_EXPOSED */
  device(): { identity: Identity; created: boolean } {
    this.#becomeNext()
    const held = this.#readKey(FILES.device)
    if (held !== undefined) return { identity: held, created: false }
    if (existsSync(this.at(FILES.genesis)) || existsSync(this.at('db'))) {
      throw new ErrandError('KEY_MISSING', `the device key ${this.at(FILES.device)} is gone, but the rest of this home is there`, {
        hint: 'bring the key back from a backup; without it this device is a new one: use another --home and join again',
      })
    }
    return { identity: this.#makeKey(FILES.device), created: true }
  }

  /** The key that this device goes on under; the next start finds it. The key comes last: with it the succession is decided. */
  keepNext(next: Identity, membership: Uint8Array): void {
    this.#write(FILES.nextMembership, membership)
    this.#write(FILES.nextDevice, Buffer.from(toPem(next)))
  }

  /** Wherever it was interrupted, it goes on from there; the old key is overwritten last. */
  #becomeNext(): void {
    if (!existsSync(this.at(FILES.nextDevice))) return
    if (existsSync(this.at(FILES.nextMembership))) renameSync(this.at(FILES.nextMembership), this.at(FILES.membership))
    renameSync(this.at(FILES.nextDevice), this.at(FILES.device))
  }

  /** The owner's key, on devices that hold one: open, or the file of one under a passphrase. @throws KEY_DAMAGED, KEY_EXPOSED */
  owner(): Identity | { readonly did: Did; readonly pem: string } | undefined {
    const pem = Buffer.from(this.#read(FILES.owner) ?? []).toString()
    const did = sealedDid(pem)
    if (did === undefined) return this.#readKey(FILES.owner)
    this.#refuseExposed(FILES.owner)
    return { did, pem }
  }

  /** In the place of the same key as it lay there before. */
  writeOwner(pem: string): void {
    this.#write(FILES.owner, Buffer.from(pem))
  }

  makeOwner(): Identity {
    return this.#readKey(FILES.owner) ?? this.#makeKey(FILES.owner)
  }

  /** Another owner's key in the place of the one that lies here, which goes to `left/`. */
  replaceOwner(identity: Identity): void {
    if (existsSync(this.at(FILES.owner))) {
      makePrivateDirectory(this.at('left'))
      renameSync(this.at(FILES.owner), this.at('left', `owner-${Math.round(statSync(this.at(FILES.owner)).mtimeMs)}.pem`))
    }
    this.#write(FILES.owner, Buffer.from(toPem(identity)))
  }

  /** The mesh this home belongs to, if any. @throws STATE_DAMAGED, also where a database is left of a mesh: who lost it must not found another. */
  mesh(): { mesh: KnownMesh; membership: Uint8Array } | undefined {
    const genesis = this.#read(FILES.genesis)
    if (genesis === undefined && !existsSync(this.at('db'))) return undefined // a database is only ever made for a mesh
    const membership = this.#read(FILES.membership)
    try {
      if (genesis === undefined) throw new TypeError('the genesis document is missing')
      if (membership === undefined) throw new TypeError('the membership record is missing')
      const mesh = readGenesis(genesis)
      const { device } = readMembership(mesh, membership)
      if (device !== this.#readKey(FILES.device)?.did) throw new TypeError('the membership is that of another device')
      return { mesh, membership }
    } catch (cause) {
      throw new ErrandError(
        'STATE_DAMAGED',
        `the mesh documents in ${this.at('identity')} do not hold: ${cause instanceof Error ? cause.message : String(cause)}`,
        {
          hint: 'bring genesis.cbor and membership.cbor back from a backup, or use another --home and join the mesh again',
          cause,
        },
      )
    }
  }

  saveMesh(genesis: Uint8Array, membership: Uint8Array): void {
    this.#write(FILES.membership, membership)
    this.#write(FILES.genesis, genesis) // last: a genesis says that the rest is there
  }

  /** Puts the state of a mesh aside that this device leaves before it joins another. @returns where it went. */
  leaveMesh(): string {
    const aside = this.at('left', String(Math.round(statSync(this.at(FILES.genesis)).mtimeMs)))
    makePrivateDirectory(dirname(aside))
    makePrivateDirectory(aside)
    makePrivateDirectory(join(aside, 'identity'))
    for (const name of ['db', FILES.genesis, FILES.membership, FILES.owner]) if (existsSync(this.at(name))) renameSync(this.at(name), join(aside, name))
    return aside
  }

  #readKey(name: string): Identity | undefined {
    const bytes = this.#read(name)
    if (bytes === undefined) return undefined
    this.#refuseExposed(name)
    try {
      return fromPem(Buffer.from(bytes).toString())
    } catch (cause) {
      throw new ErrandError('KEY_DAMAGED', `the key ${this.at(name)} cannot be read`, {
        hint: 'bring it back from a backup; without it this device is a new one: use another --home and join again',
        cause,
      })
    }
  }

  #refuseExposed(name: string): void {
    if (process.platform !== 'win32' && (statSync(this.at(name)).mode & 0o077) !== 0) {
      throw new ErrandError('KEY_EXPOSED', `other users of this machine can read the key ${this.at(name)}`, {
        hint: `chmod 600 ${this.at(name)}; if somebody may have read it, start over with a new --home`,
      })
    }
  }

  #makeKey(name: string): Identity {
    const identity = new Identity(systemRandom(32))
    this.#write(name, Buffer.from(toPem(identity)))
    return identity
  }

  #read(name: string): Uint8Array | undefined {
    try {
      return new Uint8Array(readFileSync(this.at(name)))
    } catch (cause) {
      if (codeOf(cause) === 'ENOENT') return undefined
      throw homeError(this.at(name), cause)
    }
  }

  #write(name: string, bytes: Uint8Array): void {
    writeWhole(this.at(name), bytes)
  }
}

/** Whole or not at all, and on the disk: written beside, synced, renamed. @throws HOME_NOT_WRITABLE, HOME_FAILED */
export function writeWhole(path: string, bytes: Uint8Array): void {
  try {
    const fd = openSync(`${path}.new`, 'w', 0o600)
    writeSync(fd, bytes)
    fsyncSync(fd)
    closeSync(fd)
    renameSync(`${path}.new`, path)
    const directory = openSync(dirname(path), 'r')
    fsyncSync(directory)
    closeSync(directory)
  } catch (cause) {
    throw homeError(path, cause)
  }
}

const OURS = ['identity', 'runtime.yaml', 'config.yaml', 'policy.yaml', 'db', 'run', 'left', 'lockdown', 'errand.sock', 'errand.log']

/** Somebody's documents are not a home: nothing is tightened, created or locked among them. */
function refuseForeign(path: string): void {
  if (!existsSync(path) || !statSync(path).isDirectory()) return
  const names = readable(path)
  if (names.length === 0 || names.some((name) => OURS.includes(name))) return
  throw new ErrandError('HOME_NOT_OURS', `${path} is not a home of errand: it holds ${names.slice(0, 3).join(', ')}`, {
    hint: 'choose an empty directory or a new one: --home DIR',
  })
}

function readable(path: string): string[] {
  try {
    return readdirSync(path)
  } catch (cause) {
    throw homeError(path, cause)
  }
}

/** @throws HOME_NOT_OURS, HOME_NOT_WRITABLE, NOT_A_DIRECTORY */
export function makePrivateDirectory(path: string): void {
  try {
    makeDirectories(path)
    const stat = statSync(path)
    if (!stat.isDirectory()) throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' })
    const uid = process.getuid?.()
    if (uid !== undefined && stat.uid !== uid) {
      throw new ErrandError('HOME_NOT_OURS', `${path} belongs to another user (uid ${stat.uid}, you are ${uid})`, {
        hint: 'use a directory of your own: --home DIR, or chown it',
      })
    }
    if (process.platform !== 'win32' && (stat.mode & 0o077) !== 0) chmodSync(path, 0o700)
  } catch (cause) {
    throw cause instanceof ErrandError ? cause : homeError(path, cause)
  }
}

const OBSTACLES: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOENT: 'no directory can be made there',
}

function homeError(path: string, cause: unknown): ErrandError {
  const code = codeOf(cause)
  if (code === 'ENOTDIR' || code === 'EEXIST')
    return new ErrandError('NOT_A_DIRECTORY', `${path} is not a directory`, { hint: 'choose another one: --home DIR', cause })
  const obstacle = code === undefined ? undefined : OBSTACLES[code]
  if (obstacle !== undefined) {
    return new ErrandError('HOME_NOT_WRITABLE', `${path} cannot be written: ${obstacle}`, {
      hint: 'choose a directory of your own: --home DIR',
      cause,
    })
  }
  return new ErrandError('HOME_FAILED', `${path}: ${cause instanceof Error ? cause.message : String(cause)}`, {
    hint: 'choose another directory: --home DIR',
    cause,
  })
}

function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : undefined
}
