/** A client that comes for its output with a key: says on stdout what it got. A process of its own, because what it trusts is said by its environment. */
import type { BulkOffer } from '../../../protocols/local/messages.ts'
import { BulkReader } from '../../../src/local/bulk.ts'

const reader = await BulkReader.connect(JSON.parse(process.argv[2] ?? '') as BulkOffer)
if (reader === undefined) process.stdout.write('nobody who knows the key')
else for await (const { payload } of reader.read(0)) process.stdout.write(Buffer.concat(payload))
reader?.close()
