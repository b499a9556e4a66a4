/** Users of this device, as /etc/passwd has them; those of a directory service are not known here. */
import { readFileSync } from 'node:fs'
import { ErrandError } from '../base/errors.ts'

export interface Person {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
  readonly shell: string
}

/** undefined where there is none of that name. */
export function personNamed(name: string, file = '/etc/passwd'): Person | undefined {
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [found, , uid, gid, , home, shell] = line.split(':')
    if (found !== name || !/^\d+$/.test(uid ?? '') || !/^\d+$/.test(gid ?? '')) continue
    return { name, uid: Number(uid), gid: Number(gid), home: home === undefined || home === '' ? '/' : home, shell: shell || '/bin/sh' }
  }
  return undefined
}

/** Who a command runs as: the node's own user, or another one where the node is root's. @throws ErrandError BAD_USER */
export function runsAs(asked: string, own: Person): Person {
  if (asked === '' || asked === own.name) return own
  const bad = (why: string, hint: string): ErrandError => new ErrandError('BAD_USER', why, { hint })
  const said = JSON.stringify(asked.slice(0, 64))
  if (own.uid !== 0)
    throw bad(`this node runs commands as ${own.name}, not as ${said}`, 'leave --user out; only a node of root can run something as another user')
  const person = personNamed(asked)
  if (person === undefined) throw bad(`there is no user ${said} on this device`, 'name one of its /etc/passwd, or leave --user out')
  return person
}
