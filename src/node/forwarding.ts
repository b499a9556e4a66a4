/** Both sides of forwards: what other devices may reach through this one, and what this one reaches through others. Builds, starts nothing. */
import { FORWARD } from '../../protocols/forward/frames.ts'
import { systemClock as clock, systemRandom as random } from '../base/clock.ts'
import { FrameLink } from '../base/frames.ts'
import { memoryLinks } from '../base/memory-link.ts'
import { Network } from '../exec/network.ts'
import type { Did } from '../identity/identity.ts'
import type { MeshNode } from '../mesh/mesh.ts'
import type { FarSide } from '../runtime/far.ts'
import type { ForwardAdmissionOn } from '../runtime/forward-admission.ts'
import { ForwardDoor } from '../runtime/forward-door.ts'
import type { ForwardCaller } from '../runtime/forward-ports.ts'
import { type FarForward, Forwarder } from '../runtime/forwarder.ts'
import type { LiveCommands } from '../runtime/live.ts'
import type { NodeParts } from './parts.ts'
import type { Policies } from './policy.ts'
import type { Cellar, Rooms } from './rooms.ts'

export interface Forwarding {
  readonly door: ForwardDoor
  readonly room: Forwarder
}

export interface ForwardingOn extends Pick<ForwardAdmissionOn, 'checks' | 'named'> {
  readonly policies: Policies
  readonly mesh: () => MeshNode
  readonly side: () => FarSide
  readonly live: LiveCommands
}

export function openForwarding(p: NodeParts, { audit }: Cellar, { directory, revocations }: Rooms, on: ForwardingOn): Forwarding {
  const self = p.device.did
  const door: ForwardDoor = new ForwardDoor({
    ...{ self, audit, revocations, clock, random, network: new Network() },
    ...{ checks: on.checks, rates: on.policies.rates, uses: on.policies.uses, named: on.named, rests: () => on.live.rests },
    ownPorts: () => ownPorts(on.mesh().addresses(), p.api()),
    incoming: (link, o) => room().incoming(link, o),
  })
  on.policies.onChange(() => void door.judgeAnew())
  let made: Forwarder | undefined
  const room = (): Forwarder => {
    made ??= new Forwarder({
      self,
      directory,
      clock,
      random,
      side: on.side(),
      route: { open: (device, o) => (device === self ? here(door, self, o) : there(device, o)) },
    })
    return made
  }
  const there = async (device: Did, o: { signal: AbortSignal }): Promise<FarForward> => await on.mesh().openForward(device, o)
  return {
    door,
    get room() {
      return room()
    },
  }
}

/** A device asks itself by the same frames, and passes the same door. */
async function here(door: ForwardDoor, self: Did, { signal }: { signal: AbortSignal }): Promise<FarForward> {
  const challenge = random(16)
  const [mine, theirs] = linkPair()
  const caller: ForwardCaller = {
    ...{ did: self, challenge, address: 'this device', synced: Promise.resolve() },
    back: async () => {
      const [kept, given] = linkPair()
      void door.serve(given, caller, { signal })
      return kept
    },
  }
  void door.serve(theirs, caller, { signal })
  return { link: mine, challenge, synced: Promise.resolve() }
}

function linkPair(): [FrameLink, FrameLink] {
  const [one, other] = memoryLinks()
  return [new FrameLink(one, FORWARD.maxFrameBytes), new FrameLink(other, FORWARD.maxFrameBytes)]
}

/** Where this node listens itself: the mesh's ports and the API's. */
function ownPorts(addresses: readonly string[], api: ReturnType<NodeParts['api']>): number[] {
  const listening = addresses.flatMap((address) => /\/tcp\/(\d+)/.exec(address)?.[1] ?? [])
  const served = api === null ? [] : [new URL(api.url).port]
  return [...listening, ...served].map(Number)
}
