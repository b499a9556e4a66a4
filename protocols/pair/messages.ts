/** `/errand/pair/1`: four typed words bring a device its invite. See README.md beside this file. */
import * as v from 'valibot'
import { DeviceName } from '../member/messages.ts'
import { Bytes, Count, DidText, ExactBytes, Text, WireFault } from '../wire.ts'

export const PAIR = {
  /** Chosen by multistream-select on a fresh connection, in the place of a security protocol. */
  id: '/errand/pair/1',
  /** Exchanges at once, over all open codes. */
  maxPending: 4,
  /** Open codes at once; each is a number that is announced. */
  maxOpen: 8,
  /** One exchange from its first byte to its last: three messages and 30 ms of arithmetic. */
  deadlineMs: 8_000,
  /** Of a message: the largest carries the sealed invite code. */
  maxBytes: 20_480,
  /** Of what the joiner says: it has nothing long to say. */
  maxAskBytes: 1_024,
  maxPlate: 999,
  words: 4,
  /** Inviters that a joiner tries one typed code at: each try is one guess for whoever answers. */
  maxTries: 3,
} as const

/** What a PAKE code stretches the words with: nobody but the inviter ever holds what could be searched offline, and only while the code lives. */
export const STRETCH = { iterations: 1, memory: 8_192, parallelism: 1 } as const

/** Names the two sides inside OPAQUE. Their devices are named in what is sealed. */
export const PAKE_NAMES = { client: 'errand pair joiner', server: 'errand pair inviter' } as const

export const Plate = v.pipe(Count, v.minValue(1), v.maxValue(PAIR.maxPlate))

/** joiner → inviter: which code, and OPAQUE's KE1. */
export const Start = v.object({ t: v.literal('start'), v: v.literal(1), plate: Plate, ke1: ExactBytes(96) })
export type Start = v.InferOutput<typeof Start>

/** inviter → joiner: KE2. The code is spent before this leaves. */
export const Answer = v.object({ t: v.literal('answer'), ke2: ExactBytes(320) })
export type Answer = v.InferOutput<typeof Answer>

/** joiner → inviter: KE3, and who it is, sealed with the key that only somebody with the right words has. */
export const Finish = v.object({ t: v.literal('finish'), ke3: ExactBytes(64), sealed: Bytes(512) })
export type Finish = v.InferOutput<typeof Finish>

/** inviter → joiner: the invite code, sealed. */
export const Given = v.object({ t: v.literal('given'), sealed: Bytes(17_408) })
export type Given = v.InferOutput<typeof Given>

/** Inside `finish`. */
export const Joiner = v.object({ device: DidText, name: DeviceName })
export type Joiner = v.InferOutput<typeof Joiner>

/** Inside `given`. */
export const Invitation = v.object({ code: Text(16_384) })

export const PairRefused = v.object({ t: v.literal('refused'), fault: WireFault })
export const StartAnswer = v.variant('t', [Answer, PairRefused])
export const FinishAnswer = v.variant('t', [Given, PairRefused])
