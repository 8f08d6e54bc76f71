/** Opening a log of 10 GB: after a clean stop its indexes are enough, and nothing of its records is read. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Kafka } from 'dohle'
import { FolderBroker } from '../folder-broker.ts'

const gigabytes = Number(process.env.DOHLE_LARGE_LOG_GB ?? 10)
const perRecord = 900_000

let folder: string
let broker: FolderBroker | undefined
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'dohle-large-log-'))
})
after(async () => {
  await broker?.end('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** Bytes that the broker's process has read since it began. */
const bytesRead = () => Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${broker!.pid}/io`, 'utf8'))![1])

test(`a log of ${gigabytes} GB is opened without being read, and read at any place`, async t => {
  broker = await FolderBroker.start({ folder })
  const empty = await restarted('SIGTERM')
  const records = Math.ceil((gigabytes * 1e9) / perRecord)
  const values = Array.from({ length: 8 }, () => randomBytes(perRecord))
  {
    await using kafka = new Kafka({ brokers: broker.address })
    const producer = kafka.producer({ deliveryTimeoutMs: 600_000 })
    for (let at = 0; at < records; at += 100) {
      const count = Math.min(100, records - at)
      const messages = Array.from({ length: count }, (_, n) => ({
        key: `${at + n}`,
        value: values[(at + n) % 8]!,
        partition: 0,
      }))
      await producer.sendBatch({ topic: 'large', messages })
    }
  }
  const clean = await restarted('SIGTERM')
  t.diagnostic(
    `${gigabytes} GB: listening ${clean.ms} ms after it was started, having read ${clean.bytes} bytes; empty: ${empty.ms} ms, ${empty.bytes} bytes`,
  )
  // Indexes of 10 MB at most in each of its segments, and the end of the last one.
  assert.ok(clean.bytes - empty.bytes < 50e6, `${clean.bytes - empty.bytes} bytes more than without a log`)
  await using kafka = new Kafka({ brokers: broker.address })
  for (const offset of [0, Math.floor(records / 2), records - 1]) {
    const consumer = kafka.consumer()
    await consumer.assign([{ topic: 'large', partition: 0, offset }])
    const { value: message } = await consumer[Symbol.asyncIterator]().next()
    assert.equal(message?.offset, offset)
    assert.deepEqual(message?.value, values[offset % 8])
    await consumer.close()
  }

  async function restarted(signal: 'SIGTERM' | 'SIGKILL') {
    await broker!.end(signal)
    const begun = performance.now()
    await broker!.start()
    return { ms: Math.round(performance.now() - begun), bytes: bytesRead() }
  }
})
