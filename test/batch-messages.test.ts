import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ProducerMessage } from '../ts/records.ts'
import { assigned, code, setUp, unique } from './support.ts'

describe('the list of messages of a batch', () => {
  const context = setUp({ partitions: 1 })
  const topicOf = async () => {
    const topic = unique('batched')
    await context.kafka.admin().createTopics([{ topic, partitions: 1 }])
    return topic
  }

  test('lands in order through several arenas, with headers in its middle that can be read only once', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    const messages: ProducerMessage[] = Array.from({ length: 900 }, (_, i) => ({ value: `${i}`.padEnd(1_000, '.') }))
    for (const place of [400, 401, 899]) {
      messages[place] = { value: `${place}`, headers: new Map([['place', `${place}`]]).entries() }
    }
    const landed = (await producer.sendBatch({ topic, messages })).toArray()
    assert.deepEqual(
      landed.map(({ offset }) => offset),
      messages.map((_, place) => place),
    )
    const consumer = await assigned(context.kafka, topic)
    const found: [string, string | null | undefined][] = []
    for await (const message of consumer) {
      found.push([message.text()!.replaceAll('.', ''), message.headers.text('place')])
      if (found.length === messages.length) break
    }
    assert.deepEqual(
      found,
      messages.map((_, place) => [`${place}`, [400, 401, 899].includes(place) ? `${place}` : undefined]),
    )
    await consumer.close()
    await producer.close()
  })

  test('with a hole is refused before anything is sent, however long it says it is', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    const messages = [{ value: 'a' }, { value: 'b' }]
    messages.length = 4_294_967_295
    const refused = code('INVALID_ARGUMENT', /^messages\[2\]: is undefined, not an object/)
    await assert.rejects(producer.sendBatch({ topic, messages }), refused)
    assert.equal((await producer.send({ topic, value: 'first' })).offset, 0)
    await producer.close()
  })

  test('that a getter shortens while it is written sends nothing', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    let reads = 0
    const messages: ProducerMessage[] = [{ value: 'a' }, { value: 'b' }, { value: 'c' }]
    Object.defineProperty(messages[0], 'key', {
      get() {
        if (++reads > 1) messages.length = 1
        return null
      },
    })
    await assert.rejects(producer.sendBatch({ topic, messages }), code('INVALID_ARGUMENT', /^messages\[1\]/))
    assert.equal((await producer.send({ topic, value: 'first' })).offset, 0)
    await producer.close()
  })
})
