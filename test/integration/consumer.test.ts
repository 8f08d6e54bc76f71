import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Consumer, Kafka } from 'dohle'
import { created, type Server, servers, unique } from './servers.ts'

for (const [name, start] of servers) {
  describe(`consuming from ${name}`, () => {
    let server: Server
    let kafka: Kafka
    before(async () => {
      server = await start()
      kafka = new Kafka({ brokers: server.bootstrap })
    })
    after(async () => {
      await kafka?.close()
      await server?.stop()
    })

    /** A topic of one partition with `count` records whose values are their offsets. */
    async function filled(count: number): Promise<string> {
      const topic = unique('numbers')
      await created(kafka.admin(), [{ topic, partitions: 1 }])
      const producer = kafka.producer()
      await producer.sendBatch({ topic, messages: Array.from({ length: count }, (_, i) => ({ value: String(i) })) })
      await producer.close()
      return topic
    }

    const assigned = async (topic: string, offset = 0): Promise<Consumer> => {
      const consumer = kafka.consumer({ enableAutoCommit: false })
      await consumer.assign([{ topic, partition: 0, offset }])
      return consumer
    }

    test('timestamps 0 and now in one batch come back exactly', async () => {
      const topic = unique('timestamps')
      await created(kafka.admin(), [{ topic, partitions: 1 }])
      const now = Date.now()
      const times = [0, now, 1, now, 0, 2 ** 31, 2 ** 32 + 5]
      const producer = kafka.producer({ lingerMs: 50 })
      await producer.sendBatch({ topic, messages: times.map(timestamp => ({ value: 'v', timestamp })) })
      await producer.close()
      const consumer = await assigned(topic)
      const read: number[] = []
      for await (const message of consumer) {
        read.push(message.timestamp)
        if (read.length === times.length) break
      }
      assert.deepEqual(read, times)
      await consumer.close()
    })

    test('after a seek in the middle of a chunk the next record is the target, once', async () => {
      const topic = await filled(20_000)
      const consumer = await assigned(topic)
      const targets = [15_000, 3, 19_999, 0, 7_777]
      const seen: number[] = []
      let untilSeek = 500
      for await (const message of consumer) {
        seen.push(message.offset)
        if (--untilSeek > 0) continue
        const target = targets.shift()
        if (target === undefined) break
        consumer.seek({ topic, partition: 0, offset: target })
        seen.push(-target - 1)
        untilSeek = target === 19_999 ? 1 : 100
      }
      for (let i = 1; i < seen.length; i++) {
        const [before, here] = [seen[i - 1] as number, seen[i] as number]
        if (here < 0) continue
        assert.equal(here, before < 0 ? -before - 1 : before + 1, `record ${i} of ${seen.length}`)
      }
      await consumer.close()
    })

    test('a slow handler stays in its group as long as it goes on: the poll clock counts each record', async () => {
      const topic = await filled(1_000)
      const consumer = kafka.consumer({
        groupId: unique('slow'),
        autoOffsetReset: 'earliest',
        maxPollIntervalMs: 10_000,
        sessionTimeoutMs: 10_000,
        heartbeatIntervalMs: 1_000,
      })
      await consumer.subscribe(topic)
      let handled = 0
      let joined: ReturnType<Consumer['groupMetadata']> | undefined
      for await (const message of consumer) {
        joined ??= consumer.groupMetadata()
        assert.equal(message.offset, handled++)
        if (handled === 15) break
        await sleep(1_000)
      }
      assert.deepEqual(consumer.groupMetadata(), joined, 'the same member in the same generation')
      // Still a member: the commit is accepted, and the record in hand at `break` is not part of it.
      await consumer.commit([{ topic, partition: 0, offset: 14 }])
      const [committed] = await consumer.committed([{ topic, partition: 0 }])
      assert.equal(committed?.offset, 14)
      await consumer.close()
    })

    test('a second consumer of the group goes on where the first one stopped', async () => {
      const topic = await filled(300)
      const groupId = unique('next')
      const seen: number[] = []
      for (const stopAt of [100, 250, 300]) {
        const consumer = kafka.consumer({ groupId, autoOffsetReset: 'earliest' })
        await consumer.subscribe(topic)
        for await (const message of consumer) {
          if (message.offset === stopAt - 1) message.done()
          seen.push(message.offset)
          if (message.offset === stopAt - 1) break
        }
        await consumer.close()
      }
      assert.deepEqual(
        seen,
        Array.from({ length: 300 }, (_, i) => i),
      )
    })

    test('two consumers of a group share the partitions and read everything once', async () => {
      const topic = unique('shared')
      await created(kafka.admin(), [{ topic, partitions: 4 }])
      const groupId = unique('pair')
      const stop = new AbortController()
      const seen: string[] = []
      const consumers = [0, 1].map(() => kafka.consumer({ groupId, autoOffsetReset: 'earliest' }))
      const loops = consumers.map(async consumer => {
        await consumer.subscribe(topic)
        try {
          for await (const message of consumer.batches({ signal: stop.signal })) {
            for (const { partition, offset } of message) seen.push(`${partition}:${offset}`)
          }
        } catch (error) {
          if (!stop.signal.aborted) throw error
        }
      })
      // Both have joined before there is anything to read.
      for (let i = 0; i < 600; i++) {
        const shares = await Promise.all(consumers.map(consumer => consumer.assignment()))
        if (shares.every(share => share.length === 2)) break
        await sleep(100)
      }
      const producer = kafka.producer()
      await producer.sendBatch({
        topic,
        messages: Array.from({ length: 4_000 }, (_, i) => ({ key: `k${i}`, value: 'v' })),
      })
      for (let i = 0; seen.length < 4_000 && i < 600; i++) await sleep(100)
      stop.abort()
      await Promise.all(loops)
      assert.equal(seen.length, 4_000)
      assert.equal(new Set(seen).size, 4_000)
      await Promise.all([producer.close(), ...consumers.map(consumer => consumer.close())])
    })
  })
}
