/**
 * The environment of a command: built from nothing by an allow-list, never inherited. Pure.
 * What can turn data into code (loaders, interpreter options, pagers, editors) is refused even when somebody lists it.
 */
import { ErrandError } from '../base/errors.ts'

/** Who the node runs as, and the parts of its own environment that a command may see. */
export interface Household {
  readonly user: string
  readonly home: string
  readonly shell: string
  readonly path: readonly string[]
  /** The node's own environment; only LANG, LC_* and TZ are taken from it. */
  readonly inherited: Readonly<Record<string, string | undefined>>
}

/** Searched for bare names, and the PATH of every command; directories of the node's configuration follow, so they add names and replace none. */
export const FIXED_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'] as const

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,255}$/
const LOCALE = /^(LANG|TZ|LC_[A-Z]+)$/
/** Set by the node alone: another HOME or PATH would swap the configuration or the programs behind an allowed name. */
const OURS = new Set(['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL'])

/** One alternative a line, matched from the start; a trailing $ means this very name. */
const DENIED = new RegExp(
  `^(?:${[
    'LD_|GCONV_PATH$|GLIBC_TUNABLES$|MALLOC_|DYLD_',
    'NODE_OPTIONS$|NODE_PATH$|NODE_EXTRA_CA_CERTS$|NODE_REPL_EXTERNAL_MODULE$|npm_config_',
    'PYTHON|PERL5|PERLLIB$|RUBYOPT$|RUBYLIB$|JAVA_TOOL_OPTIONS$|JDK_JAVA_OPTIONS$|_JAVA_OPTIONS$',
    'BASH_ENV$|ENV$|BASHOPTS$|SHELLOPTS$|PS4$|IFS$|CDPATH$|BASH_FUNC_|PROMPT_COMMAND$',
    'GIT_SSH|GIT_CONFIG|GIT_EXTERNAL_DIFF$|GIT_EXEC_PATH$|GIT_EDITOR$|GIT_SEQUENCE_EDITOR$|GIT_PAGER$|GIT_ASKPASS$|GIT_PROXY_COMMAND$|GIT_TEMPLATE_DIR$',
    'SSH_ASKPASS|EDITOR$|VISUAL$|PAGER$|MANPAGER$|LESSOPEN$|LESSCLOSE$|TERMINFO|XDG_CONFIG_',
    'SUDO_|SYSTEMD_|NOTIFY_SOCKET$|LISTEN_|DBUS_|ERRAND_',
  ].join('|')})`,
  'i', // npm reads npm_config_* in any case; nothing harmless is lost by treating the others alike
)

/**
 * @param asked the variables the caller declared.
 * @throws ErrandError BAD_ENV naming the variable; its value is never repeated.
 */
export function buildEnvironment(asked: Readonly<Record<string, string>>, house: Household): Record<string, string> {
  const env: Record<string, string> = {
    PATH: house.path.join(':'),
    HOME: house.home,
    USER: house.user,
    LOGNAME: house.user,
    SHELL: house.shell,
  }
  for (const [name, value] of Object.entries(house.inherited)) {
    if (value !== undefined && LOCALE.test(name)) env[name] = value
  }
  for (const [name, value] of Object.entries(asked)) {
    const fault = faultOf(name, value)
    if (fault !== undefined) throw badEnv(name, fault)
    env[name] = value
  }
  return env
}

function faultOf(name: string, value: string): string | undefined {
  if (!NAME.test(name)) return 'is not a name of letters, digits and _'
  if (OURS.has(name)) return 'is set by the device itself'
  if (DENIED.test(name)) return 'can make programs load or run something else and is never passed on'
  if (value.includes('\0')) return 'holds a NUL byte'
  if (value.trimStart().startsWith('() {')) return 'looks like an exported shell function'
  return undefined
}

function badEnv(name: string, fault: string): ErrandError {
  return new ErrandError('BAD_ENV', `the variable ${JSON.stringify(name.slice(0, 64))} ${fault}`, {
    hint: 'leave it out, or set it inside a script on the device',
    fields: { name: name.slice(0, 64) },
  })
}
