import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { TopicPattern } from '../ts/internal/topic-pattern.ts'
import { code, setUp, unique } from './support.ts'

describe('subscribe to a RegExp', () => {
  const context = setUp()

  async function until(what: () => boolean): Promise<void> {
    for (let waited = 0; !what(); waited += 20) {
      assert.ok(waited < 60_000, 'never')
      await sleep(20)
    }
  }

  test('reads the topics that match, and those that are created later', async () => {
    const name = unique('orders')
    const admin = context.kafka.admin()
    const made = [`${name}-eu`, `${name}-US`, `${name}-test`, `x-${name}-eu`]
    await admin.createTopics(made.map(topic => ({ topic, partitions: 1 })))
    // Of its own, as it asks for metadata more often.
    const { Kafka } = await import('../ts/index.ts')
    await using kafka = new Kafka({ brokers: context.broker.address, metadataMaxAgeMs: 100 })
    const consumer = kafka.consumer({ groupId: unique('group'), autoOffsetReset: 'earliest', heartbeatIntervalMs: 100 })
    // A look-ahead, which no RE2 has, and a flag that would remember where it was.
    await consumer.subscribe(new RegExp(`^${name}-(?!test)[a-z]+$`, 'gi'))
    await until(() => consumer.assignment().length === 2)
    assert.deepEqual(consumer.subscription(), [`${name}-US`, `${name}-eu`])
    await admin.createTopics([{ topic: `${name}-asia`, partitions: 1 }])
    await until(() => consumer.assignment().length === 3)

    await using producer = kafka.producer()
    for (const topic of [...made, `${name}-asia`]) await producer.send({ topic, value: topic })
    const read: string[] = []
    for await (const message of consumer) {
      read.push(message.text()!)
      if (read.length === 3) break
    }
    assert.deepEqual(read.sort(), [`${name}-US`, `${name}-asia`, `${name}-eu`])

    await consumer.subscribe(/^nothing$/)
    await until(() => consumer.assignment().length === 0)
    await consumer.subscribe(`${name}-test`)
    await until(() => consumer.assignment().length === 1)
    await consumer.close()
  })

  test('what cannot work is refused, and what was subscribed stays', async () => {
    const alone = context.kafka.consumer()
    await assert.rejects(alone.subscribe(/a/), code('INVALID_CONFIG', /group\.id/))
    await assert.rejects(alone.subscribe(5 as never), code('INVALID_ARGUMENT', /a RegExp/))
    await alone.close()
  })

  test('is told a broker only where it means the same there', () => {
    const told = (pattern: RegExp) => new TopicPattern(pattern).request.pattern
    // As a variable, since the compiler's target does not know it.
    const sets = 'v'
    assert.deepEqual(told(/^a.b/), { source: '^a.b', ignoreCase: false })
    assert.deepEqual(told(/^a/iy), { source: '^a', ignoreCase: true })
    assert.deepEqual(told(new RegExp('[\\w--a]', sets)), { ignoreCase: false })
    assert.deepEqual(told(/\W/iu), { ignoreCase: true })
  })
})
