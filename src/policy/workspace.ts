/**
 * Policies of workspaces: `.errand/security.yaml` in the directory that a command runs in and in every one above it. Each only narrows. One that
 * cannot be believed lets nothing run there: who could spoil the file must not thereby be rid of it.
 */
import { dirname, join } from 'node:path'
import type { Layer } from './judge.ts'
import { readPolicy } from './read.ts'
import { directoryFault, markOf, type Owner, readSource } from './source.ts'

export const WORKSPACE_FILE = '.errand/security.yaml'
/** Files whose reading is remembered. */
const MAX_KNOWN = 256

/** Something stands in the way of every command below this directory. */
export interface BadWorkspace {
  readonly path: string
  readonly why: string
}

export type WorkspaceRead = { readonly ok: true; readonly layers: readonly Layer[] } | ({ readonly ok: false } & BadWorkspace)

type One = { readonly ok: true; readonly layer: Layer | undefined } | ({ readonly ok: false } & BadWorkspace)

export class Workspaces {
  readonly #known = new Map<string, { readonly mark: string; readonly one: One }>()

  constructor(private readonly owner: Owner) {}

  /** @param cwd the real path of a directory, absolute. Innermost first. */
  above(cwd: string): WorkspaceRead {
    const layers: Layer[] = []
    for (let root = cwd; ; root = dirname(root)) {
      const one = this.#at(root)
      if (!one.ok) return one
      if (one.layer !== undefined) layers.push(one.layer)
      if (dirname(root) === root) return { ok: true, layers }
    }
  }

  #at(root: string): One {
    const path = join(root, WORKSPACE_FILE)
    const mark = markOf(path)
    if (mark === undefined) return { ok: true, layer: undefined }
    const fault = directoryFault(dirname(path), this.owner)
    if (fault !== undefined) return { ok: false, path: dirname(path), why: fault }
    const known = this.#known.get(path)
    if (known?.mark === mark) return known.one
    const one = this.#read(path, root)
    if (this.#known.size >= MAX_KNOWN) this.#known.clear()
    this.#known.set(path, { mark, one })
    return one
  }

  #read(path: string, root: string): One {
    const source = readSource(path, this.owner)
    if (source.t === 'none') return { ok: false, path, why: 'it went away while it was read' }
    if (source.t === 'bad') return { ok: false, path, why: source.why }
    const read = readPolicy(source.text, 'workspace')
    if (!read.ok) return { ok: false, path, why: `line ${read.faults[0]?.line}: ${read.faults[0]?.message}` }
    const { policy, hash, lineOf } = read
    return { ok: true, layer: { name: WORKSPACE_FILE, policy, hash, lineOf, root } }
  }
}
