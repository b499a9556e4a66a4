/**
 * bubblewrap from Debian, for the tests of the sandbox: by apt-get, once. Where that is not possible the tests check the refusal in its place, and
 * `said` is why.
 */
import { spawnSync } from 'node:child_process'
import { asProgram, isMain, say } from '../build/program.mjs'

const APT = ['install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=60', 'bubblewrap']

/** @returns {{ bwrap: boolean, said: string }} whether bwrap can shut something in here. */
export function sandboxTools() {
  if (works()) return { bwrap: true, said: '' }
  say('installing bubblewrap by apt-get (once)')
  if (apt(APT) !== 0) {
    apt(['update'])
    apt(APT)
  }
  return works() ? { bwrap: true, said: '' } : { bwrap: false, said: 'bwrap does not work here: as root, apt-get install bubblewrap' }
}

function works() {
  return spawnSync('bwrap', ['--unshare-pid', '--unshare-net', '--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc', 'true']).status === 0
}

function apt(args) {
  return spawnSync('apt-get', args, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, stdio: 'ignore', timeout: 180_000 }).status
}

if (isMain(import.meta.url)) await asProgram(() => say(sandboxTools().bwrap ? 'bwrap works' : sandboxTools().said))
