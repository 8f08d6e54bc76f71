/** What ends: calls whose signal is aborted, and `close`, whatever stands in its way. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Broker } from '../ts/broker.ts'
import { type Consumer, Kafka } from '../ts/index.ts'
import { code, setUp, unique } from './support.ts'

describe('every call that takes a signal', () => {
  const context = setUp()
  const signal = AbortSignal.abort(new Error('mine'))

  const grouped = () => context.kafka.consumer({ groupId: unique('g') })
  const calls: Record<string, () => Promise<unknown>> = {
    'producer.send': () => context.kafka.producer().send({ topic: 't', value: 'v' }, { signal }),
    'producer.sendBatch': () => context.kafka.producer().sendBatch({ topic: 't', messages: [] }, { signal }),
    'producer.ready': () => context.kafka.producer().ready({ signal }),
    'producer.flush': () => context.kafka.producer().flush({ signal }),
    'consumer.subscribe': () => grouped().subscribe('t', { signal }),
    'consumer.unsubscribe': () => grouped().unsubscribe({ signal }),
    'consumer.assign': () => grouped().assign([], { signal }),
    'consumer.messages': () => grouped().messages({ signal }).next(),
    'consumer.batches': () => grouped().batches({ signal }).next(),
    'consumer.forEach': () => grouped().forEach(() => {}, { signal }),
    'consumer.stream': async () => grouped().stream({ signal }),
    'consumer.readable': async () => grouped().readable({ signal }),
    'consumer.commit': () => grouped().commit([], { signal }),
    'consumer.committed': () => grouped().committed([], { signal }),
    'consumer.offsetsAt': () => grouped().offsetsAt([], { signal }),
    'admin.createTopics': () => context.kafka.admin().createTopics([], { signal }),
    'admin.deleteTopics': () => context.kafka.admin().deleteTopics([], { signal }),
    'admin.listTopics': () => context.kafka.admin().listTopics({ signal }),
    'admin.describeTopics': () => context.kafka.admin().describeTopics([], { signal }),
    'admin.describeCluster': () => context.kafka.admin().describeCluster({ signal }),
    'Broker.start': () => Broker.start({}, { signal }),
  }
  for (const [name, call] of Object.entries(calls)) {
    test(`does nothing when it is aborted already, and tells why: ${name}`, async () => {
      await assert.rejects(call(), (error: Error) => {
        assert.equal((error.cause as Error).message, 'mine')
        return code('ABORTED')(error)
      })
    })
  }
})

describe('where nobody listens', () => {
  // A port that was free a moment ago: connections are refused.
  const nowhere = async () => {
    const broker = await Broker.start()
    await broker.stop()
    return new Kafka({ brokers: broker.address, defaultApiTimeoutMs: 60_000 })
  }

  const waiting: Record<string, (kafka: Kafka, signal: AbortSignal) => Promise<unknown>> = {
    'producer.send': (kafka, signal) => kafka.producer().send({ topic: 't', value: 'v' }, { signal }),
    'producer.flush': (kafka, signal) => {
      const producer = kafka.producer()
      producer.tryEnqueue({ topic: 't', value: 'v' })
      return producer.flush({ signal })
    },
    'a loop': async (kafka, signal) => {
      const consumer = kafka.consumer()
      await consumer.assign([{ topic: 't', partition: 0 }])
      for await (const _ of consumer.messages({ signal }));
    },
    'consumer.committed': (kafka, signal) =>
      kafka.consumer({ groupId: 'g' }).committed([{ topic: 't', partition: 0 }], { signal }),
    'admin.createTopics': (kafka, signal) => kafka.admin().createTopics([{ topic: 't' }], { signal }),
  }
  for (const [name, call] of Object.entries(waiting)) {
    test(`a signal ends what waits at once: ${name}`, async () => {
      const kafka = await nowhere()
      const abort = new AbortController()
      const called = call(kafka, abort.signal)
      setTimeout(() => abort.abort(), 50)
      await assert.rejects(called, code('ABORTED'))
      // What was given to `tryEnqueue` and not sent is told by close.
      await kafka.close({ timeout: 0 }).catch(code('CLOSED'))
    })
  }

  for (const timeout of [0, 100]) {
    test(`close settles with a timeout of ${timeout}, and with it everything that waits`, async () => {
      const kafka = await nowhere()
      const sent = kafka.producer().send({ topic: 't', value: 'v' })
      const consumer = kafka.consumer({ groupId: 'g' })
      await consumer.subscribe('t')
      const read = consumer.messages().next()
      await new Promise(resolve => setImmediate(resolve))
      const [send, next] = await Promise.all([
        assert.rejects(sent, code('CLOSED')),
        read,
        kafka.close({ timeout }),
        kafka.close(),
      ])
      assert.deepEqual([send, next], [undefined, { done: true, value: undefined }])
    })
  }

  test('`await using` settles within the time that the options allow, and runs in the body of a loop', async () => {
    let consumer: Consumer
    {
      const broker = await Broker.start()
      await broker.stop()
      await using kafka = new Kafka({ brokers: broker.address, requestTimeoutMs: 200, defaultApiTimeoutMs: 500 })
      await using producer = kafka.producer({ deliveryTimeoutMs: 500, lingerMs: 0 })
      await using using = kafka.consumer({ groupId: 'g' })
      consumer = using
      await consumer.subscribe('t')
      producer.send({ topic: 't', value: 'v' }).catch(() => {})
    }
    assert.throws(() => consumer.assignment(), code('CLOSED'))
  })
})
