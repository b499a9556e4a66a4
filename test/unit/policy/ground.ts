/** A device that holds just these programs and directories. */
import type { Ground, Program } from '../../../src/policy/commands.ts'
import type { ExecRequest, Layer, Request } from '../../../src/policy/judge.ts'
import { readPolicy } from '../../../src/policy/read.ts'
import type { PolicyKind } from '../../../src/policy/schema.ts'

/** Name or path → the paths it leads over, the last of which is real. */
const LINKS: Readonly<Record<string, readonly string[]>> = {
  rm: ['/usr/bin/rm'],
  '/bin/rm': ['/bin/rm', '/usr/bin/rm'],
  '/usr/bin/rm': ['/usr/bin/rm'],
  '/bin/RM': ['/bin/RM', '/usr/bin/rm'],
  '/tmp/link': ['/tmp/link', '/usr/bin/rm'],
  git: ['/usr/bin/git'],
  '/usr/bin/git': ['/usr/bin/git'],
  '/tmp/git': ['/tmp/git'],
  busybox: ['/bin/busybox'],
  '/bin/busybox': ['/bin/busybox'],
  wget: ['/bin/wget', '/bin/busybox'],
  nc: ['/bin/nc', '/bin/busybox'],
}
/** Hard links: other names of one file. */
const IDS: Readonly<Record<string, string>> = { '/tmp/hard': '/usr/bin/rm' }
const DIRECTORIES: Readonly<Record<string, string>> = {
  '': '/home/node',
  '/srv/app': '/srv/app',
  '/srv/link': '/etc',
  '/srv/app/src': '/srv/app/src',
  '/srv/app2': '/srv/app2',
  '/alias': '/srv/app',
}

export const ground: Ground = {
  user: 'node',
  program(exe): Program {
    if (Object.hasOwn(IDS, exe)) return { paths: [exe], file: exe, id: IDS[exe] ?? '' }
    const way = LINKS[exe]
    const file = way?.at(-1)
    return way === undefined || file === undefined ? { paths: [exe], file: null, id: null } : { paths: [exe, ...way], file, id: file }
  },
  directory: (path) => DIRECTORIES[path] ?? null,
}

export function layerOf(text: string, kind: PolicyKind = 'device', root: string | null = null): Layer {
  const read = readPolicy(text, kind)
  if (!read.ok) throw new Error(read.faults.map(({ message }) => message).join('; '))
  return { name: kind === 'workspace' ? '.errand/security.yaml' : 'policy.yaml', policy: read.policy, hash: read.hash, lineOf: read.lineOf, root }
}

export function command(words: readonly string[], more: Partial<Omit<ExecRequest, 'exe' | 'argv' | 'program'>> & { at?: string } = {}): Request {
  const [exe = '', ...argv] = words
  const { at = '', ...rest } = more
  const exec: ExecRequest = { exe, argv, program: ground.program(exe), cwd: ground.directory(at), user: '', timeoutMs: 0, tty: false, stdin: false, ...rest }
  return { ...somebody, exec }
}

export const somebody: Request = { isSelf: false, trust: undefined, roles: [], may: () => false }
