/** What a policy looked at is what runs, or nothing: links that are turned round in between, and bounds on time. */
import { mkdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { HOST, HOST_TAG } from '../../../protocols/host/frames.ts'
import { lookAround } from '../../../src/exec/look.ts'
import { say, socketOf } from './wire.ts'
import { command, openWorld, orderOf, run, sh, type World } from './world.ts'

let world: World
let path: string
beforeAll(async () => {
  world = await openWorld()
  await run(world.executor, sh('true'))
  path = socketOf(world)
})
afterAll(() => world.close())

const order = (spec = sh('echo ran')): [number, unknown] => [HOST_TAG.order, { v: HOST.version, ...orderOf(world.identity, spec) }]
const tagsOf = async (spec: ReturnType<typeof sh>, judged: object): Promise<unknown[]> => await say(path, order(spec), [HOST_TAG.go, judged])
const denied = [expect.objectContaining({ tag: HOST_TAG.failed, value: expect.objectContaining({ code: 'DENIED' }) })]

test('another program than the one that was looked at is not run', async () => {
  const file = lookAround().program('sh').file
  expect((await tagsOf(sh('echo ran'), { file })).length).toBe(3)
  expect(await tagsOf(sh('echo ran'), { file: '/usr/bin/other' })).toEqual(denied)
  expect(await tagsOf(sh('echo ran'), { file: null })).toEqual(denied)
})

test('a link that is turned round between the look and the start leads nowhere', async () => {
  const [good, bad, link] = ['good', 'bad', 'link'].map((name) => join(world.directory, name))
  mkdirSync(good ?? '')
  mkdirSync(bad ?? '')
  symlinkSync(good ?? '', link ?? '')
  const cwd = lookAround().directory(link ?? '')
  expect(cwd).toBe(realpathSync(good ?? ''))
  const spec = { ...sh('echo ran'), cwd: link ?? '' }
  expect((await tagsOf(spec, { cwd })).length).toBe(3)
  rmSync(link ?? '')
  symlinkSync(bad ?? '', link ?? '')
  expect(await tagsOf(spec, { cwd })).toEqual(denied)
})

test('the host ends a command after the time of the policy, whatever was asked for, and never later than asked for', async () => {
  const ended = async (timeoutMs: number, bound: number): Promise<unknown> => {
    const answers = await tagsOf({ ...command('sleep', ['20']), timeoutMs }, { timeoutMs: bound })
    return answers.at(-1)
  }
  const after = (ms: number) =>
    expect.objectContaining({ tag: HOST_TAG.ended, value: expect.objectContaining({ why: 'timeout', message: `stopped after ${ms} ms` }) })
  expect(await ended(0, 120)).toEqual(after(120))
  expect(await ended(60_000, 120)).toEqual(after(120))
  expect(await ended(120, 60_000)).toEqual(after(120))
})

test('bounds that cannot be read start nothing', async () => {
  expect(await tagsOf(sh('echo ran'), { timeoutMs: 0 })).toEqual([expect.objectContaining({ tag: HOST_TAG.failed })])
  expect(await tagsOf(sh('echo ran'), { allowed: true })).toEqual([expect.objectContaining({ tag: HOST_TAG.failed })])
})

test('every name of a program leads to its one file, and a directory to its real path', () => {
  const look = lookAround()
  const link = join(world.directory, 'my-sh')
  symlinkSync('/bin/sh', link)
  const [byName, byLink] = [look.program('sh'), look.program(link)]
  expect(byLink.id).toBe(byName.id)
  expect(byLink.paths).toEqual(expect.arrayContaining([link, '/bin/sh']))
  expect(look.program('no-such-program')).toEqual({ paths: ['no-such-program'], file: null, id: null })
  expect(look.program('./sh')).toMatchObject({ file: null })
  expect(look.directory('/no/such/directory')).toBeNull()
})
