/**
 * Two network namespaces joined by a cable that can be cut: a veth pair with a device at each end. Linux and root only; needs `ip`, and
 * `nft` or `tc netem` for loss. A silent cut sends packets to a hardware address that nobody has, so that neither end gets an error.
 */
import { execFileSync } from 'node:child_process'

export type End = 'near' | 'far'

const ENDS: readonly End[] = ['near', 'far']
const CABLE = 'errand0'
const NOBODY = '02:00:00:00:00:99'
const LOSS = ['table inet loss {', 'chain in {', 'type filter hook input priority -200', 'numgen random mod 100 < PERCENT drop', '}', '}'].join('\n')

/** @returns why there can be no such network here, in words; undefined when there can. */
export function whyNoNetwork(): string | undefined {
  if (process.platform !== 'linux') return `network namespaces are part of Linux, this is ${process.platform}`
  if (process.getuid?.() !== 0) return 'network namespaces take root; run it with sudo'
  const name = `errand-try-${process.pid}`
  try {
    ip('netns', 'add', name)
    ip('netns', 'del', name)
    return undefined
  } catch (thrown) {
    return `"ip netns add" does not work here: ${firstLineOf(thrown)}; scripts/faults/tools.sh installs what is missing`
  }
}

export class Network {
  readonly #hosts: Record<End, number> = { near: 1, far: 2 }
  readonly #net = `10.213.${process.pid % 256}`
  /** What loses packets here; undefined when nothing can. */
  readonly loser: 'nft' | 'netem' | undefined

  constructor() {
    for (const end of ENDS) ip('netns', 'add', this.#name(end))
    ip('link', 'add', CABLE, 'netns', this.#name('near'), 'type', 'veth', 'peer', 'name', CABLE, 'netns', this.#name('far'))
    for (const end of ENDS) {
      this.#in(end, 'ip', 'link', 'set', 'lo', 'up')
      this.#in(end, 'ip', 'address', 'add', `${this.addressOf(end)}/24`, 'dev', CABLE)
      this.#in(end, 'ip', 'link', 'set', CABLE, 'up')
    }
    this.loser = this.#findLoser()
  }

  addressOf(end: End): string {
    return `${this.#net}.${this.#hosts[end]}`
  }

  /** The words that start a command in the namespace; it keeps the process id. */
  entering(end: End): string[] {
    return ['ip', 'netns', 'exec', this.#name(end)]
  }

  /** `down`: the interface says so to its device. `silent`: packets vanish, as behind a router that died. The returned function mends it. */
  cut(how: 'down' | 'silent'): () => void {
    if (how === 'down') {
      this.#in('near', 'ip', 'link', 'set', CABLE, 'down')
      return () => this.#in('near', 'ip', 'link', 'set', CABLE, 'up')
    }
    for (const end of ENDS) this.#neighbour(end, 'replace', ['lladdr', NOBODY, 'nud', 'permanent'])
    return () => {
      for (const end of ENDS) this.#neighbour(end, 'del', [])
    }
  }

  /** Loses so many packets of a hundred, both ways. */
  lose(percent: number): () => void {
    for (const end of ENDS) {
      if (this.loser === 'nft') this.#in(end, 'nft', LOSS.replace('PERCENT', `${percent}`))
      else this.#in(end, 'tc', 'qdisc', 'add', 'dev', CABLE, 'root', 'netem', 'loss', `${percent}%`)
    }
    return () => {
      for (const end of ENDS) {
        if (this.loser === 'nft') this.#in(end, 'nft', 'delete table inet loss')
        else this.#in(end, 'tc', 'qdisc', 'del', 'dev', CABLE, 'root')
      }
    }
  }

  /** The device gets another address and loses the one it had. */
  readdress(end: End): void {
    const before = this.addressOf(end)
    this.#hosts[end] += 2
    this.#in(end, 'ip', 'address', 'del', `${before}/24`, 'dev', CABLE) // first: what is left of the subnet would go with it
    this.#in(end, 'ip', 'address', 'add', `${this.addressOf(end)}/24`, 'dev', CABLE)
  }

  remove(): void {
    for (const end of ENDS) ip('netns', 'del', this.#name(end))
  }

  #findLoser(): 'nft' | 'netem' | undefined {
    for (const [loser, ...command] of [
      ['nft', 'nft', 'list', 'tables'],
      ['netem', 'tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'loss', '0%'],
    ] as const) {
      try {
        this.#in('near', ...command)
        return loser
      } catch {
        // Not installed, or not in this kernel: the other one.
      }
    }
    return undefined
  }

  #neighbour(end: End, verb: string, more: readonly string[]): void {
    this.#in(end, 'ip', 'neighbour', verb, this.addressOf(end === 'near' ? 'far' : 'near'), 'dev', CABLE, ...more)
  }

  #name(end: End): string {
    return `errand-${process.pid}-${end}`
  }

  #in(end: End, ...command: string[]): void {
    const [file = '', ...args] = [...this.entering(end), ...command]
    execFileSync(file, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

function firstLineOf(thrown: unknown): string {
  return (thrown instanceof Error ? thrown.message : String(thrown)).split('\n').slice(0, 2).join(' ')
}
