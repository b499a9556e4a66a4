/** Asks a policy what its own examples say: `errand policy test`. */
import { tokensOf } from '../authority/words.ts'
import type { Ground } from './commands.ts'
import { judgePolicy, judgeTrust, type Layer, type Request, type Ruling } from './judge.ts'
import type { Example } from './schema.ts'

export interface Tried {
  readonly line: number
  /** The request in words. */
  readonly asked: string
  readonly expected: Example['expect']
  readonly got: Example['expect']
  /** What is said to whoever is refused; '' for a yes. */
  readonly why: string
  readonly ok: boolean
}

/** @param ground the device that the programs and directories of the examples are looked up on. */
export function tryExamples(layer: Layer, ground: Ground): readonly Tried[] {
  return (layer.policy.examples ?? []).map((example, at) => tried(example, { layer, ground, line: layer.lineOf(['examples', String(at)]) }))
}

function tried(example: Example, { layer, ground, line }: { layer: Layer; ground: Ground; line: number }): Tried {
  const { expect: expected, because } = example
  const ruling = judgeExample(example, layer, ground)
  const why = ruling.t === 'allow' ? '' : ruling.detail
  const isSaid = because === undefined || why.includes(because)
  return { line, asked: sayAsked(example), expected, got: ruling.t, why, ok: ruling.t === expected && isSaid }
}

function judgeExample(example: Example, layer: Layer, ground: Ground): Ruling {
  const request = requestOf(example, ground)
  const trust = judgeTrust([layer], request)
  return trust.t === 'allow' ? judgePolicy([layer], request, ground) : trust
}

function requestOf(example: Example, ground: Ground): Request {
  const { who, trust, role = [], permissions = [], agent, skill, skills } = example
  const words = wordsOf(example.command)
  const [exe, ...argv] = words ?? []
  const { cwd = '', user = '', timeout = 0, tty, interactive } = example
  return {
    ...{ isSelf: who === 'self', trust, roles: typeof role === 'string' ? [role] : role, may: (permission: string) => permissions.includes(permission) },
    ...(agent === undefined ? {} : { agent }),
    ...(skill === undefined ? {} : { skill }),
    ...(skills === undefined ? {} : { skills }),
    ...(exe === undefined
      ? {}
      : { exec: { exe, argv, program: ground.program(exe), cwd: ground.directory(cwd) ?? cwd, user, timeoutMs: timeout, tty, stdin: interactive } }),
  }
}

/** As in an `exec:` right: words, with double quotes around what has spaces. */
function wordsOf(command: Example['command']): readonly string[] | undefined {
  if (typeof command !== 'string') return command
  return (tokensOf(command) ?? []).map((token) => (token.t === 'word' ? token.text : token.t))
}

function sayAsked({ who, trust, role, command, skill, agent, cwd, tty, interactive }: Example): string {
  const what = command ?? (skill === undefined ? `agent ${agent ?? ''}` : `skill ${skill}`)
  const more = [
    trust,
    typeof role === 'object' ? role.join('+') : role,
    cwd === undefined ? undefined : `in ${cwd}`,
    tty ? 'tty' : undefined,
    interactive ? 'stdin' : undefined,
  ].filter((word) => word !== undefined)
  return `${who}${more.length === 0 ? '' : ` (${more.join(', ')})`}: ${typeof what === 'string' ? what : what.join(' ')}`
}
