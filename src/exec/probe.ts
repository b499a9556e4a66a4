/**
 * Finds out what this device can hold a command to, each by running it: what a kernel or a package claims is not believed. A quarter of a second
 * beside everything else, once for each node.
 */
import { execFile } from 'node:child_process'
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { Limits } from '../../protocols/task/limits.ts'
import { enclosed, type Inside, shellOf } from './enclosure.ts'
import { FIXED_PATH } from './environment.ts'
import { probeGroups } from './groups.ts'
import { type Means, NO_MEANS, type Plan, type Tool } from './means.ts'
import { personNamed } from './people.ts'

/** A busy device takes its time. */
const PROBE_MS = 15_000
const INSTALL = 'on Debian and Ubuntu: apt install bubblewrap; then restart the node'
/** Says what is true inside: capabilities, whether more privileges can be had, what is hidden, who else is there, whether the system can be written to. */
const LOOK = `grep -hE '^(CapEff|NoNewPrivs)' /proc/self/status; echo "hidden $(cat "$1/secret" 2>/dev/null)"
echo "pids $(ls /proc | grep -cE '^[0-9]+$')"; (: >>/etc/.errand-probe) 2>/dev/null && echo writes; (: >>/proc/sys/kernel/core_pattern) 2>/dev/null && echo sets; true`

export interface Seen {
  readonly ok: boolean
  readonly why: string
}

/** @param tag names the groups of this node among those of others. */
export async function probeMeans(tag: string): Promise<Means> {
  if (process.platform !== 'linux') {
    const lack = { why: `errand holds commands on Linux only, and this is ${process.platform}`, how: 'run it on a device with Linux' }
    return { ...NO_MEANS, lacking: { group: lack, bwrap: lack, setpriv: lack } }
  }
  const secret = mkdtempSync(join(tmpdir(), 'errand-probe-'))
  try {
    writeFileSync(join(secret, 'secret'), 'seen')
    return await probe(tag, secret)
  } finally {
    rmSync(secret, { recursive: true, force: true })
  }
}

async function probe(tag: string, secret: string): Promise<Means> {
  const { uid } = userInfo()
  const bash = found('bash')
  const base: Means = {
    ...NO_MEANS,
    ...{ shell: bash ?? found('sh') ?? '/bin/sh', namesPrograms: bash !== null, isRoot: uid === 0 },
    ...{ setpriv: found('setpriv'), bwrap: found('bwrap'), unshare: found('unshare'), mount: found('mount') },
    env: (await ran(found('env'), ['--default-signal=TERM', 'true'])).ok ? found('env') : null,
  }
  const nobody = uid === 0 ? personNamed('nobody') : undefined
  const own = (by: Tool, level: Plan['level'], limits: Limits = {}): Promise<Seen> => tried({ by, level, limits, words: '' }, base, { secret })
  const [files, processes, bwrapOfOthers, unshare, setpriv, group] = await Promise.all([
    own('bwrap', 'files', { network: false }),
    own('bwrap', 'processes'),
    nobody === undefined ? NO_PERSON : tried({ by: 'bwrap', level: 'files', limits: { network: false }, words: '' }, base, { secret, user: nobody }),
    uid === 0 && nobody === undefined
      ? NO_PERSON
      : tried({ by: 'unshare', level: 'processes', limits: { network: false }, words: '' }, base, { secret, user: nobody }),
    nobody === undefined ? NO_PERSON : tried({ by: 'setpriv', level: 'privileges', limits: {}, words: '' }, base, { secret, user: nobody }),
    probeGroups(tag, shellOf(base)),
  ])
  const bwrap = [files, processes].find(({ ok }) => !ok)
  return {
    ...base,
    ...{ bwrap: bwrap === undefined ? base.bwrap : null, bwrapOfOthers: bwrapOfOthers.ok, unshare: unshare.ok ? base.unshare : null },
    ...{ switchesUser: setpriv.ok, group: group.place },
    lacking: {
      ...(bwrap === undefined
        ? {}
        : { bwrap: { why: bwrap.why, how: base.bwrap === null ? INSTALL : 'let users make namespaces on that device (kernel.unprivileged_userns_clone=1)' } }),
      ...(setpriv.ok ? {} : { setpriv: { why: setpriv.why, how: 'leave --user out; or run the node as root, with util-linux installed' } }),
      ...(group.lack === undefined ? {} : { group: group.lack }),
    },
  }
}

const NO_PERSON: Seen = { ok: false, why: 'the node is not root’s' }

/** Runs the very words that would stand in front of a command, and looks around inside. */
async function tried(plan: Plan, means: Means, { secret, user }: { secret: string; user?: Inside['user'] }): Promise<Seen> {
  const tool = plan.by === null ? null : means[plan.by]
  if (tool === null) return { ok: false, why: `${plan.by} is not installed` }
  if (plan.by === 'unshare' && (means.setpriv === null || means.mount === null)) return { ok: false, why: 'setpriv and mount are not installed' }
  const [shell = '', ...flags] = shellOf(means)
  const inside: Inside = {
    ...{ file: shell, name: shell, argv: [...flags, '-c', LOOK, 'errand', secret], cwd: '/', isNamed: false },
    ...{ home: '/nonexistent', user, hidden: [secret], path: [] },
  }
  const [file = '', ...argv] = enclosed(inside, plan, { means, groups: [], refusal: '/dev/null' })
  const seen = await ran(file, argv)
  return seen.ok ? verdict(seen.said, plan, user !== undefined) : { ok: false, why: `${plan.by}: ${seen.said || 'it fails'}` }
}

function verdict(said: string, { by, level }: Plan, isOther: boolean): Seen {
  const has = (text: RegExp): boolean => text.test(said)
  const faults = [
    has(/^CapEff:\t0+$/m) ? undefined : 'it keeps capabilities',
    has(/^NoNewPrivs:\t1$/m) ? undefined : 'it can get new privileges',
    has(/^sets$/m) ? 'it can change the settings of the kernel' : undefined,
    by !== 'setpriv' && !isOther && has(/^hidden seen/m) ? 'it sees what is hidden' : undefined,
    by !== 'setpriv' && Number(/^pids (\d+)$/m.exec(said)?.[1] ?? 999) > 12 ? 'it sees other processes' : undefined,
    level === 'files' && has(/^writes$/m) ? 'it can write to the system' : undefined,
  ].filter((fault) => fault !== undefined)
  return { ok: faults.length === 0, why: faults.join(', ') }
}

/** In the directories that commands are looked for in, and nowhere else. */
function found(name: string): string | null {
  for (const directory of FIXED_PATH) {
    try {
      accessSync(join(directory, name), constants.X_OK)
      return join(directory, name)
    } catch {
      // Not there.
    }
  }
  return null
}

interface Ran {
  readonly ok: boolean
  readonly said: string
}

export function ran(file: string | null, argv: readonly string[]): Promise<Ran> {
  if (file === null) return Promise.resolve({ ok: false, said: 'not installed' })
  return new Promise((resolve) => {
    execFile(file, argv, { timeout: PROBE_MS, killSignal: 'SIGKILL', env: { PATH: FIXED_PATH.join(':') }, cwd: '/' }, (error, stdout, stderr) => {
      resolve({ ok: error === null, said: (error === null ? stdout : stderr).trim().slice(0, 400) })
    })
  })
}
