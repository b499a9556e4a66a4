/** docs/policy.md: its example holds, and its tables have every word there is. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { lookAround } from '../../../src/exec/look.ts'
import { tryExamples } from '../../../src/policy/examples.ts'
import { readPolicy } from '../../../src/policy/read.ts'
import { Conditions, DevicePolicy, Example, ExecPolicy, NetPolicy, RateLimit } from '../../../src/policy/schema.ts'
import { layerOf } from './ground.ts'

const page = readFileSync('docs/policy.md', 'utf8')
const [, text = ''] = /```yaml\n(.*?)```/s.exec(page) ?? []

test('the example is a policy, and its own examples come out as it says', () => {
  expect(readPolicy(text, 'device')).toMatchObject({ ok: true })
  const tried = tryExamples(layerOf(text), lookAround())
  expect(tried.filter(({ ok }) => !ok)).toEqual([])
  expect(new Set(tried.map(({ expected }) => expected))).toEqual(new Set(['allow', 'deny', 'approval']))
})

test('examples that come out otherwise are told with the line, what was got, and why', () => {
  const wrong = text
    .replace('command: npm install, cwd: /srv/app, expect: deny', 'command: npm install, cwd: /srv/app, expect: allow')
    .replace('because: git push is denied', 'because: of the weather')
  const differ = tryExamples(layerOf(wrong), lookAround()).filter(({ ok }) => !ok)
  expect(differ).toMatchObject([
    {
      asked: 'ci runner (verified, ci, in /srv/app): npm install',
      expected: 'allow',
      got: 'deny',
      why: expect.stringContaining('npm is not among the commands allowed here'),
    },
    { expected: 'deny', got: 'deny', why: expect.stringContaining('git push is denied here') },
  ])
  expect(text.split('\n')[(differ[0]?.line ?? 0) - 1]).toContain('npm install')
})

test('every field of a policy is explained', () => {
  for (const schema of [DevicePolicy, ExecPolicy, NetPolicy, RateLimit, Conditions, Example])
    for (const name of Object.keys(schema.entries)) expect(page, name).toContain(`\`${name}\``)
})
