/** One side of a WebSocket conversation, said and heard message by message. */
import type { RawData, WebSocket } from 'ws'
import { LOCAL_TAG } from '../../../protocols/local/messages.ts'
import { json } from './scripted.ts'

export const REQUEST = frame(LOCAL_TAG.request, { device: 'a', command: ['true'] })

export function frame(tag: number, value?: unknown): Buffer {
  return Buffer.concat([Uint8Array.of(tag), value === undefined ? Buffer.alloc(0) : json(value)])
}

/** Everything that comes, in order. */
export function listen(socket: WebSocket): { readonly tags: number[]; readonly said: Buffer[]; readonly closed: Promise<number> } {
  const [tags, said]: [number[], Buffer[]] = [[], []]
  socket.on('message', (data: RawData) => {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.alloc(0)
    tags.push(bytes[0] ?? -1)
    said.push(bytes.subarray(1))
  })
  socket.on('error', () => undefined)
  return { tags, said, closed: new Promise((resolve) => socket.once('close', (code) => resolve(code))) }
}
