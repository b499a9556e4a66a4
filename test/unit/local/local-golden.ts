/** The frames of the local API with fixed values: bytes of the exec face, and the messages of the WebSocket face. */
import { TAG } from '../../../protocols/exec/frames.ts'
import { LOCAL_TAG } from '../../../protocols/local/frames.ts'

const TASK = '01a1fe93-6cee-738e-9c22-185ca1e19357'
const AT = '2026-11-21T14:47:16.980Z'

export interface GoldenFrame {
  readonly name: string
  readonly from: 'client' | 'node'
  readonly tag: number
  /** JSON, or bytes in hex. */
  readonly json?: unknown
  readonly bytes?: string
}

const request = { device: 'laptop', command: ['sh', '-c', 'echo héllo'], env: { GREETING: 'hi' }, stdin: true }
const ended = {
  ...{ task: TASK, device: 'laptop', exitCode: 3, signal: null, why: 'exit', source: 'command', startTime: AT, endTime: AT, durationMs: 8 },
  ...{ stdoutBytes: 300, stderrBytes: 4 },
}

export const FIRST: readonly GoldenFrame[] = [
  { name: 'request: a command with input', from: 'client', tag: LOCAL_TAG.request, json: request },
  { name: 'attach: from byte 4,096 on, what there is', from: 'client', tag: LOCAL_TAG.attach, json: { task: TASK, from: 4_096, follow: false } },
  { name: 'watch: after cursor 7', from: 'client', tag: LOCAL_TAG.watch, json: { cursor: 7 } },
]

export const INPUT: readonly GoldenFrame[] = [
  { name: 'stdin', from: 'client', tag: TAG.stdin, bytes: '00ff68c3a9' },
  { name: 'stdinEnd', from: 'client', tag: TAG.stdinEnd, bytes: '' },
  { name: 'cancel', from: 'client', tag: TAG.cancel, bytes: '' },
]

export const TOLD: readonly GoldenFrame[] = [
  { name: 'queued: third in line', from: 'node', tag: TAG.queued, json: { task: TASK, place: 3 } },
  { name: 'accepted', from: 'node', tag: TAG.accepted, json: { task: TASK, device: 'laptop', startTime: AT } },
  { name: 'stdinCredit', from: 'node', tag: TAG.stdinCredit, json: { bytes: 65_536 } },
  { name: 'at: 4,096 bytes are not kept any more', from: 'node', tag: TAG.at, json: { offset: 4_096 } },
  { name: 'stdout: 300 bytes, so that the length takes two', from: 'node', tag: TAG.stdout, bytes: '61'.repeat(300) },
  { name: 'stderr', from: 'node', tag: TAG.stderr, bytes: '6572720a' },
  { name: 'update: a gap', from: 'node', tag: LOCAL_TAG.update, json: { t: 'gap', from: 1, to: 9 } },
  { name: 'ended: exit 3', from: 'node', tag: TAG.ended, json: ended },
]

/** First frames that are refused with BAD_REQUEST. */
export const WRONG: readonly GoldenFrame[] = [
  { name: 'a field that does not exist', from: 'client', tag: LOCAL_TAG.request, json: { ...request, root: true } },
  { name: 'no command', from: 'client', tag: LOCAL_TAG.request, json: { device: 'laptop', command: [] } },
  { name: 'no JSON', from: 'client', tag: LOCAL_TAG.request, bytes: '7b' },
  { name: 'a negative offset', from: 'client', tag: LOCAL_TAG.attach, json: { task: TASK, from: -1 } },
  { name: 'a cursor that is text', from: 'client', tag: LOCAL_TAG.watch, json: { cursor: '7' } },
  { name: 'input before a request', from: 'client', tag: TAG.stdin, bytes: '61' },
]

export function payloadOf({ json, bytes }: GoldenFrame): Buffer {
  return bytes === undefined ? Buffer.from(JSON.stringify(json)) : Buffer.from(bytes, 'hex')
}

export function messageOf(frame: GoldenFrame): Buffer {
  return Buffer.concat([Uint8Array.of(frame.tag), payloadOf(frame)])
}

/** As protocols/local/vectors.json has it. */
export function vectorOf(frame: GoldenFrame, streamed: Uint8Array): object {
  return { ...frame, message: messageOf(frame).toString('hex'), frame: Buffer.from(streamed).toString('hex') }
}
