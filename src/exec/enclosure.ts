/**
 * The words in front of a command that shut it in: one builder for each tool, all behind `enclosed`. Every program is an absolute path, every path
 * is an argument of its own; no text is ever read by a shell but the two fixed scripts here. What each level promises: docs/sandbox.md.
 */
import { existsSync, realpathSync } from 'node:fs'
import { ErrandError } from '../base/errors.ts'
import type { Means, Plan } from './means.ts'

export interface Inside {
  /** Real path of the program, and what it is to be called. */
  readonly file: string
  readonly name: string
  readonly argv: readonly string[]
  readonly cwd: string
  /** It was named for this command, and may be written to. */
  readonly isNamed: boolean
  /** Whose home is hidden at `files`. */
  readonly home: string
  /** Another user than the node's. */
  readonly user?: { readonly uid: number; readonly gid: number; readonly name: string } | undefined
  /** Real paths of errand's own: keys, sockets, jobs. */
  readonly hidden: readonly string[]
  /** Directories of programs that the configuration names. */
  readonly path: readonly string[]
}

/** Enters the groups whose `cgroup.procs` stand before `--`, then becomes what stands behind. What fails is written down for the host, and nothing runs. */
const ENTER = `f=$1; shift
while [ "$1" != -- ]; do echo 0 2>/dev/null >"$1" || { echo "$1" >"$f"; exit 125; }; shift; done
shift; trap '' HUP INT QUIT TERM TSTP; exec "$@"`
const ENTER_ONLY = ENTER.replace(/trap .*?; /, '')

/** Masks each directory before `--` in a mount namespace of its own; another unshare stays behind as process 1, so that signals mean what they mean elsewhere. */
const MASK = `mount=$1; shift
while [ "$1" != -- ]; do "$mount" -n -t tmpfs -o ro,size=4k,mode=755 errand "$1" || exit 125; shift; done
shift; exec "$@"`

const UNDONE = '--default-signal=HUP,INT,QUIT,TERM,TSTP'
/** Of a file system in memory that a command gets for itself; a bound on its memory counts it too. */
const SCRATCH_BYTES = String(256 << 20)
/** What never becomes a directory to write to: everything else would be in it. */
const TOO_WIDE = new Set(['/', '/proc', '/sys', '/dev', '/run', '/tmp', '/usr', '/etc', '/var', '/home', '/root'])
const HIDEABLE = ['/tmp', '/var/tmp', '/run', '/home', '/root', '/mnt', '/media']
/** What is the whole device's in /proc: its settings are files of uid 0, with or without capabilities. */
const SETTINGS = ['/proc/sys', '/proc/sysrq-trigger', '/proc/irq', '/proc/bus', '/proc/fs', '/proc/acpi', '/proc/scsi']

/**
 * @param groups `cgroup.procs` files to enter first.
 * @param refusal a file that says which one it could not enter.
 * @throws ErrandError BAD_CWD for a directory that the level does not allow.
 */
export function enclosed(inside: Inside, plan: Plan, o: { readonly means: Means; readonly groups: readonly string[]; readonly refusal: string }): string[] {
  const { means, groups, refusal } = o
  const shut = plan.by === null ? [] : ENCLOSURES[plan.by](inside, plan, means)
  const undoes = plan.by !== 'setpriv' && plan.by !== null && means.env !== null ? [means.env, UNDONE] : []
  const words = [...shut, ...undoes, ...programOf(inside, means)]
  const [first = means.shell, ...rest] = words
  if (groups.length === 0 && undoes.length === 0) return [first, ...rest]
  return [...shellOf(means), '-c', undoes.length === 0 ? ENTER_ONLY : ENTER, 'errand', refusal, ...groups, '--', first, ...rest]
}

/** Programs with many names (busybox, a Python venv) look at what they are called; tools in between pass on a path only. */
function programOf({ file, name, argv }: Inside, means: Means): readonly string[] {
  const isItself = name === file || (!name.includes('/') && file.endsWith(`/${name}`))
  return isItself || !means.namesPrograms ? [file, ...argv] : [...shellOf(means), '-c', 'exec -a "$0" "$@"', name, file, ...argv]
}

/** A bash whose input is a socket takes itself for a remote one, and reads the files that a user's shell begins with. */
export function shellOf({ shell, namesPrograms }: Pick<Means, 'shell' | 'namesPrograms'>): readonly string[] {
  return namesPrograms ? [shell, '--norc', '--noprofile'] : [shell]
}

type Enclosure = (inside: Inside, plan: Plan, means: Means) => string[]

const ENCLOSURES: Readonly<Record<NonNullable<Plan['by']>, Enclosure>> = {
  setpriv: (inside, plan, means) => asOther(inside, plan, means),
  bwrap: (inside, plan, means) => {
    refuseInside(inside, plan)
    const first = inside.user === undefined ? [] : asOther(inside, plan, means)
    const mounts = plan.level === 'files' ? filesMounts(inside) : processesMounts(inside)
    const alone = ['--unshare-pid', '--unshare-ipc', '--unshare-cgroup-try', ...(plan.limits.network === false ? ['--unshare-net'] : [])]
    return [...first, means.bwrap ?? '', '--die-with-parent', ...alone, '--cap-drop', 'ALL', ...mounts, '--chdir', inside.cwd, '--']
  },
  unshare: (inside, plan, means) => {
    refuseInside(inside, plan)
    const [unshare, setpriv] = [means.unshare ?? '', means.setpriv ?? '']
    const user = inside.user === undefined ? ['--user', '--map-current-user', '--keep-caps'] : []
    const net = plan.limits.network === false ? ['--net'] : []
    const spaces = ['--mount', '--pid', '--ipc', ...net, '--fork', '--kill-child', '--mount-proc']
    const masked = [...maskable(inside), '/sys/fs/cgroup'].filter((path) => existsSync(path))
    const less = ['--no-new-privs', '--inh-caps=-all', '--ambient-caps=-all', '--bounding-set=-all']
    const other = inside.user === undefined ? [] : identityOf(inside.user)
    const script = [...shellOf(means), '-c', MASK, 'errand', means.mount ?? '', ...masked, '--']
    return [unshare, ...user, ...spaces, '--', ...script, unshare, '--fork', '--', setpriv, ...other, ...less, '--']
  },
}

function asOther({ user }: Inside, { level }: Plan, { setpriv }: Means): string[] {
  if (user === undefined) return []
  const less = level === 'none' ? [] : ['--no-new-privs', '--inh-caps=-all', '--bounding-set=-all']
  return [setpriv ?? '', ...identityOf(user), ...less, '--']
}

function identityOf({ uid, gid, name }: NonNullable<Inside['user']>): string[] {
  // --init-groups reads the groups of the user's name; a user without an entry has none to read.
  return [`--reuid=${name}`, `--regid=${gid}`, ...(uid === 0 ? ['--keep-groups'] : ['--init-groups'])]
}

/** Another user cannot get there: it is the node's alone (0700), and a mount on it would fail. */
function maskable({ hidden, user }: Inside): readonly string[] {
  return user === undefined ? hidden.filter((path) => existsSync(path)) : []
}

function processesMounts(inside: Inside): string[] {
  return ['--bind', '/', '/', '--ro-bind', '/sys', '/sys', ...devices(), ...masks(maskable(inside))]
}

/** Everything is read only, and what is somebody's is not there: homes, /run with its sockets, /tmp. Then what this command may see comes back. */
function filesMounts(inside: Inside): string[] {
  const { cwd, isNamed, home, file, path } = inside
  const own = [...new Set([...HIDEABLE, home])].filter((one) => isThere(one) && !TOO_WIDE_TO_HIDE.has(one))
  const isHidden = (one: string): boolean => own.some((root) => isBelow(one, root))
  const programs = [file, ...path.filter((one) => existsSync(one)).map((one) => realpathSync(one)), ...resolver()].filter(isHidden)
  return [
    ...['--ro-bind', '/', '/', ...devices()],
    ...own.flatMap((one) => ['--size', SCRATCH_BYTES, '--tmpfs', one]),
    ...programs.flatMap((one) => ['--ro-bind', one, one]),
    ...(isNamed ? ['--bind', cwd, cwd] : isHidden(cwd) && !own.includes(cwd) ? ['--dir', cwd] : []),
    ...masks(maskable(inside).filter((one) => !isHidden(one) || (isNamed && isBelow(one, cwd)))),
  ]
}

function devices(): string[] {
  const settings = SETTINGS.filter((path) => existsSync(path)).flatMap((path) => ['--ro-bind', path, path])
  return ['--dev', '/dev', '--proc', '/proc', ...settings]
}

const TOO_WIDE_TO_HIDE = new Set(['/', '/proc', '/sys', '/dev', '/usr', '/etc', '/bin', '/lib', '/var'])

/** Names are looked up by a file that may be kept in /run. */
function resolver(): string[] {
  try {
    return [realpathSync('/etc/resolv.conf')]
  } catch {
    return []
  }
}

function masks(paths: readonly string[]): string[] {
  return paths.flatMap((path) => ['--tmpfs', path, '--remount-ro', path])
}

/** @throws BAD_CWD */
function refuseInside({ cwd, hidden, isNamed }: Inside, { level }: Plan): void {
  const bad = (why: string): ErrandError =>
    new ErrandError('BAD_CWD', `cannot run in ${JSON.stringify(cwd.slice(0, 256))}: ${why}`, { hint: 'name a directory of your own work with --cwd' })
  if (hidden.some((root) => isBelow(cwd, root))) throw bad('a sandbox hides it')
  if (level === 'files' && isNamed && TOO_WIDE.has(cwd)) throw bad('a sandbox of "files" would be as wide as the device')
}

function isThere(path: string): boolean {
  try {
    return realpathSync(path) === path
  } catch {
    return false
  }
}

export function isBelow(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`)
}
