/**
 * The promises of `RuntimeClient`, held against every face of a node. A new face needs one file: a test that opens a node, makes a client
 * of that face, and hands both to `contract`. Commands are `sh`, so that a face under narrow rights can be held to it as well.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type World, world } from '../support/world.ts'
import { aborts } from './aborts.ts'
import { commands, inputs } from './commands.ts'
import { errors } from './errors.ts'
import { outputs, slowReaders, watches } from './streams.ts'
import { type At, NO_SUCH_COMMAND, type Subject } from './subject.ts'
import { tasks } from './tasks.ts'

export type { Subject } from './subject.ts'

export interface Face {
  readonly name: string
  open(w: World): Promise<Subject>
}

/** The right that a caller of another device's runtime is given. */
export const RIGHT = `exec: sh, ${NO_SUCH_COMMAND}; env GREETING; tty`

const OPEN_MS = 120_000

export function contract(face: Face): void {
  describe(face.name, () => {
    let w: World
    let subject: Subject | undefined
    beforeAll(async () => {
      w = world()
      subject = await face.open(w)
    }, OPEN_MS)
    afterAll(async () => {
      await subject?.close()
      await w[Symbol.asyncDispose]()
    }, OPEN_MS)
    const at = later(() => subject)
    describe('what is there', () => views(at))
    describe('a task', () => tasks(at))
    describe('its output', () => outputs(at))
    describe('the watch', () => watches(at))
    describe('a command', () => commands(at))
    describe('a command with input', () => inputs(at))
    describe('leaving', () => aborts(at))
    describe('an error', () => errors(at))
    describe('a slow reader', () => slowReaders(at))
  })
}

/** Tests are declared before there is anything to test. */
function later(opened: () => Subject | undefined): At {
  const now = (): Subject => {
    const subject = opened()
    if (subject === undefined) throw new Error('the face was not opened')
    return subject
  }
  return {
    get runtime() {
      return now().runtime
    },
    get device() {
      return now().device
    },
    get denied() {
      return now().denied
    },
  }
}

function views(at: At): void {
  test('the status says who answers, and that it is well', async () => {
    const { did, name, version, ready, healthy, mode } = await at.runtime.getStatus()
    expect({ ready, healthy }).toEqual({ ready: true, healthy: true })
    expect(did).toMatch(/^did:key:z6Mk/)
    expect(version).toMatch(/^\d+\.\d+\.\d+/)
    expect(['local-only', 'remote-enabled', 'distributed-cluster']).toContain(mode)
    expect((await at.runtime.listDevices()).find((one) => one.did === did)).toMatchObject({ name, path: 'self', online: true })
  })

  test('the device that runs commands is among the devices, and online', async () => {
    expect((await at.runtime.listDevices()).find(({ name }) => name === at.device)).toMatchObject({ online: true })
  })

  test('agents and skills are lists, empty while nobody announces any', async () => {
    expect([await at.runtime.listAgents(), await at.runtime.listSkills()]).toEqual([[], []])
  })
}
