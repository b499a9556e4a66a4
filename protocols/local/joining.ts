/** What the local API answers about invites, short codes and joining. Types only, like answers.ts. */

/** One right in an offer: who may do what where, in words. */
export interface RightView {
  can: string
  words: string
  device: string
  expiresAt: string | null
}

export interface InviteView {
  /** What to ask for its progress by. */
  id: string
  code: string
  /** A number and four words for a person to type; null unless it was asked for. */
  shortCode: string | null
  expiresAt: string
  membership: 'member' | 'guest'
  asks: RightView[]
  gives: RightView[]
  /** Said when the code is of limited use, for example because nothing listens beyond this machine. */
  notes: string[]
}

/** What has become of an invite. */
export interface InviteProgressView {
  id: string
  /** Grows with every change; to wait for the next one. */
  seq: number
  /** `paired`: the short code was typed on `device`. `asking`: it waits for a yes. `void`: the short code was tried without its words. */
  state: 'open' | 'paired' | 'asking' | 'allowed' | 'joined' | 'void' | 'denied' | 'expired'
  device: { did: string; name: string; words: string } | null
  /** What the joining device's screen shows as well. */
  check: string | null
  why: string | null
  expiresAt: string
}

/** What a short code led to. Joining goes on with `code` and `via`. */
export interface PairView {
  code: string
  via: string[]
  /** What the inviting device's screen shows as well. */
  check: string
  offer: OfferView
}

/** The three parts of joining, shown apart before anybody agrees. */
export interface OfferView {
  mesh: { id: string; name: string }
  inviter: { name: string; did: string; words: string }
  membership: 'member' | 'guest'
  name: string | null
  give: RightView[]
  get: RightView[]
  /** What the inviting device's screen shows where somebody there has to say yes to this device. */
  check: string
  expiresAt: string
}

export interface JoinView {
  mesh: { id: string; name: string }
  did: string
  name: string
  membership: 'member' | 'guest'
  gave: RightView[]
  got: RightView[]
}
