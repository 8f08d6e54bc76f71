import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assigned, numbers, setUp, unique } from './support.ts'

/** Counts how often the event loop turns, until `stop`. */
function turns() {
  const count = { value: 0 }
  let next = setImmediate(function again() {
    count.value++
    next = setImmediate(again)
  })
  return { count, stop: () => clearImmediate(next) }
}

function work(ms: number) {
  const until = performance.now() + ms
  while (performance.now() < until);
}

describe('the event loop', () => {
  const context = setUp()

  for (const way of ['a loop', 'forEach', 'forEach by partition', 'a stream', 'a Node stream'] as const) {
    test(`runs at least every few records while ${way} works 1 ms on each`, async () => {
      const topic = await numbers(context.kafka, 300)
      const consumer = await assigned(context.kafka, topic)
      const loop = turns()
      const perTurn: number[] = []
      let last = -1
      const one = () => {
        if (loop.count.value !== last) perTurn.push(0)
        last = loop.count.value
        perTurn[perTurn.length - 1]!++
        work(1)
        return perTurn.reduce((sum, n) => sum + n) < 300
      }
      if (way === 'a loop') {
        for await (const _ of consumer) if (!one()) break
      } else if (way === 'a stream') {
        for await (const _ of consumer.stream()) if (!one()) break
      } else if (way === 'a Node stream') {
        for await (const _ of consumer.readable()) if (!one()) break
      } else {
        const concurrency = way === 'forEach' ? 1 : 'partition'
        await consumer.forEach(() => void (one() || void consumer.close()), { concurrency })
      }
      loop.stop()
      await consumer.close()
      // The clock is looked at after the first step, and from then on whenever as many are done as fit into a part of a slice.
      assert.ok(Math.max(...perTurn) <= 5, String(perTurn))
      assert.ok(perTurn.length >= 300 / 6, String(perTurn))
    })
  }

  test('runs at least every few answers while a program sends at each of them, and works 1 ms on each', async () => {
    const topic = unique('answers')
    await context.kafka.admin().createTopics([{ topic, partitions: 1 }])
    const producer = context.kafka.producer()
    await producer.send({ topic, value: 'the topic is known from here on' })
    const loop = turns()
    const perTurn: number[] = []
    let last = -1
    let sent = 0
    const chain = async () => {
      while (sent++ < 1_000) {
        const answer = producer.send({ topic, value: 'v' })
        for (let i = 0; i < 10; i++) await null // it leaves at the end of the tick, so that it is answered during the work
        work(1)
        await answer
        if (loop.count.value !== last) perTurn.push(0)
        last = loop.count.value
        perTurn[perTurn.length - 1]!++
      }
    }
    await Promise.all([chain(), chain(), chain()])
    loop.stop()
    await producer.close()
    // Three at a time until 4 ms are over, and as many before it is looked whether there was a turn. Without that: hundreds.
    assert.ok(Math.max(...perTurn) <= 20, String(perTurn))
  })

  test('runs at every chunk boundary of batches, and memory that was read is given back', async () => {
    const topic = unique('bytes')
    await context.kafka.admin().createTopics([{ topic, partitions: 1 }])
    const producer = context.kafka.producer()
    const messages = Array.from({ length: 20_000 }, (_, i) => ({ value: Buffer.alloc(1_000, i) }))
    await producer.sendBatch({ topic, messages })
    await producer.close()
    const consumer = await assigned(context.kafka, topic)
    const loop = turns()
    let bytes = 0
    let batches = 0
    let most = 0
    for await (const batch of consumer.batches()) {
      batches++
      for (const message of batch) bytes += message.value!.length
      const { external, arrayBuffers } = process.memoryUsage()
      most = Math.max(most, external + arrayBuffers)
      if (batch.lastOffset === 19_999) {
        if (bytes >= 400_000_000) break
        consumer.seek({ topic, partition: 0, offset: 0 })
      }
    }
    loop.stop()
    await consumer.close()
    assert.ok(loop.count.value >= batches - 1, `${loop.count.value} turns, ${batches} batches`)
    assert.ok(most < 200_000_000, `${most} bytes held of ${bytes} read`)
  })
})
