/** A world whose executor holds commands, on a machine that can or cannot: where something cannot be enforced, the promise is the refusal. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Limits } from '../../../protocols/task/limits.ts'
import { sandboxTools } from '../../../scripts/sandbox/tools.mjs'
import type { Means } from '../../../src/exec/means.ts'
import { probeMeans } from '../../../src/exec/probe.ts'
import { until } from '../../support/until.ts'
import { type Finished, openWorld, run, sh, type World } from './world.ts'

export const FILES: Limits = { sandbox: 'files' }
export const PROCESSES: Limits = { sandbox: 'processes' }
export type Rest = Parameters<typeof sh>[1]

export class HeldWorld {
  readonly errandHome: string
  readonly work: string

  private constructor(
    readonly root: string,
    readonly means: Means,
    readonly world: World,
  ) {
    this.errandHome = join(root, 'home')
    this.work = join(root, 'work')
  }

  /** Installs bwrap where it is missing and that is possible. */
  static async open(change: Partial<Means> = {}): Promise<HeldWorld> {
    const { bwrap, said } = sandboxTools()
    if (!bwrap) console.error(`${said}; refusals are checked in the place of promises`)
    const root = mkdtempSync(join(tmpdir(), 'errand-held-'))
    for (const name of ['work', 'home', 'home/identity']) mkdirSync(join(root, name))
    writeFileSync(join(root, 'home', 'identity', 'device.key'), 'the key')
    const means = { ...(await probeMeans(`t${process.pid}`)), ...change }
    return new HeldWorld(root, means, await openWorld({ means: Promise.resolve(means), hidden: [join(root, 'home')] }))
  }

  async close(): Promise<void> {
    await this.world.close()
    rmSync(this.root, { recursive: true, force: true })
    await until('no group is left', () => this.groupsLeft().length === 0)
  }

  /** Directories of its groups, wherever the kernel keeps them. */
  groupsLeft(): string[] {
    const { group } = this.means
    const places = group === null ? [] : [group.memory, group.cpu, group.processes, group.kill].filter((one) => one !== null)
    return places.filter((place) => existsSync(place))
  }

  can({ memoryBytes, cpuMillis, processes, sandbox }: Limits): boolean {
    const { group, bwrap, unshare, isRoot } = this.means
    const isShut = bwrap !== null || (unshare !== null && !isRoot && sandbox !== 'files')
    const bounds = [
      [memoryBytes, group?.memory],
      [cpuMillis, group?.cpu],
      [processes, group?.processes],
    ] as const
    return isShut && bounds.every(([asked, place]) => asked === undefined || typeof place === 'string')
  }

  /** Runs it, and looks at how it was; or sees it refused with a next step. */
  async held(limits: Limits, script: string, look: (seen: Finished & { out: string; err: string }) => void | Promise<void>, rest: Rest = {}): Promise<void> {
    const spec = sh(script, { limits, cwd: this.work, ...rest })
    const ending = run(this.world.executor, spec)
    if (!this.can(limits)) return await expect(ending).rejects.toMatchObject({ code: 'DENIED', fields: { reason: 'UNENFORCEABLE' }, hint: /./ })
    const ended = await ending
    await look({ ...ended, out: ended.stdout.toString(), err: ended.stderr.toString() })
  }
}
