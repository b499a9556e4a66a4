import { expect, test } from 'vitest'
import { RATE_META, RUNS_UNTIL_META } from '../../../protocols/authority/messages.ts'
import { LAST_LINK, refuseChain } from '../../../src/authority/chain.ts'
import { Revocations, revoke } from '../../../src/authority/revocations.ts'
import { parseRight } from '../../../src/authority/rights.ts'
import { cidOf, type Delegation, type InvocationFields } from '../../../src/authority/token.ts'
import { chainToLaptop, codeOf, device, EXEC_ARGS, grant, HOUR, invoke, laptop, mallory, NOW, owner, person, verify } from './world.ts'

const judge = (chain: readonly Delegation[], fields: Partial<InvocationFields> = {}): string => codeOf(verify(invoke(laptop, chain, fields), chain))

test('no link may be missing, foreign, doubled or in another place', () => {
  const [root, leaf] = chainToLaptop()
  const invocation = invoke(laptop, [root, leaf])
  const withProofs = (proofs: readonly Delegation[]): string => codeOf(verify(invocation, proofs))
  expect(withProofs([leaf, root])).toBe('admitted') // the order is that of the invocation, not of the delivery
  expect(withProofs([root])).toBe('MISSING_PROOF')
  expect(withProofs([root, grant(owner, laptop)])).toBe('UNASKED_PROOF')
  expect(withProofs([root, leaf, grant(owner, laptop)])).toBe('UNASKED_PROOF')
  expect(codeOf(verify(invoke(laptop, [leaf, root]), [leaf, root]))).toBe('CHAIN_ROOT')
  expect(codeOf(verify(invoke(laptop, [root, leaf, leaf]), [root, leaf]))).toBe('CHAIN_CYCLE')
  expect(withProofs(Array(9).fill(root))).toBe('TOO_MANY_PROOFS')
})

test('a proof at hand need not be sent', () => {
  const chain = chainToLaptop()
  const known = (cid: string): Delegation | undefined => chain.find((link) => link.cid === cid)
  expect(codeOf(verify(invoke(laptop, chain), [], { known }))).toBe('admitted')
  expect(codeOf(verify(invoke(laptop, chain), []))).toBe('MISSING_PROOF')
})

test('a root forged by somebody else is no root', () => {
  expect(judge([grant(mallory, owner), grant(owner, laptop)])).toBe('CHAIN_ROOT')
  expect(judge([grant(mallory, laptop)])).toBe('CHAIN_ROOT')
  const [, leaf] = chainToLaptop()
  expect(judge([leaf])).toBe('CHAIN_ROOT')
})

/** The same link, and one bit of its signature is another. */
function bent(link: Delegation): Delegation {
  const bytes = Uint8Array.from(link.bytes, (byte, at) => (at === 20 ? byte ^ 1 : byte))
  return { ...link, bytes, cid: cidOf(bytes) }
}

test('every link is signed, wherever it stands', () => {
  const links = [grant(device, owner), grant(owner, mallory), grant(mallory, laptop)]
  expect(judge(links)).toBe('admitted')
  for (const at of links.keys()) expect(judge(links.map((link, place) => (place === at ? bent(link) : link)))).toBe('BAD_SIGNATURE')
})

test.each([
  ['bound that this device does not know', { 'errand/later': 5 }],
  ['rate that is none', { [RATE_META]: 'often' }],
  ['end of its work that is none', { [RUNS_UNTIL_META]: 'tomorrow' }],
])('a grant with a %s is refused, wherever it stands: a bound that is not read must not pass for none', (_name, meta) => {
  expect(judge(chainToLaptop({ meta }))).toBe('BAD_META')
  expect(judge(chainToLaptop({}, { meta }))).toBe('BAD_META')
})

test('a made-up chain is refused before a signature of it is checked', () => {
  expect(judge([bent(grant(mallory, owner)), bent(grant(owner, laptop))])).toBe('CHAIN_ROOT')
  expect(judge([grant(device, mallory), bent(grant(owner, laptop))])).toBe('CHAIN_GAP')
})

test('a link that was seen with a bent signature is not known afterwards', () => {
  const [root, leaf] = chainToLaptop()
  const twin = bent(leaf)
  expect(judge([twin])).toBe('CHAIN_ROOT')
  expect(judge([root, twin])).toBe('BAD_SIGNATURE')
  expect(judge([root, leaf])).toBe('admitted')
})

test('a chain that ends elsewhere or has a gap reaches nobody', () => {
  expect(judge([grant(device, owner), grant(owner, mallory)])).toBe('CHAIN_AUDIENCE')
  expect(judge([grant(device, mallory), grant(owner, laptop)])).toBe('CHAIN_GAP')
})

test('every link is about this device', () => {
  expect(judge([grant(device, owner), grant(owner, laptop, { sub: owner.did })])).toBe('CHAIN_SUBJECT')
  expect(judge([grant(owner, laptop, { sub: owner.did })])).toBe('CHAIN_SUBJECT')
})

test('a powerline may stand in the middle, never at the root', () => {
  expect(judge([grant(device, owner), grant(owner, laptop, { sub: null })])).toBe('admitted')
  expect(judge([grant(device, owner, { sub: null }), grant(owner, laptop)])).toBe('POWERLINE_ROOT')
  expect(judge([grant(device, laptop, { sub: null })])).toBe('POWERLINE_ROOT')
})

test('no link covers more than the one above it, and commands are whole words', () => {
  const cmds = (root: string, leaf: string, asked = '/exec/run'): string =>
    judge([grant(device, owner, { cmd: root }), grant(owner, laptop, { cmd: leaf })], { cmd: asked })
  expect(cmds('/', '/exec')).toBe('admitted')
  expect(cmds('/exec/run', '/exec')).toBe('NOT_COVERED')
  expect(cmds('/exec/run', '/')).toBe('NOT_COVERED')
  expect(cmds('/audit', '/exec/run')).toBe('NOT_COVERED')
  expect(cmds('/exec/run', '/exec/run', '/exec/run-as-root')).toBe('NOT_COVERED')
  expect(cmds('/exec/ru', '/exec/run')).toBe('NOT_COVERED')
  expect(cmds('/', '/', '/device/set-trust')).toBe('NOT_COVERED')
  expect(cmds('/', '/', '/audit/purge')).toBe('NOT_COVERED')
  expect(cmds('/', '/', '/exec/signal')).toBe('UNKNOWN_COMMAND')
})

test('every link has its own time, so a child cannot outlive its parent', () => {
  const times = (root: object, leaf: object): string => judge([grant(device, owner, root), grant(owner, laptop, leaf)])
  expect(times({ exp: null }, { exp: NOW + 1 })).toBe('admitted')
  expect(times({ exp: NOW }, { exp: NOW + HOUR })).toBe('GRANT_EXPIRED')
  expect(times({ exp: NOW + HOUR }, { exp: NOW })).toBe('GRANT_EXPIRED')
  expect(times({ exp: null }, { exp: null })).toBe('NO_EXPIRY')
  expect(times({ nbf: NOW + 31 }, {})).toBe('GRANT_TOO_EARLY')
  expect(times({}, { nbf: NOW + 31 })).toBe('GRANT_TOO_EARLY')
  expect(times({}, { nbf: NOW + 30 })).toBe('admitted')
})

function line(length: number): Delegation[] {
  const people = [device, ...Array.from({ length: length - 1 }, (_, i) => person(`link ${i}`)), laptop]
  return people.slice(0, -1).map((from, i) => grant(from, people[i + 1] ?? laptop))
}

test('a chain has eight links at most', () => {
  expect(judge(line(8))).toBe('admitted')
  expect(judge(line(9))).toBe('CHAIN_TOO_LONG')
  const asked = { subject: device.did, invoker: laptop.did, command: '/exec/run', now: NOW }
  expect(refuseChain(line(8), asked, 'profile')).toBeUndefined()
  expect(refuseChain(line(9), asked, 'profile')).toMatchObject({ code: 'CHAIN_TOO_LONG' })
})

test('nobody signs twice in a chain', () => {
  expect(judge([grant(device, owner), grant(owner, mallory), grant(mallory, owner), grant(owner, laptop)])).toBe('CHAIN_CYCLE')
})

test('a grant that may not be passed on is not', () => {
  const meta = { [LAST_LINK]: true }
  expect(judge([grant(device, owner), grant(owner, laptop, { meta })])).toBe('admitted')
  expect(judge([grant(device, owner, { meta }), grant(owner, laptop)])).toBe('PASSED_ON')
})

test('the policies of all links hold, whoever wrote them', () => {
  const chain = (root: string, leaf: string): string => judge([grant(device, owner, parseRight(root)), grant(owner, laptop, parseRight(leaf))])
  expect(chain('exec: npm', 'exec: npm test')).toBe('admitted')
  expect(chain('exec: git', 'exec: *')).toBe('POLICY')
  expect(chain('exec: *', 'exec: git')).toBe('POLICY')
})

test('a revocation of any link by somebody above it ends the chain', () => {
  const chain = [grant(device, owner), grant(owner, mallory), grant(mallory, laptop)]
  const after = (by: typeof device, at: number): string => {
    const revocations = new Revocations()
    revocations.add(revoke(by, chain[at]?.cid ?? '').bytes)
    return codeOf(verify(invoke(laptop, chain), chain, { revocations }))
  }
  expect(after(device, 0)).toBe('REVOKED')
  expect(after(device, 2)).toBe('REVOKED')
  expect(after(owner, 1)).toBe('REVOKED')
  expect(after(owner, 2)).toBe('REVOKED')
  expect(after(mallory, 2)).toBe('REVOKED')
  expect(after(owner, 0)).toBe('admitted')
  expect(after(mallory, 1)).toBe('admitted')
  expect(after(laptop, 2)).toBe('admitted')
  expect(after(person('stranger'), 1)).toBe('admitted')
})

test.each<[string, object]>([
  ['a field too many', { shell: true }],
  ['a field missing', { tty: undefined }],
  ['a string for argv', { argv: 'test' }],
  ['a number among the arguments', { argv: ['test', 1] }],
  ['NUL in an argument', { argv: ['a\0b'] }],
  ['NUL in the executable', { exe: 'npm\0' }],
  ['an empty executable', { exe: '' }],
  ['a zero-width character in the executable', { exe: 'np\u200bm' }],
  ['a direction mark in the executable', { exe: 'npm\u202e' }],
  ['a line break in the executable', { exe: 'npm\n' }],
  ['an executable that is not NFC', { exe: 'cafe\u0301' }],
  ['a relative working directory', { cwd: 'srv' }],
  ['a working directory that climbs', { cwd: '/srv/app/../../etc' }],
  ['a working directory with a dot', { cwd: '/srv/./app' }],
  ['a doubled slash', { cwd: '/srv//app' }],
  ['a slash at the end', { cwd: '/srv/' }],
  ['unsorted names', { env: ['B', 'A'] }],
  ['a name twice', { env: ['A', 'A'] }],
  ['a value among the names', { env: ['A=1'] }],
  ['a timeout as text', { timeoutMs: '1' }],
  ['a negative timeout', { timeoutMs: -1 }],
  ['a fraction of a timeout', { timeoutMs: 1.5 }],
  ['a truth that is a number', { tty: 0 }],
  ['a task that is no UUID', { task: 'x' }],
  ['a task in upper case', { task: EXEC_ARGS.task.toUpperCase() }],
  ['too many arguments', { argv: Array(1_025).fill('') }],
])('arguments refused: %s', (_, change) => {
  const args = Object.fromEntries(Object.entries({ ...EXEC_ARGS, ...change }).filter(([, value]) => value !== undefined))
  const chain = chainToLaptop()
  const sent = (): string => judge(chain, { args })
  if ('timeoutMs' in change && change.timeoutMs === 1.5) expect(sent).toThrow(/integers/)
  else expect(sent()).toBe('BAD_ARGS')
})

test('arguments with the signs of a shell are just arguments', () => {
  const chain = chainToLaptop(parseRight('exec: npm test'))
  for (const argv of [
    ['test', '; rm -rf /'],
    ['test', '$(id)'],
    ['test', '`id`'],
    ['test', '| sh'],
    ['test', '*', '\n'],
  ])
    expect(judge(chain, { args: { ...EXEC_ARGS, argv } })).toBe('admitted')
  for (const exe of ['NPM', 'npm ', ' npm', './npm', '/usr/bin/npm', 'npm;id', 'npm test']) expect(judge(chain, { args: { ...EXEC_ARGS, exe } })).toBe('POLICY')
})

test('an environment, a terminal or another user must be granted by name', () => {
  const chain = chainToLaptop(parseRight('exec: npm'))
  for (const change of [{ env: ['LD_PRELOAD'] }, { tty: true }, { user: 'root' }]) expect(judge(chain, { args: { ...EXEC_ARGS, ...change } })).toBe('POLICY')
})
