/** The mesh that most end-to-end tests begin with: alice founds it, bob and carol join. Whoever asks for it ends its world. */
import { type Config, type Node, type World, world } from './world.ts'

/** How a device joins: words of the invite, settings of its home. */
type Joining = Parameters<World['joiner']>[2]

export interface Couple {
  readonly w: World
  readonly alice: Node
  readonly bob: Node
}

export interface Trio extends Couple {
  readonly carol: Node
}

export async function couple({ alice: config, bob: joining }: { readonly alice?: Config; readonly bob?: Joining }): Promise<Couple> {
  const w = world()
  return await orNothing(w, async () => {
    const alice = await w.founder('alice', config)
    return { w, alice, bob: await w.joiner(alice, 'bob', joining) }
  })
}

/** @param met who has to have met whom. */
export async function trio(o: {
  readonly alice?: Config
  readonly bob?: Joining
  readonly carol?: Joining
  readonly met?: Partial<Record<keyof Omit<Trio, 'w'>, readonly string[]>>
}): Promise<Trio> {
  const two = await couple(o)
  return await orNothing(two.w, async () => {
    const three = { ...two, carol: await two.w.joiner(two.alice, 'carol', o.carol) }
    for (const name of ['alice', 'bob', 'carol'] as const) {
      const others = o.met?.[name] ?? []
      if (others.length > 0) await two.w.connected(three[name].home, ...others)
    }
    return three
  })
}

/** A setup that fails leaves no processes. */
async function orNothing<T>(w: World, make: () => Promise<T>): Promise<T> {
  try {
    return await make()
  } catch (thrown) {
    await w[Symbol.asyncDispose]()
    throw thrown
  }
}
