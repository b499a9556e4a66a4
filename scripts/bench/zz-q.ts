import { PerformanceObserver } from 'node:perf_hooks'
import { systemClock } from '../../src/base/clock.ts'
import { Store } from '../../src/store/level.ts'
import { TaskBook } from '../../src/tasks/book.ts'
const store = await Store.open(process.argv[2] as string)
const shelf = store.shelf('tasks')
const log: [string, number][] = []
const wrap = (name: 'page' | 'getMany') => { const f = shelf[name].bind(shelf) as any; (shelf as any)[name] = async (...a: any[]) => { const t = performance.now(); const r = await f(...a); log.push([name, performance.now() - t]); return r } }
wrap('page'); wrap('getMany')
const gcs: number[] = []
new PerformanceObserver((l) => { for (const e of l.getEntries()) gcs.push(e.duration) }).observe({ entryTypes: ['gc'] })
const book = await TaskBook.open({ store: shelf, clock: systemClock })
const places: string[] = []
for (let page = await book.list({ limit: 1000 }); page.next !== null; page = await book.list({ limit: 1000, before: page.next })) places.push(page.next)
for (let round = 0; round < 3; round++) {
  const took: any[] = []
  gcs.length = 0
  for (let i = 0; i < 2000; i++) {
    log.length = 0
    const t = performance.now()
    await book.list({ before: places[(i * 31) % places.length] ?? '' })
    took.push([performance.now() - t, i, ...log.map(([n, ms]) => `${n} ${ms.toFixed(2)}`)])
  }
  took.sort((a, b) => a[0] - b[0])
  console.log('p50', took[1000], 'p99', took[1980], took[1990], took[1998], 'gc', gcs.length, Math.max(...gcs), places.length)
}
