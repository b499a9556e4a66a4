/** Bytes to stdout or stderr at the pace of whoever reads them, untouched. */
import type { Writable } from 'node:stream'

/** Whoever read this stream has gone. */
export class Unread extends Error {}

/** @returns a promise only when the writer has to wait. @throws Unread. */
export function drained(stream: Writable, chunk: Uint8Array | string): Promise<void> | undefined {
  if (!stream.writable) throw new Unread()
  if (stream.write(chunk)) return undefined
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      stream.off('drain', onDrain).off('error', settle).off('close', onClose)
      if (error === undefined) resolve()
      else reject(new Unread())
    }
    const onDrain = (): void => settle()
    const onClose = (): void => settle(new Unread())
    stream.on('drain', onDrain).on('error', settle).on('close', onClose)
  })
}
