/** A command that is held: the group it is in, how all of it is found and ended, and what its bounds have to say about its end. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import type { Ended } from '../../protocols/exec/messages.ts'
import type { Limits } from '../../protocols/task/limits.ts'
import { type Clock, every } from '../base/clock.ts'
import { saySize } from '../base/size.ts'
import { Cgroup } from './cgroup.ts'
import { type GroupPlace, isGrouped, type Plan } from './means.ts'
import { Tree } from './tree.ts'

/** The monitor and process 1 of bwrap, or of unshare, and what sets them up. */
const OWN_PROCESSES = 4
const LOOK_MS = 200
const GONE_MS = 50
const GONE_LOOKS = 40

export class Held {
  #stopWatching: (() => void) | undefined

  private constructor(
    private readonly limits: Limits,
    private readonly group: Cgroup | undefined,
    /** Written by the command's own first step when it could not enter a group. */
    readonly refusal: string,
  ) {}

  /** @throws SPAWN_FAILED */
  static begin({ limits }: Plan, place: GroupPlace | null, o: { readonly task: string; readonly refusal: string }): Held {
    const group = place === null || !isGrouped(limits) ? undefined : Cgroup.make(place, { name: o.task, limits, own: OWN_PROCESSES })
    return new Held(limits, group, o.refusal)
  }

  entrances(): readonly string[] {
    return this.group?.entrances() ?? []
  }

  tree(pid: number, task: string): Tree {
    return this.group === undefined ? new Tree(pid, task) : new GroupTree(pid, task, this.group)
  }

  /** The old layout ends one process for want of memory, and the others would limp on. */
  watch(clock: Clock, stop: () => void): void {
    if (this.limits.memoryBytes === undefined) return
    this.#stopWatching = every(clock, LOOK_MS, () => {
      if (this.#isShort()) stop()
    })
  }

  /** The end in full: a bound that was reached is said, and not left to be guessed from a number. */
  told(ended: Ended): Ended {
    this.#stopWatching?.()
    if (existsSync(this.refusal)) {
      const where = readFileSync(this.refusal, 'utf8').trim()
      return { ...ended, why: 'spawn-failed', message: `it could not enter its bounds (${where}), so it was not started` }
    }
    const { memoryBytes = 0, processes = 0 } = this.limits
    const isItself = ended.why === 'exit' || ended.why === 'limit'
    if (isItself && ended.exitCode !== 0 && this.#isShort())
      return { ...ended, why: 'limit', message: `stopped: it needed more memory than its ${saySize(memoryBytes)}` }
    if (ended.why === 'exit' && ended.exitCode !== 0 && (this.group?.forksRefused() ?? 0) > 0)
      return { ...ended, message: `it wanted more than its ${processes} processes` }
    return ended
  }

  #isShort(): boolean {
    return (this.group?.memoryKills() ?? 0) > 0
  }

  /** Ends what is left, and takes the group away as soon as nobody is in it. */
  release(clock: Clock): void {
    this.#stopWatching?.()
    rmSync(this.refusal, { force: true })
    const { group } = this
    if (group === undefined || this.#isGone(group)) return
    let looks = 0
    const stop = every(clock, GONE_MS, () => {
      if (this.#isGone(group) || ++looks >= GONE_LOOKS) stop()
    })
  }

  #isGone(group: Cgroup): boolean {
    group.kill()
    return group.remove()
  }
}

/** With a group nobody gets away, whatever it did to its parents, its session and its environment. */
class GroupTree extends Tree {
  constructor(
    pid: number,
    task: string,
    private readonly group: Cgroup,
  ) {
    super(pid, task)
  }

  override signalAll(signal: NodeJS.Signals): void {
    if (signal === 'SIGKILL') this.group.kill()
    super.signalAll(signal)
  }
}
