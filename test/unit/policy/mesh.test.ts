/** The policy that an owner gave the mesh: the latest counts, and one that cannot be read is no opening. */
import { beforeEach, expect, test } from 'vitest'
import type { PolicyNews } from '../../../src/policy/keeper.ts'
import { MeshPolicy } from '../../../src/policy/mesh.ts'

let text: string | undefined
let news: PolicyNews[] = []
let kept: string[] = []
beforeEach(() => {
  text = undefined
  news = []
  kept = []
})

const open = (): MeshPolicy => new MeshPolicy({ text: () => text, told: (one) => news.push(one), keep: (one) => kept.push(one) })
const denied = (mesh: MeshPolicy): unknown[] => mesh.standing().layers.map(({ policy }) => policy.exec?.deniedCommands?.flat())

test('a new one counts with the next request, and an empty one takes it away; both are said', () => {
  const mesh = open()
  expect([denied(mesh), mesh.standing().closed, news]).toEqual([[], undefined, []])
  text = 'exec: { deniedCommands: [rm] }'
  expect(denied(mesh)).toEqual([['rm']])
  text = 'exec: { deniedCommands: [dd] }'
  expect(denied(mesh)).toEqual([['dd']])
  text = ''
  expect(denied(mesh)).toEqual([])
  expect(news.map(({ t }) => t)).toEqual(['changed', 'changed', 'removed'])
  expect(kept.at(-1)).toBe('')
})

test('what was given before the start is no news', () => {
  text = 'exec: { deniedCommands: [rm] }'
  expect([denied(open()), news]).toEqual([[['rm']], []])
})

test('one of a newer errand keeps the one before; without one nothing is done for others', () => {
  text = 'exec: { deniedCommands: [rm] }'
  const mesh = open()
  text = 'exec: { deniedNetworks: [lan] }'
  expect([denied(mesh), mesh.standing().closed, mesh.problem]).toEqual([[['rm']], undefined, expect.stringContaining('the one before it holds')])
  const later = open()
  expect([denied(later), later.standing().closed]).toEqual([[], expect.stringContaining('nothing is done for other devices')])
  expect(news.map(({ t }) => t)).toEqual(['invalid', 'invalid'])
})
