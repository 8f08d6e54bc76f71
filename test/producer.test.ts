import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Kafka, PartialFailureError, type RecordMetadata } from '../ts/index.ts'
import { assigned, code, setUp, take, unique } from './support.ts'

const PRODUCE = 0
const TOPIC_AUTHORIZATION_FAILED = 29

describe('producer', () => {
  const context = setUp({ partitions: 3 })
  const topicOf = async (partitions = 1) => {
    const topic = unique('produced')
    await context.kafka.admin().createTopics([{ topic, partitions }])
    return topic
  }

  for (const count of [20, 1_000]) {
    test(`${count} sends at a time land once each, in order, and each knows its offset`, async () => {
      const topic = await topicOf()
      const producer = context.kafka.producer()
      const sent = await Promise.all(
        Array.from({ length: count }, (_, i) => producer.send({ topic, value: String(i) })),
      )
      assert.deepEqual(
        sent.map(({ offset }) => offset),
        Array.from({ length: count }, (_, i) => i),
      )
      const consumer = await assigned(context.kafka, topic)
      assert.deepEqual(
        await take(consumer, count),
        Array.from({ length: count }, (_, i) => `0:${i}`),
      )
      await consumer.close()
      await producer.close()
    })
  }

  test('a topic that was refused is asked about again, by the next send and by another producer', async () => {
    const action = { kind: 'error', code: 'TOPIC_AUTHORIZATION_FAILED', when: 'before' } as const
    const producers = [context.kafka.producer(), context.kafka.producer()] as const
    for (const next of producers) {
      const topic = await topicOf()
      const fault = context.broker.faults.add({ api: 'Metadata', topic, count: 0, action })
      for (let i = 0; i < 2; i++) {
        await assert.rejects(producers[0].send({ topic, value: 'v' }), code('TOPIC_AUTHORIZATION_FAILED'))
      }
      fault.remove()
      assert.equal((await next.send({ topic, value: 'v' })).offset, 0)
    }
    for (const producer of producers) await producer.close()
  })

  test('a batch tells where each of its records landed, whatever partitions they went to', async () => {
    const topic = await topicOf(3)
    const producer = context.kafka.producer()
    const messages = Array.from({ length: 3_000 }, (_, i) => ({ key: `k${i % 97}`, value: String(i) }))
    const batch = await producer.sendBatch({ topic, messages })
    assert.equal(batch.length, messages.length)
    assert.deepEqual([batch.at(-1), batch.at(3_000), batch.at(-3_001)], [batch.at(2_999), undefined, undefined])
    const landed = [...batch]
    assert.deepEqual(landed, batch.toArray())
    assert.deepEqual(JSON.parse(JSON.stringify(batch)), landed)
    const consumer = await assigned(context.kafka, topic, 3)
    const found = new Map<string, string>()
    for await (const message of consumer) {
      found.set(`${message.partition}:${message.offset}`, message.text() ?? '')
      if (found.size === messages.length) break
    }
    assert.deepEqual(
      landed.map(({ partition, offset }) => found.get(`${partition}:${offset}`)),
      messages.map(({ value }) => value),
    )
    await consumer.close()
    await producer.close()
  })

  test('a topic that does not exist yet is made, and what was sent meanwhile waits for it', async () => {
    const topic = unique('auto')
    const producer = context.kafka.producer()
    const sent = await Promise.all(
      Array.from({ length: 50 }, (_, i) => producer.send({ topic, key: `k${i}`, value: 'v' })),
    )
    assert.deepEqual(new Set(sent.map(({ partition }) => partition)), new Set([0, 1, 2]))
    await producer.close()
  })

  test('key, value, headers, partition and timestamp arrive as they were sent', async () => {
    const topic = await topicOf(2)
    const producer = context.kafka.producer()
    const headers: [string, string | null][] = [
      ['a', '1'],
      ['a', null],
      ['ü', '€'],
    ]
    const timestamp = new Date('2001-02-03T04:05:06.789Z')
    const at = await producer.send({
      topic,
      key: 'schlüssel',
      value: Buffer.from([0, 255]),
      headers,
      partition: 1,
      timestamp,
    })
    assert.deepEqual(at, { topic, partition: 1, offset: 0, appendTime: null })
    await producer.send({ topic, value: null, partition: 1, headers: { b: new Uint8Array([7]) } })
    const consumer = await assigned(context.kafka, topic, 2)
    const iterator = consumer.messages()
    const first = (await iterator.next()).value!
    assert.equal(first.keyText(), 'schlüssel')
    assert.deepEqual(first.value, Buffer.from([0, 255]))
    assert.equal(first.timestamp, timestamp.getTime())
    assert.deepEqual(
      [...first.headers].map(([name, value]) => [name, value?.toString() ?? null]),
      headers,
    )
    assert.equal(first.headers.get('a'), null)
    assert.deepEqual(first.headers.getAll('a'), [Buffer.from('1'), null])
    assert.equal(first.headers.text('ü'), '€')
    assert.equal(first.headers.get('none'), undefined)
    const second = (await iterator.next()).value!
    assert.deepEqual([second.key, second.value, second.text(), second.json()], [null, null, null, null])
    assert.deepEqual(second.headers.get('b'), Buffer.from([7]))
    await consumer.close()
    await producer.close()
  })

  test('a batch that fails in part tells which records, and why', async () => {
    const topic = await topicOf(3)
    const producer = context.kafka.producer()
    const action = { kind: 'error', code: TOPIC_AUTHORIZATION_FAILED, when: 'before' } as const
    const fault = context.broker.faults.add({ api: PRODUCE, topic, partition: 1, action })
    const messages = Array.from({ length: 9 }, (_, i) => ({ value: `v${i}`, partition: i % 3 }))
    await assert.rejects(producer.sendBatch({ topic, messages }), (error: unknown) => {
      assert.ok(error instanceof PartialFailureError)
      assert.equal(error.code, 'TOPIC_AUTHORIZATION_FAILED')
      assert.deepEqual(
        error.failures.map(({ index, persistence, error }) => [index, persistence, error.code]),
        [1, 4, 7].map(index => [index, 'not-persisted', 'TOPIC_AUTHORIZATION_FAILED']),
      )
      return true
    })
    assert.equal(fault.hits().fired, 1)
    const consumer = await assigned(context.kafka, topic, 3)
    const read = await take(consumer, 6)
    assert.deepEqual(read.sort(), ['0:v0', '0:v3', '0:v6', '2:v2', '2:v5', '2:v8'])
    await consumer.close()
    await producer.close()
  })

  test('a record that is too large fails alone, before anything is sent', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer({ maxRequestSize: 10_000 })
    const messages = [{ value: 'a' }, { value: Buffer.alloc(20_000) }, { value: 'c' }]
    await assert.rejects(producer.sendBatch({ topic, messages }), (error: unknown) => {
      assert.ok(error instanceof PartialFailureError)
      const [failure, ...others] = error.failures
      assert.equal(others.length, 0)
      assert.deepEqual(
        [failure?.index, failure?.error.code, failure?.persistence],
        [1, 'MESSAGE_TOO_LARGE', 'not-persisted'],
      )
      return true
    })
    await assert.rejects(
      producer.send({ topic, value: Buffer.alloc(20_000) }),
      code('MESSAGE_TOO_LARGE', /10000|10,000/),
    )
    await producer.close()
  })

  test('records larger than an arena are sent in their place among smaller ones', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    const sizes = [10, 300_000, 20, 800_000, 262_144 - 28, 30]
    const sent = sizes.map((size, i) => producer.send({ topic, value: Buffer.alloc(size, i) }))
    assert.deepEqual(
      (await Promise.all(sent)).map(({ offset }) => offset),
      [0, 1, 2, 3, 4, 5],
    )
    const consumer = await assigned(context.kafka, topic)
    let i = 0
    for await (const { value } of consumer) {
      assert.ok(value?.equals(Buffer.alloc(sizes[i]!, i)))
      if (++i === sizes.length) break
    }
    await consumer.close()
    await producer.close()
  })

  test('a message of a wrong type is named by field and index, and nothing of its batch is sent', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    const messages = [{ value: 'fine' }, { value: 5 as never }]
    await assert.rejects(
      producer.sendBatch({ topic, messages }),
      code('INVALID_ARGUMENT', /^messages\[1\]\.value: is a number/),
    )
    await assert.rejects(producer.send({ topic, value: {} as never }), code('INVALID_ARGUMENT', /^value: is an object/))
    await assert.rejects(producer.send(null as never), code('INVALID_ARGUMENT', /^message: is null/))
    await assert.rejects(
      producer.send({ topic: 5 as never, value: '' }),
      code('INVALID_ARGUMENT', /^topic: is a number/),
    )
    await assert.rejects(producer.send({ topic: 'a b', value: '' }), code('INVALID_TOPIC_EXCEPTION'))
    assert.equal((await producer.send({ topic, value: 'first' })).offset, 0)
    assert.deepEqual((await producer.sendBatch({ topic, messages: [] })).toArray(), [])
    await producer.close()
  })

  test('with memory full sends wait in order, and tryEnqueue says so', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer({ bufferMemory: 65_536, batchSize: 16_384 })
    const value = Buffer.alloc(1_000)
    const sent: Promise<RecordMetadata>[] = []
    for (let i = 0; i < 1_000; i++) sent.push(producer.send({ topic, value }))
    await new Promise(resolve => setImmediate(resolve))
    let refused = 0
    for (let i = 0; i < 1_000; i++) {
      while (!producer.tryEnqueue({ topic, value })) {
        refused++
        await producer.ready()
      }
    }
    assert.ok(refused > 0)
    assert.deepEqual(
      (await Promise.all(sent)).map(({ offset }) => offset),
      Array.from({ length: 1_000 }, (_, i) => i),
    )
    await producer.flush()
    assert.equal((await producer.send({ topic, value })).offset, 2_000)
    await producer.close()
  })

  test('a signal withdraws what has not left, and says so of what has', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    const early = new AbortController()
    const withdrawn = producer.send({ topic, value: 'withdrawn' }, { signal: early.signal })
    const kept = producer.send({ topic, value: 'kept' })
    early.abort()
    await assert.rejects(withdrawn, (error: unknown) => {
      assert.ok(code('ABORTED')(error))
      assert.equal((error as { persistence?: string }).persistence, 'not-persisted')
      return true
    })
    assert.equal((await kept).offset, 0)
    const fault = context.broker.faults.add({ api: PRODUCE, topic, action: { kind: 'delay', ms: 200, when: 'before' } })
    const late = new AbortController()
    const left = producer.send({ topic, value: 'left' }, { signal: late.signal })
    setTimeout(() => late.abort(), 50)
    await assert.rejects(left, (error: unknown) => {
      assert.equal((error as { persistence?: string }).persistence, 'possibly-persisted')
      return code('ABORTED')(error)
    })
    assert.equal(fault.hits().fired, 1)
    await assert.rejects(producer.send({ topic, value: 'never' }, { signal: late.signal }), code('ABORTED'))
    assert.equal((await producer.send({ topic, value: 'last' })).offset, 2)
    await producer.close()
  })

  test('a batch whose signal is aborted in the same tick is not sent at all', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    const abort = new AbortController()
    const messages = Array.from({ length: 100 }, () => ({ value: 'v' }))
    const sent = producer.sendBatch({ topic, messages }, { signal: abort.signal })
    abort.abort()
    await assert.rejects(sent, code('ABORTED', /was not sent/))
    assert.equal((await producer.send({ topic, value: 'first' })).offset, 0)
    await producer.close()
  })

  test('with acks 0 a send is done at once and knows no offset', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer({ acks: 0 })
    assert.deepEqual(await producer.send({ topic, value: 'v' }), { topic, partition: -1, offset: -1, appendTime: null })
    assert.equal((await producer.send({ topic, value: 'v', partition: 0 })).partition, 0)
    await producer.flush()
    await producer.close()
    const consumer = await assigned(context.kafka, topic)
    assert.deepEqual(await take(consumer, 2), ['0:v', '0:v'])
    await consumer.close()
  })

  test('flush tells of records that nobody waited for, once', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    const action = { kind: 'error', code: TOPIC_AUTHORIZATION_FAILED, when: 'before' } as const
    context.broker.faults.add({ api: PRODUCE, topic, action })
    for (let i = 0; i < 3; i++) assert.equal(producer.tryEnqueue({ topic, value: `v${i}` }), true)
    await assert.rejects(producer.flush(), (error: unknown) => {
      assert.ok(error instanceof PartialFailureError)
      assert.equal(error.failures.length, 3)
      return code('TOPIC_AUTHORIZATION_FAILED')(error)
    })
    await producer.flush()
    await producer.close()
  })

  test('after close everything says so, and a second close is a no-op', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    const sent = producer.send({ topic, value: 'v' })
    const closing = producer.close()
    assert.equal((await sent).offset, 0)
    await assert.rejects(producer.send({ topic, value: 'v' }), code('CLOSED'))
    await assert.rejects(producer.sendBatch({ topic, messages: [] }), code('CLOSED'))
    assert.throws(() => producer.tryEnqueue({ topic, value: 'v' }), code('CLOSED'))
    await assert.rejects(producer.flush(), code('CLOSED'))
    await closing
    await producer.close()
    await producer[Symbol.asyncDispose]()
  })

  test('close with a timeout settles everything though no broker can be reached', async () => {
    const kafka = new Kafka({ brokers: '127.0.0.1:1' })
    const producer = kafka.producer()
    const sent = [producer.send({ topic: 't', value: 'v' }), producer.send({ topic: 't', value: 'w' })]
    const failed = Promise.allSettled(sent)
    const begun = performance.now()
    await producer.close({ timeout: 200 })
    assert.ok(performance.now() - begun < 2_000)
    for (const outcome of await failed) assert.equal(outcome.status, 'rejected')
    await kafka.close()
  })

  test('options that cannot work are refused with their name and value', () => {
    const make = (options: object) => () => context.kafka.producer(options)
    assert.throws(make({ lingerMs: -5 }), code('INVALID_CONFIG', /^linger\.ms: -5 is below 0/))
    assert.throws(make({ acks: 1, enableIdempotence: true }), code('INVALID_CONFIG', /enable\.idempotence/))
    assert.throws(make({ lingerMillis: 5 }), code('INVALID_CONFIG', /lingerMillis/))
    assert.throws(() => new Kafka({} as never), code('INVALID_CONFIG', /bootstrap\.servers/))
    assert.throws(() => new Kafka(undefined as never), code('INVALID_ARGUMENT', /^options: is undefined/))
  })

  test('headers that can be read only once arrive, alone and in a batch', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    const headers = () =>
      new Map(
        [
          ['a', '1'],
          ['b', '2'],
        ].map(pair => pair as [string, string]),
      ).entries()
    await producer.sendBatch({ topic, messages: [{ value: 'batch', headers: headers() }] })
    // The arena is nearly full, so that this one is written twice.
    const filling = producer.send({ topic, value: Buffer.alloc(262_144 - 64) })
    await Promise.all([filling, producer.send({ topic, value: 'alone', headers: headers() })])
    const consumer = await assigned(context.kafka, topic)
    const read: [string, number][] = []
    for await (const message of consumer) {
      if (message.value!.length < 10) read.push([message.text()!, message.headers.size])
      if (message.offset === 2) break
    }
    assert.deepEqual(read, [
      ['batch', 2],
      ['alone', 2],
    ])
    await consumer.close()
    await producer.close()
  })

  test('what is no signal, no timeout or no option is refused before anything is done', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    const signal = new AbortController() as never
    await assert.rejects(
      producer.send({ topic, value: 'v' }, { signal }),
      code('INVALID_ARGUMENT', /^signal: .*AbortC/),
    )
    await assert.rejects(
      producer.sendBatch({ topic, messages: [{ value: 'v' }] }, { signal }),
      code('INVALID_ARGUMENT'),
    )
    await assert.rejects(producer.flush({ signal }), code('INVALID_ARGUMENT'))
    await assert.rejects(context.kafka.admin().listTopics({ signal }), code('INVALID_ARGUMENT', /^signal/))
    await assert.rejects(producer.close({ timeout: Number.NaN }), code('INVALID_ARGUMENT', /^timeout: is NaN/))
    assert.equal((await producer.send({ topic, value: 'first' })).offset, 0)
    assert.throws(() => context.kafka.producer({ lingerMs: Number.NaN }), code('INVALID_ARGUMENT', /^lingerMs: is NaN/))
    assert.throws(() => context.kafka.producer({ lingerMs: 5n as never }), code('INVALID_ARGUMENT', /^lingerMs/))
    assert.throws(
      () => context.kafka.producer({ deliveryTimeoutMs: Number.POSITIVE_INFINITY }),
      code('INVALID_ARGUMENT', /^deliveryTimeoutMs: is Infinity/),
    )
    await producer.close({ timeout: 1_000.5 })
  })

  test('a getter of a message cannot write into the middle of it', async () => {
    const topic = await topicOf()
    const producer = context.kafka.producer()
    const inner: Promise<unknown>[] = []
    const headers = {
      get a() {
        inner.push(assert.rejects(producer.send({ topic, value: 'inner' }), code('INVALID_ARGUMENT', /getter/)))
        return 'x'
      },
    }
    assert.equal((await producer.send({ topic, value: 'outer', headers })).offset, 0)
    assert.ok(inner.length > 0)
    await Promise.all(inner)
    await producer.close()
  })
})
