/** Requests in the words of the local API. Decides nothing; whatever comes from another device is put into fields, never into sentences. */
import type { Intent, WaitingCommand } from '../../protocols/approval/messages.ts'
import type { ApprovalView } from '../../protocols/local/approvals.ts'
import { shapeOf } from '../../protocols/wire.ts'
import { digestOf, rightMeta } from '../authority/approval.ts'
import { ExecRunArgs } from '../authority/commands.ts'
import { parseRight, sayRight } from '../authority/rights.ts'
import type { AskedRight } from './rights-asked.ts'
import { idOf } from './rights-asked.ts'
import type { WantedRight } from './rights-wanted.ts'

type Name = (did: string) => string

export function commandView({ intent, why, need, approvedBy, createdAt, expiresAt }: WaitingCommand, o: { name: Name; mayDecide: boolean }): ApprovalView {
  const { exe, argv, cwd, env, user, timeoutMs, stdin, tty, task } = argsOf(intent)
  return {
    ...{ id: task, kind: 'command', device: o.name(intent.device), requester: o.name(intent.requester), requesterDid: intent.requester },
    ...{ command: { argv: [exe, ...argv], cwd, env, user, timeoutMs, stdin, tty }, right: null, reason: why, state: 'waiting' },
    ...{ approvedBy: approvedBy.map(o.name), need, mayDecide: o.mayDecide, intent: Buffer.from(digestOf(intent)).toString('hex'), answer: null },
    ...{ createdAt: iso(createdAt), expiresAt: iso(expiresAt) },
  }
}

/** @throws BAD_SHAPE for an intent that is no command. */
export function argsOf(intent: Intent): ExecRunArgs {
  return shapeOf(ExecRunArgs, intent.args)
}

export function askedView({ asked, from, heardAt, state, reason }: AskedRight, name: Name): ApprovalView {
  return {
    ...{ id: idOf(asked.id), kind: 'right', device: name(asked.device), requester: name(from), requesterDid: from, command: null },
    ...{ right: { can: [...asked.can], words: asked.can.map(wordsOf), forMs: asked.forMs }, reason: asked.reason, state },
    ...{ approvedBy: [], need: 1, mayDecide: true, intent: null, answer: state === 'waiting' ? null : reason },
    ...{ createdAt: iso(heardAt), expiresAt: iso(heardAt + DAY_MS) },
  }
}

export function wantedView({ asked, state, by, reason }: WantedRight, o: { name: Name; self: string }): ApprovalView {
  return {
    ...{ id: idOf(asked.id), kind: 'right', device: o.name(asked.device), requester: o.name(o.self), requesterDid: o.self, command: null },
    ...{ right: { can: [...asked.can], words: asked.can.map(wordsOf), forMs: asked.forMs }, reason: asked.reason, state },
    ...{ approvedBy: by === null ? [] : [o.name(by)], need: 1, mayDecide: false, intent: null, answer: state === 'waiting' ? null : reason },
    ...{ createdAt: iso(asked.createdAt), expiresAt: iso(asked.createdAt + DAY_MS) },
  }
}

const DAY_MS = 86_400_000

function wordsOf(can: string): string {
  const { cmd, pol, ...beside } = parseRight(can)
  return sayRight(cmd, pol, rightMeta(beside))
}

function iso(ms: number): string {
  return new Date(Math.min(ms, 8.64e15)).toISOString()
}
