/** What a send that rejects says of its records: whether they are in the log all the same. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Broker } from '../ts/broker.ts'
import { Kafka, KafkaError, PartialFailureError, type Persistence } from '../ts/index.ts'
import { ENTRY_WORDS, theEnvironment } from '../ts/internal/environment.ts'
import { setUp, unique } from './support.ts'

/** For `assert.rejects`: an error of this code with this persistence. */
const fate = (code: string, persistence: Persistence) => (error: KafkaError) => {
  assert.deepEqual([error.code, error.persistence], [code, persistence], error.stack)
  return true
}

describe('a send that rejects', () => {
  const context = setUp()
  const topicOf = async () => {
    const topic = unique('fate')
    await context.kafka.admin().createTopics([{ topic, partitions: 2 }])
    return topic
  }

  test('because of its arguments has not written anything', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    const not = fate('INVALID_ARGUMENT', 'not-persisted')
    await assert.rejects(producer.send(undefined as never), not)
    await assert.rejects(producer.send({ topic, value: 5 as never }), not)
    await assert.rejects(producer.send({ topic: '', value: '' }), not)
    await assert.rejects(producer.send({ topic: 'a\ud800', value: '' }), not)
    await assert.rejects(producer.send({ topic: 'a b', value: '' }), fate('INVALID_TOPIC_EXCEPTION', 'not-persisted'))
    await assert.rejects(producer.send({ topic, value: '' }, { singal: 1 } as never), not)
    await assert.rejects(producer.sendBatch({ topic, messages: null as never }), not)
    await assert.rejects(producer.sendBatch({ topic, messages: [{ value: '' }, null as never] }), not)
    assert.throws(() => producer.tryEnqueue({ topic, value: 5 as never }), not)
    assert.equal((await producer.send({ topic, value: 'first', partition: 0 })).offset, 0)
    await producer.close()
    await assert.rejects(producer.send({ topic, value: '' }), fate('CLOSED', 'not-persisted'))
    await assert.rejects(producer.sendBatch({ topic, messages: [{ value: '' }] }), fate('CLOSED', 'not-persisted'))
  })

  test('because a getter of a message in a batch threw has taken back those before it', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    let reads = 0
    const message = {
      get value() {
        // Checked well, and then it throws while it is written.
        if (++reads > 1) throw new TypeError('boom')
        return 'v'
      },
    }
    await assert.rejects(producer.sendBatch({ topic, messages: [{ value: 'a', partition: 0 }, message] }), error => {
      assert.match((error as Error).message, /^messages\[1\]: cannot be read: boom/)
      assert.equal(((error as Error).cause as Error).message, 'boom')
      return fate('INVALID_ARGUMENT', 'not-persisted')(error as KafkaError)
    })
    assert.equal((await producer.send({ topic, value: 'first', partition: 0 })).offset, 0)
    await producer.close()
  })

  test('as a batch tells what its failed records have in common', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    const action = { kind: 'error', code: 'TOPIC_AUTHORIZATION_FAILED', when: 'before' } as const
    const fault = context.broker.faults.add({ api: 'Produce', topic, count: 0, action })
    const messages = [
      { value: 'a', partition: 0 },
      { value: 'b', partition: 1 },
    ]
    await assert.rejects(producer.sendBatch({ topic, messages }), fate('TOPIC_AUTHORIZATION_FAILED', 'not-persisted'))
    await assert.rejects(producer.send({ topic, value: 'v' }), fate('TOPIC_AUTHORIZATION_FAILED', 'not-persisted'))
    fault.remove()
    await producer.close()
    const error = new PartialFailureError([
      { index: 0, error: new KafkaError('x', { code: 'X' }), persistence: 'persisted' },
      { index: 1, error: new KafkaError('x', { code: 'X' }), persistence: 'not-persisted' },
    ])
    assert.equal(error.persistence, 'possibly-persisted')
  })

  test('because its offset is beyond a number says that it is written', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    const { native } = theEnvironment()
    const { drain } = native
    const DELIVERY = 1
    // What a broker with such offsets answers: the high half of the offset in each delivery.
    native.drain = words => {
      const count = drain.call(native, words)
      for (let at = 0; at < count * ENTRY_WORDS; at += ENTRY_WORDS) if (words[at] === DELIVERY) words[at + 9] = 2 ** 30
      return count
    }
    try {
      await assert.rejects(producer.send({ topic, value: 'v' }), fate('UNSUPPORTED', 'persisted'))
      await assert.rejects(producer.sendBatch({ topic, messages: [{ value: 'v' }] }), fate('UNSUPPORTED', 'persisted'))
    } finally {
      native.drain = drain
    }
    await producer.close()
  })

  test('because a call into the engine failed may have been written, when nothing is known', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    const { native } = theEnvironment()
    const { append } = native
    native.append = () => {
      throw new Error('a defect')
    }
    try {
      await assert.rejects(producer.send({ topic, value: 'v' }), fate('PANIC', 'possibly-persisted'))
    } finally {
      native.append = append
    }
    assert.equal((await producer.send({ topic, value: 'first', partition: 0 })).offset, 0)
    await producer.close()
  })
})

test('options that mean "not given" leave the defaults: acks of null is all', async t => {
  const broker = await Broker.start()
  const kafka = new Kafka({ brokers: broker.address })
  t.after(async () => {
    await kafka.close()
    await broker.stop()
  })
  const producer = kafka.producer({ acks: null as never })
  assert.equal((await producer.send({ topic: 'acks', value: 'v' })).offset, 0)
  const none = kafka.producer({ acks: ' 0 ' as never })
  assert.equal((await none.send({ topic: 'acks', value: 'v' })).offset, -1)
})
