/** A command whose caller stays: what it prints, how it ends, and what becomes of it when the caller leaves. */
import { randomBytes } from 'node:crypto'
import { v4 as uuid } from 'uuid'
import { expect, test } from 'vitest'
import type { ExecuteEvent } from '../../src/local/runtime-client.ts'
import { until } from '../support/world.ts'
import { type At, collect, ended, isOver, sh, sha256, textOf } from './subject.ts'

export function commands(at: At): void {
  test('it answers with its exit code, stdout and stderr apart, and when it ran', async () => {
    const id = uuid()
    const answer = await at.runtime.execute({ device: at.device, id, command: sh('printf out; printf err >&2; exit 7') })
    expect({ ...answer, stdout: textOf(answer.stdout), stderr: textOf(answer.stderr) }).toMatchObject({
      ...{
        id,
        device: at.device,
        exitCode: 7,
        signal: null,
        why: 'exit',
        error: null,
        cancelled: false,
        stdout: 'out',
        stderr: 'err',
        stdoutBytes: 3,
        stderrBytes: 3,
      },
    })
    expect(Date.parse(answer.endTime) - Date.parse(answer.startTime)).toBe(answer.duration)
    expect(await ended(at, id)).toMatchObject({ detached: false, exitCode: 7 })
  })

  test('bytes are bytes, in and out', async () => {
    const bytes = randomBytes(300_000)
    const { stdout } = await at.runtime.execute({ device: at.device, command: sh('cat'), stdin: bytes })
    expect([stdout.length, sha256(stdout)]).toEqual([bytes.length, sha256(bytes)])
  })

  test('without input it reads an end at once', async () => {
    expect(textOf((await at.runtime.execute({ device: at.device, command: sh('cat; echo end') })).stdout)).toBe('end\n')
  })

  test('its directory and its environment are those that were asked for', async () => {
    const { stdout } = await at.runtime.execute({
      device: at.device,
      command: sh('pwd; echo "$GREETING"'),
      workDir: '/usr',
      environment: { GREETING: 'grüß dich' },
    })
    expect(textOf(stdout)).toBe('/usr\ngrüß dich\n')
  })

  test('its arguments reach it as they are: no shell in between', async () => {
    const { stdout } = await at.runtime.execute({ device: at.device, command: ['sh', '-c', 'printf "%s|" "$@"', 'sh', 'a b', '$HOME', '*', "it's", ''] })
    expect(textOf(stdout)).toBe("a b|$HOME|*|it's||")
  })

  test('out of time it is ended, and the answer says so', async () => {
    const answer = await at.runtime.execute({ device: at.device, command: sh('printf before; sleep 600'), timeout: 300 })
    expect(answer).toMatchObject({ why: 'timeout', cancelled: false, error: { code: 'TIMED_OUT' } })
    expect(textOf(answer.stdout)).toBe('before')
  })

  test('a signal of its own making is named', async () => {
    expect(await at.runtime.execute({ device: at.device, command: sh('kill -KILL $$') })).toMatchObject({ exitCode: null, signal: 'SIGKILL', why: 'exit' })
  })

  test('cancelled, it still answers with what it printed', async () => {
    const stop = new AbortController()
    const seen: ExecuteEvent[] = []
    for await (const event of at.runtime.executeStream({ device: at.device, command: sh('printf a; sleep 600') }, { signal: stop.signal })) {
      seen.push(event)
      if (event.t === 'printed') stop.abort()
    }
    expect(seen.map(({ t }) => t)).toEqual(['started', 'printed', 'ended'])
    expect(seen.at(-1)).toMatchObject({ t: 'ended', end: { cancelled: true, why: 'cancelled', error: null } })
  })

  test('its stream begins with the start and ends with the end, and nothing is printed after that', async () => {
    const kinds: string[] = []
    for await (const event of at.runtime.executeStream({ device: at.device, command: sh('for i in 1 2 3; do echo $i; done; echo e >&2') })) kinds.push(event.t)
    expect(kinds[0]).toBe('started')
    expect(kinds.at(-1)).toBe('ended')
    expect(kinds.filter((t) => t === 'started' || t === 'ended')).toHaveLength(2)
  })

  test('whoever leaves its stream ends it', async () => {
    const id = uuid()
    for await (const event of at.runtime.executeStream({ device: at.device, id, command: sh('echo here; sleep 600') })) if (event.t === 'printed') break
    const over = await until('it has ended', async () => {
      const task = await at.runtime.getTask(id)
      return isOver(task) && task
    })
    expect(over.state).toBe('CANCELLED')
  })

  test('twenty at once are twenty answers', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => at.runtime.execute({ device: at.device, command: sh(`printf ${i}; exit ${i}`) })))
    expect(all.map(({ stdout, exitCode }) => [textOf(stdout), exitCode])).toEqual(Array.from({ length: 20 }, (_, i) => [String(i), i]))
  })

  test('who asks for a terminal gets one, of the kind and size that is asked for', async () => {
    const tty = await at.runtime.execute({ device: at.device, command: sh('stty size; echo $TERM >&2'), tty: true })
    expect([tty.exitCode, textOf(tty.stdout)]).toEqual([0, '24 80\r\ndumb\r\n'])
    const terminal = { term: 'xterm', columns: 120, rows: 50 }
    expect(textOf((await at.runtime.execute({ device: at.device, command: sh('stty size'), tty: true, terminal })).stdout)).toBe('50 120\r\n')
  })
}

export function inputs(at: At): void {
  test('it is a conversation: each line is answered before the next one is said', async () => {
    const heard: string[] = []
    let answered = (): void => undefined
    async function* lines(): AsyncGenerator<Uint8Array> {
      for (const line of ['one', 'two', 'three']) {
        const answer = new Promise<void>((resolve) => {
          answered = resolve
        })
        yield Buffer.from(`${line}\n`)
        await answer
      }
    }
    let exitCode: number | null = null
    const events = at.runtime.executeInteractive(
      { device: at.device, command: sh('while read line; do echo "heard $line"; done; exit 5'), interactive: true },
      lines(),
    )
    for await (const event of events) {
      if (event.t === 'ended') exitCode = event.end.exitCode
      if (event.t !== 'printed') continue
      heard.push(textOf(event.bytes))
      answered()
    }
    expect([heard.join(''), exitCode]).toEqual(['heard one\nheard two\nheard three\n', 5])
  })

  test('megabytes of it arrive, and a command that does not read ends all the same', async () => {
    const chunk = randomBytes(65_536)
    async function* much(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 32; i++) yield chunk
    }
    const { stdout } = await collect(at.runtime.executeInteractive({ device: at.device, command: sh('wc -c') }, much()))
    expect(stdout.trim()).toBe(String(32 * 65_536))
    expect((await collect(at.runtime.executeInteractive({ device: at.device, command: sh('exit 0') }, much()))).end).toMatchObject({ exitCode: 0 })
  })

  test('an input that fails is the caller’s own error, and ends the command', async () => {
    let heard = (): void => undefined
    const printed = new Promise<void>((resolve) => {
      heard = resolve
    })
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x')
      await printed
      throw new Error('the microphone is gone')
    }
    const id = uuid()
    const read = async (): Promise<void> => {
      const events = at.runtime.executeInteractive({ device: at.device, id, command: sh('head -c 1; sleep 600') }, broken())
      for await (const event of events) if (event.t === 'printed') heard()
    }
    await expect(read()).rejects.toThrow('the microphone is gone')
    expect(isOver(await ended(at, id))).toBe(true)
  })
}
