/**
 * BullMQ's two programs for bench:tasks, `node bullmq.mjs worker|producer CACHE SOCKET`: a worker that starts the same process for every job
 * as errand does for a task, and a producer that reads rounds as JSON lines and answers with what they took. BullMQ comes from CACHE.
 */
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const CONCURRENCY = 256
const NAME = 'errand-bench'

const [role, cache = '', path = ''] = process.argv.slice(2)
const { Queue, QueueEvents, Worker } = createRequire(join(cache, 'package.json'))('bullmq')
const connection = { path, maxRetriesPerRequest: null }

function run() {
  return new Promise((resolve, reject) => {
    const child = spawn('true', { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.resume()
    child.stderr.resume()
    child.once('error', reject).once('close', resolve)
  })
}

async function work() {
  const worker = new Worker(NAME, run, { connection, concurrency: CONCURRENCY })
  await worker.waitUntilReady()
  console.log('ready')
}

async function produce() {
  const queue = new Queue(NAME, { connection })
  const events = new QueueEvents(NAME, { connection })
  await events.waitUntilReady()
  events.setMaxListeners(0)
  queue.setMaxListeners(0)
  const round = async ({ count, inFlight }) => {
    const latencies = []
    let next = 0
    const one = async () => {
      while (next++ < count) {
        const before = performance.now()
        await (await queue.add('true', {}, { attempts: 1 })).waitUntilFinished(events)
        latencies.push(performance.now() - before)
      }
    }
    const began = performance.now()
    await Promise.all(Array.from({ length: inFlight }, one))
    return { perSecond: (count * 1_000) / (performance.now() - began), latencies }
  }
  console.log('ready')
  for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await round(JSON.parse(line))))
  process.exit(0)
}

await (role === 'worker' ? work() : produce())
