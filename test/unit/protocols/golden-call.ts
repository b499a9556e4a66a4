/** What of the questions between devices gets golden bytes. */
import { encode } from '../../../protocols/wire.ts'
import type { SchemaName } from './shapes.ts'

const TASK = '019aa3c1-0000-7000-8000-000000000001'
const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)
const SHOWN = { invocation: filled(3, 0x11), proofs: [filled(2, 0x22)] }
const STEP = { step: 'policy', ok: false, detail: 'rm is denied by policy.yaml line 7', hint: 'ask the owner' }

export const CALL_MESSAGES: readonly (readonly [name: string, schema: SchemaName, value: object])[] = [
  ['how a task stands, with its history', 'CallAsk', { question: '/task/read', task: TASK, events: true, ...SHOWN }],
  ['why a command would run or not', 'CallAsk', { question: 'why', task: '', ...SHOWN }],
  ['what a revocation would end', 'CallAsk', { question: 'what-if', task: '', invocation: filled(0, 0), proofs: [], supposed: [filled(3, 0x33)] }],
  ['no task', 'CallAnswer', { tasks: [] }],
  ['steps, up to the first no', 'CallAnswer', { tasks: [], steps: [{ step: 'authority', ok: true, detail: '1h left' }, STEP] }],
  ['a task that would stop', 'CallAnswer', { tasks: [], stops: [TASK] }],
]

export const BAD_CALL_MESSAGES: readonly (readonly [name: string, schema: SchemaName, bytes: Uint8Array, code: string])[] = [
  ['a question that this version does not know', 'CallAsk', encode({ question: 'who', task: '', ...SHOWN }), 'BAD_SHAPE'],
  ['nine proofs', 'CallAsk', encode({ question: 'why', task: '', ...SHOWN, proofs: Array(9).fill(filled(1, 0)) }), 'BAD_SHAPE'],
  ['257 suppositions', 'CallAsk', encode({ question: 'what-if', task: '', ...SHOWN, supposed: Array(257).fill(filled(1, 0)) }), 'BAD_SHAPE'],
  ['a supposition of 1,025 bytes', 'CallAsk', encode({ question: 'what-if', task: '', ...SHOWN, supposed: [filled(1_025, 0)] }), 'BAD_SHAPE'],
  ['33 steps', 'CallAnswer', encode({ tasks: [], steps: Array(33).fill(STEP) }), 'BAD_SHAPE'],
  ['a step with a name to paint with', 'CallAnswer', encode({ tasks: [], steps: [{ ...STEP, step: 'policy ✓' }] }), 'BAD_SHAPE'],
  ['a step that is neither', 'CallAnswer', encode({ tasks: [], steps: [{ ...STEP, ok: null }] }), 'BAD_SHAPE'],
]
