import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EXEC, TAG } from '../../../protocols/exec/messages.ts'
import { Input } from '../../../src/runtime/input.ts'
import { settled } from '../base/hand-clock.ts'

/** A command that takes bytes when it is told to, and a caller that reads credit when it is told to. */
class Ends {
  readonly taken: Uint8Array[] = []
  writes = 0
  isEnded = false
  #takes: (() => void)[] = []
  #reads: (() => void)[] = []
  readonly input = new Input(
    {
      write: (tag) => {
        expect(tag).toBe(TAG.stdinCredit)
        this.writes++
        return new Promise((resolve) => void this.#reads.push(resolve))
      },
    },
    {
      stdin: (bytes) => {
        expect(this.isEnded).toBe(false)
        this.taken.push(bytes)
        return new Promise((resolve) => void this.#takes.push(resolve))
      },
      endStdin: () => {
        this.isEnded = true
      },
    },
  )

  get underWay(): number {
    return this.#takes.length + this.#reads.length
  }

  async turn(): Promise<void> {
    for (const go of [...this.#takes.splice(0), ...this.#reads.splice(0)]) go()
    await settled()
  }

  get bytes(): Buffer {
    return Buffer.concat(this.taken)
  }
}

test('every byte reaches the command, in order, and the end behind the last one, however the input is cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.boolean()), { maxLength: 30 }), async (chunks) => {
      const ends = new Ends()
      for (const [chunk, turns] of chunks) {
        ends.input.take(chunk)
        if (turns) await ends.turn()
      }
      ends.input.end()
      while (ends.underWay > 0) await ends.turn()
      expect(ends.bytes).toEqual(Buffer.concat(chunks.map(([chunk]) => chunk)))
      expect(ends.isEnded).toBe(true)
    }),
  )
})

test('crumbs, and a caller that reads no credit, leave one promise behind and not one for each', async () => {
  const ends = new Ends()
  for (let i = 0; i < 20_000; i++) {
    ends.input.take(Uint8Array.of(i % 256))
    if (i % 1_000 === 0) await settled()
  }
  expect(ends.underWay).toBe(1)
  await ends.turn()
  expect({ underWay: ends.underWay, taken: ends.taken.length, writes: ends.writes }).toEqual({ underWay: 1, taken: 1, writes: 1 })
})

test('more than the window is refused, and room comes back only for what the command took', async () => {
  const ends = new Ends()
  ends.input.take(new Uint8Array(EXEC.stdinWindowBytes))
  expect(() => ends.input.take(Uint8Array.of(1))).toThrow('window')
  expect(() => new Ends().input.take(new Uint8Array())).toThrow('without bytes')
  const again = new Ends()
  again.input.take(new Uint8Array(EXEC.stdinWindowBytes))
  await again.turn()
  await again.turn()
  again.input.take(new Uint8Array(EXEC.stdinWindowBytes))
  expect(again.taken).toHaveLength(2)
})
