/** Leaving: what ends, what goes on without its caller, and what a reader who stops costs. */
import { v4 as uuid } from 'uuid'
import { expect, test } from 'vitest'
import { until } from '../support/world.ts'
import { type At, codeOf, collect, ended, isOver, sh, textOf } from './subject.ts'

export function aborts(at: At): void {
  test('a wait that is left is over at once; what was asked for is done all the same', async () => {
    const { task } = await at.runtime.submitTask({ device: at.device, command: sh('trap "sleep 1; exit 0" TERM; echo ready; while :; do sleep 0.05; done') })
    await until('it is ready', async () => (await collect(at.runtime.attach(task, { follow: false }))).stdout === 'ready\n')
    const left = new AbortController()
    const waiting = codeOf(at.runtime.cancelTask(task, { signal: left.signal }))
    await until('the cancel was heard', async () =>
      (await at.runtime.getTask(task, { events: true })).events?.some((event) => 't' in event && event.t === 'asked'),
    )
    left.abort()
    expect(await waiting).toBe('CANCELLED')
    expect(await ended(at, task)).toMatchObject({ state: 'CANCELLED' })
  })

  test('a command that is cancelled answers with what it printed, and says that it was', async () => {
    const stop = new AbortController()
    const id = uuid()
    const answer = at.runtime.execute({ device: at.device, id, command: sh('printf before; sleep 600') }, { signal: stop.signal })
    await until('it has printed', async () => (await collect(at.runtime.attach(id, { follow: false }))).stdout === 'before')
    stop.abort()
    const { cancelled, why, error, stdout } = await answer
    expect({ cancelled, why, error, stdout: textOf(stdout) }).toEqual({ cancelled: true, why: 'cancelled', error: null, stdout: 'before' })
  })

  test('a conversation that is left while its input is silent ends the command', async () => {
    const id = uuid()
    const silent = (async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('hello\n')
      await new Promise(() => undefined)
    })()
    for await (const event of at.runtime.executeInteractive({ device: at.device, id, command: sh('cat') }, silent)) if (event.t === 'printed') break
    const over = await until('it has ended', async () => {
      const task = await at.runtime.getTask(id)
      return isOver(task) && task
    })
    expect(over.state).toBe('CANCELLED')
  })

  test('a reader who stops, stops the command; who reads on gets all of it', async () => {
    const id = uuid()
    const megabytes = 48
    const events = at.runtime.executeStream({ device: at.device, id, command: sh(`head -c ${megabytes}M /dev/zero`) })[Symbol.asyncIterator]()
    let bytes = 0
    while (bytes === 0) {
      const next = await events.next()
      if (next.done === true) throw new Error('it ended before it had printed')
      if (next.value.t === 'printed') bytes += next.value.bytes.length
    }
    // As long as this takes, nobody reads: all would be printed by then.
    await at.runtime.execute({ device: at.device, command: sh(`head -c ${megabytes}M /dev/zero | wc -c; sleep 0.5`) })
    expect(await at.runtime.getTask(id)).toMatchObject({ state: 'RUNNING' })
    for (let next = await events.next(); next.done !== true; next = await events.next()) if (next.value.t === 'printed') bytes += next.value.bytes.length
    expect(bytes).toBe(megabytes * 1_048_576)
  })

  test('input is read no faster than the command reads', async () => {
    const id = uuid()
    let pulled = 0
    const endless = (async function* (): AsyncGenerator<Uint8Array> {
      for (;;) {
        pulled += 65_536
        yield new Uint8Array(65_536)
      }
    })()
    const events = at.runtime.executeInteractive({ device: at.device, id, command: sh('echo ready; sleep 600') }, endless)
    for await (const event of events) {
      if (event.t !== 'printed') continue
      await at.runtime.execute({ device: at.device, command: sh('sleep 0.5') })
      break
    }
    expect(pulled).toBeGreaterThan(0)
    expect(pulled).toBeLessThan(4 << 20)
    expect(await ended(at, id)).toMatchObject({ state: 'CANCELLED' })
  })
}
