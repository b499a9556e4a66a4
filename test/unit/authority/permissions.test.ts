/** The classic names of permissions: each is one command, can be given, and is what it says in the policy of who knows only the command. */
import { expect, test } from 'vitest'
import { isDelegable } from '../../../src/authority/commands.ts'
import { commandOfPermission, PERMISSION_ALIASES, PERMISSIONS } from '../../../src/authority/permissions.ts'
import { evaluate } from '../../../src/authority/policy.ts'
import { parseRight, sayRight } from '../../../src/authority/rights.ts'
import { EXEC_ARGS } from './world.ts'

const CLASSIC = [
  ...['task:submit', 'task:read', 'task:view', 'task:cancel', 'agent:list', 'agent:invoke', 'agent:execute', 'agent:configure'],
  ...['skill:list', 'skill:execute', 'skill:install', 'config:read', 'config:write', 'project:read', 'project:write', 'project:delete'],
  ...['admin:users', 'admin:system', 'admin:all'],
]

test('every classic name is there, and no two of them are one command', () => {
  expect([...Object.keys(PERMISSIONS), ...Object.keys(PERMISSION_ALIASES)].sort()).toEqual([...CLASSIC].sort())
  const commands = Object.values(PERMISSIONS)
  expect(new Set(commands).size).toBe(commands.length)
})

test.each(CLASSIC)('%s is a right that can be given, said and typed again', (name) => {
  const right = parseRight(name)
  expect(right.cmd).toBe(commandOfPermission(name))
  expect(isDelegable(right.cmd)).toBe(true)
  expect(parseRight(name.replace(':', ' : '))).toEqual(right)
  expect(parseRight(sayRight(right.cmd, right.pol))).toEqual(right)
})

test('task:submit is any command as the node’s own user, and as nobody else', () => {
  const { pol } = parseRight('task:submit')
  const verdict = (args: object): string => evaluate(pol, { ...EXEC_ARGS, ...args }).verdict
  expect(verdict({ exe: 'anything', env: ['A'], tty: true })).toBe('true')
  expect(verdict({ user: 'root' })).toBe('false')
})

test.each([
  'task:delete',
  'admin:root',
  'constructor:prototype',
  '__proto__',
  'task:read:x',
  'task/read',
  'device:set-trust',
  'audit:purge',
  'mesh:rotate-root',
  'task',
  ':read',
  'task:',
])('%j is no permission', (name) => {
  expect(commandOfPermission(name)).toBeUndefined()
  expect(() => parseRight(name)).toThrowError(expect.objectContaining({ code: 'BAD_RIGHT' }))
})
