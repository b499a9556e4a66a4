/** How long an attached command waits for whoever asked for it. */
import { expect, test } from 'vitest'
import { Attendance, AWAY_MS, LEFT_MS } from '../../../src/runtime/attendance.ts'
import { HandClock } from '../base/hand-clock.ts'

function waiting(): { clock: HandClock; attendance: Attendance; ends: () => number } {
  const clock = new HandClock()
  let ends = 0
  return { clock, attendance: new Attendance({ clock, end: () => ends++ }), ends: () => ends }
}

test('a caller whose link fell silent is waited for as long as a cut may last, one that left for a moment', () => {
  for (const [absence, ms] of [
    ['away', AWAY_MS],
    ['left', LEFT_MS],
  ] as const) {
    const { clock, attendance, ends } = waiting()
    attendance.come()(absence)
    clock.advance(ms - 1)
    expect(ends()).toBe(0)
    clock.advance(1)
    expect(ends()).toBe(1)
  }
})

test('a caller that comes back in time, or another one that is there, keeps the command', () => {
  const { clock, attendance, ends } = waiting()
  const first = attendance.come()
  const second = attendance.come()
  first('left')
  first('left')
  clock.advance(AWAY_MS * 2)
  second('away')
  clock.advance(AWAY_MS - 1)
  attendance.come()
  clock.advance(AWAY_MS * 2)
  expect(ends()).toBe(0)
})

test('a command that is over waits for nobody', () => {
  const { clock, attendance, ends } = waiting()
  const left = attendance.come()
  attendance.over()
  left('left')
  attendance.expect('left')
  clock.advance(AWAY_MS * 2)
  expect([ends(), clock.pending]).toEqual([0, 0])
})
