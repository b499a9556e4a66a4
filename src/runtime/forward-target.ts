/**
 * Where a target leads, judged after it was looked up: a name is whatever somebody's name server says today, and a right for a name is no right to
 * everything that it may be made to mean. What comes out are addresses, and nothing is looked up again.
 */
import { refusePolicies } from '../authority/chain.ts'
import { type NetForwardArgs, netArgs } from '../authority/net-args.ts'
import { namesLinkLocal, readNet } from '../authority/net-items.ts'
import { NET_COMMAND } from '../authority/net-rights.ts'
import type { Delegation } from '../authority/token.ts'
import { type Host, hostAt, sayEnd } from '../base/address.ts'
import { ErrandError } from '../base/errors.ts'
import type { Network } from './forward-ports.ts'

export interface TargetsOn {
  readonly network: Pick<Network, 'lookup' | 'ownAddresses'>
  /** TCP ports of this node itself. */
  readonly ownPorts: () => readonly number[]
}

interface Right {
  readonly args: NetForwardArgs
  readonly chain: readonly Delegation[]
}

const LOOPBACK: readonly Host[] = [hostAt([127, 0, 0, 1]), hostAt([...Array<number>(15).fill(0), 1])]

export class Targets {
  constructor(private readonly on: TargetsOn) {}

  /** @returns addresses that may be connected to, the system's first choice first. @throws DENIED where it leads to none; NO_SUCH_HOST */
  async reach(right: Right): Promise<readonly string[]> {
    const hosts = await this.#lookUp(right.args)
    const refusals = hosts.map((host) => this.#refusal(host, right))
    const good = hosts.filter((_, at) => refusals[at] === undefined)
    const [refusal] = refusals.filter((one) => one !== undefined)
    if (good.length > 0) return good.map(({ host }) => host)
    throw refusal ?? new ErrandError('NO_SUCH_HOST', `it finds no address for ${right.args.host}`)
  }

  async #lookUp(args: NetForwardArgs): Promise<readonly Host[]> {
    if (args.family !== 0) return [args]
    if (args.kind === 'loopback') return LOOPBACK
    return (await this.on.network.lookup(args.host)).map((bytes) => hostAt(bytes))
  }

  /** Security order: 1. nobody's address, 2. errand itself, 3. a name that leads where only an address may, 4. addresses that have to be named. */
  #refusal(at: Host, right: Right): ErrandError | undefined {
    const { args } = right
    const where = args.family === 0 ? `${args.host} leads to ${at.host}` : at.host
    if (at.kind === 'never' || at.kind === 'any') return denied(`${where}: nobody connects to such an address`, 'NOT_AN_ADDRESS')
    const isHere = at.kind === 'loopback' || this.#isOwn(at)
    if (isHere && this.on.ownPorts().includes(args.port))
      return denied(`${sayEnd(at.host, args.port)} is errand's own port, which is forwarded to nobody`, 'OWN_PORT')
    if (args.kind === 'name' && (isHere || at.kind !== 'address') && !allowsAddress(at, right))
      return denied(
        `${where}, ${SAID[isHere ? 'here' : 'link']}, and the right is for the name only`,
        'REBOUND',
        `the address has to be named: forward: ${sayEnd(at.host, args.port)}`,
      )
    if (at.kind === 'link-local' && right.chain.length > 0 && !right.chain.some(isNamed))
      return denied(
        `${where} is link-local, where credentials of machines are kept, and no grant names it`,
        'LINK_LOCAL',
        `a grant can: forward: ${sayEnd(at.host, args.port)}`,
      )
    return undefined
  }

  #isOwn({ ip }: Host): boolean {
    return this.on.network.ownAddresses().some((own) => own.length === ip.length && own.every((byte, i) => byte === ip[i]))
  }
}

const SAID = { here: 'which is that device itself', link: 'which is link-local' } as const

/** Whether the right would do for the address by itself. */
function allowsAddress(at: Host, { args, chain }: Right): boolean {
  const texts = at.kind === 'loopback' ? [at.host, 'localhost'] : [at.host]
  return texts.some((text) => {
    const declared = netArgs('connect', text, args.port)
    return declared !== undefined && refusePolicies(chain, declared) === undefined
  })
}

function isNamed({ cmd, pol }: Delegation): boolean {
  return cmd === NET_COMMAND && readNet(pol)?.items.some(namesLinkLocal) === true
}

function denied(message: string, reason: string, hint?: string): ErrandError {
  return new ErrandError('DENIED', message, { fields: { reason }, ...(hint === undefined ? {} : { hint }) })
}
