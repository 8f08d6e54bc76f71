import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka } from 'dohle'
import { KafkaServer } from '../../scripts/kafka.mjs'

const seconds = Number(process.env.DOHLE_SOAK_SECONDS ?? 60)
const partitions = 6

/** Threads and open files of this process, and its resident memory in MB. */
function resources(): { threads: number; files: number; rssMb: number } {
  return {
    threads: readdirSync('/proc/self/task').length,
    files: readdirSync('/proc/self/fd').length,
    rssMb: process.memoryUsage.rss() / 2 ** 20,
  }
}

describe(`a soak of ${seconds} s`, () => {
  let server: KafkaServer
  before(async () => {
    server = await KafkaServer.start({
      properties: { 'log.retention.bytes': 200_000_000, 'log.segment.bytes': 50_000_000 },
    })
  })
  after(() => server?.stop())

  test('everything comes back in order, and memory, threads and files stay where they are', async () => {
    const topic = 'soak'
    const kafka = new Kafka({ brokers: server.bootstrap })
    await kafka.admin().createTopics([{ topic, partitions }])
    const producer = kafka.producer({ compression: 'lz4' })
    const consumer = kafka.consumer({ groupId: 'soak', autoOffsetReset: 'earliest' })
    await consumer.subscribe(topic)
    const next = new Array<number>(partitions).fill(0)
    let consumed = 0
    let produced = 0
    const stop = new AbortController()
    const reading = (async () => {
      try {
        for await (const batch of consumer.batches({ signal: stop.signal })) {
          for (const message of batch) {
            const expected = next[message.partition] as number
            assert.equal(message.offset, expected, `order in partition ${message.partition}`)
            next[message.partition] = expected + 1
            assert.equal(message.keyText(), message.text()?.slice(0, 8))
            consumed++
          }
        }
      } catch (error) {
        if (!stop.signal.aborted) throw error
      }
    })()
    reading.catch(error => stop.abort(error))

    const end = performance.now() + seconds * 1_000
    const samples: ReturnType<typeof resources>[] = []
    let sampled = 0
    while (performance.now() < end && !stop.signal.aborted) {
      const messages = Array.from({ length: 500 }, (_, i) => {
        const key = String(produced + i)
          .padStart(8, '0')
          .slice(-8)
        return { key, value: `${key} ${'x'.repeat((produced + i) % 400)}` }
      })
      await producer.sendBatch({ topic, messages })
      produced += messages.length
      if (performance.now() > sampled + 1_000) {
        sampled = performance.now()
        samples.push(resources())
      }
    }
    for (let i = 0; consumed < produced && i < 1_200 && !stop.signal.aborted; i++) await sleep(100)
    const failed = stop.signal.aborted
    stop.abort()
    if (failed) throw stop.signal.reason
    await reading
    assert.equal(consumed, produced)
    await kafka.close()

    const half = samples.length >> 1
    const peak = (part: typeof samples, of: 'threads' | 'files' | 'rssMb') =>
      Math.max(...part.map(sample => sample[of]))
    const [first, second] = [samples.slice(0, half), samples.slice(half)]
    assert.ok(peak(second, 'threads') <= peak(first, 'threads'), 'threads')
    assert.ok(peak(second, 'files') <= peak(first, 'files') + 2, 'open files')
    assert.ok(
      peak(second, 'rssMb') <= peak(first, 'rssMb') * 1.2 + 50,
      `memory: ${peak(first, 'rssMb')}, then ${peak(second, 'rssMb')} MB`,
    )
  })
})
