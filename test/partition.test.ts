import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Kafka, Message, type Persistence } from '../ts/index.ts'
import { theEnvironment } from '../ts/internal/environment.ts'
import { sourceOf } from '../ts/internal/sources.ts'
import { code, setUp, unique } from './support.ts'

describe('one partition as a log', () => {
  const context = setUp()

  async function log(partitions = 2) {
    const topic = unique('log')
    await context.kafka.admin().createTopics([{ topic, partitions }])
    return context.kafka.partition(topic, partitions - 1)
  }

  test('what is produced is fetched as it was', async () => {
    const one = await log()
    const timestamp = Date.UTC(2026, 10, 21)
    const records = [
      { key: 'k', value: 'v', headers: { a: 'b' }, timestamp },
      { value: null, timestamp: new Date(timestamp) },
      { key: new Uint8Array([0, 255]), value: Buffer.alloc(0), headers: [['n', null]] as const, timestamp },
    ]
    for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
      const { offset, appendTime } = await one.produce(records, { compression })
      assert.equal(appendTime, null)
      const read = await one.fetch(offset)
      const next = offset + 3
      assert.ok(read.records.every(record => record instanceof Message))
      assert.deepEqual(
        { ...read, records: 0 },
        { records: 0, nextOffset: next, highWatermark: next, lastStable: next, logStart: 0 },
      )
      assert.deepEqual(
        read.records.map(({ offset, timestamp, key, value, headers }) => {
          return { offset, timestamp, key, value, headers: [...headers] }
        }),
        [
          { offset, timestamp, key: Buffer.from('k'), value: Buffer.from('v'), headers: [['a', Buffer.from('b')]] },
          { offset: offset + 1, timestamp, key: null, value: null, headers: [] },
          { offset: offset + 2, timestamp, key: Buffer.from([0, 255]), value: Buffer.alloc(0), headers: [['n', null]] },
        ],
      )
    }
  })

  test('a consumer and a log see the same records', async () => {
    const one = await log(1)
    await one.produce([{ value: 'a' }, { value: 'b' }])
    const { topic, partition } = one
    const consumer = context.kafka.consumer()
    await consumer.assign([{ topic, partition, offset: 1 }])
    for await (const message of consumer) {
      assert.equal(message.text(), 'b')
      break
    }
    await consumer.close()
  })

  test('a fetch waits for records, and no longer than it may', async () => {
    const one = await log()
    const none = await one.fetch(0, { maxWaitMs: 0 })
    assert.deepEqual([none.records, none.nextOffset], [[], 0])
    const [read] = await Promise.all([one.fetch(0, { maxWaitMs: 600_000 }), one.produce([{ value: 'v' }])])
    assert.equal(read.records[0]?.text(), 'v')
    const waiting = new AbortController()
    const late = one.fetch(1, { maxWaitMs: 600_000, signal: waiting.signal })
    waiting.abort()
    await assert.rejects(late, code('ABORTED'))
  })

  test('what cannot be is said', async () => {
    const one = await log()
    await assert.rejects(one.fetch(5), code('OFFSET_OUT_OF_RANGE'))
    await assert.rejects(one.fetch(-1), code('INVALID_ARGUMENT', /offset: -1/))
    await assert.rejects(one.fetch(0.5), code('INVALID_ARGUMENT', /0.5 is not a whole number/))
    await assert.rejects(one.produce([]), code('INVALID_ARGUMENT', /records: at least one/))
    await assert.rejects(one.produce(null as never), code('INVALID_ARGUMENT', /^records: is null, not an array/))
    const odd = { value: '', headers: { a: 5 as never } }
    await assert.rejects(
      one.produce([{ value: '' }, odd]),
      code('INVALID_ARGUMENT', /^records\[1\].headers.a: is a number/),
    )
    const late = { value: '', timestamp: -1 }
    await assert.rejects(one.produce([late]), code('INVALID_ARGUMENT', /^records\[0\].timestamp: is -1/))
    await assert.rejects(one.produce([{} as never]), code('INVALID_ARGUMENT', /records\[0\].value/))
    await assert.rejects(one.produce([{ value: 5 as never }]), code('INVALID_ARGUMENT', /records\[0\].value/))
    await assert.rejects(one.produce([{ value: '', partition: 1 } as never]), code('INVALID_ARGUMENT', /partition/))
    await assert.rejects(
      one.produce([{ value: '' }], { compression: 'x' as never }),
      code('INVALID_ARGUMENT', /'x' is none/),
    )
    assert.throws(() => context.kafka.partition('t', -1), code('INVALID_ARGUMENT', /partition/))
    assert.throws(() => context.kafka.partition(5 as never, 0), code('INVALID_ARGUMENT', /topic/))
    for (const name of ['a/b', '', '.', '..', 'ü', 'a'.repeat(250)])
      assert.throws(() => context.kafka.partition(name, 0), code('INVALID_ARGUMENT', /^topic: .* ASCII letters/))
    assert.equal(context.kafka.partition('a.b_c-D9', 0).topic, 'a.b_c-D9')
  })

  test('a batch whose answer was lost is an error that says so, and is in the log once', async () => {
    const one = await log()
    const action = { kind: 'close', when: 'after' } as const
    context.broker.faults.add({ api: 'Produce', topic: one.topic, count: 1, action })
    await assert.rejects(one.produce([{ value: 'v' }]), {
      persistence: 'possibly-persisted',
      message: /may have been written/,
    })
    assert.equal((await one.fetch(0)).records.length, 1)
  })

  test('a batch that was not acknowledged tells whether it is in the log all the same', async () => {
    const one = await log()
    const fate = (code: string, persistence: Persistence) => ({ code, persistence })
    const never = 'not-persisted'
    await assert.rejects(one.produce([]), fate('INVALID_ARGUMENT', never))
    await assert.rejects(one.produce([{ value: 5 as never }]), fate('INVALID_ARGUMENT', never))
    await assert.rejects(one.produce([{ value: '' }], { compression: 'x' as never }), fate('INVALID_ARGUMENT', never))
    await assert.rejects(one.produce([{ value: '' }], { signal: AbortSignal.abort() }), fate('ABORTED', never))
    const refusal = { kind: 'error', code: 'TOPIC_AUTHORIZATION_FAILED', when: 'before' } as const
    context.broker.faults.add({ api: 'Produce', topic: one.topic, count: 1, action: refusal })
    await assert.rejects(one.produce([{ value: '' }]), fate('TOPIC_AUTHORIZATION_FAILED', never))
    const halfway = { kind: 'error', code: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', when: 'after' } as const
    context.broker.faults.add({ api: 'Produce', topic: one.topic, count: 1, action: halfway })
    const possibly = fate('NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'possibly-persisted')
    await assert.rejects(one.produce([{ value: '' }]), possibly)

    const stop = new AbortController()
    const slow = { kind: 'delay', ms: 60_000, when: 'before' } as const
    const rule = context.broker.faults.add({ api: 'Produce', topic: one.topic, count: 1, action: slow })
    // Over connections of its own: an answer that is held back holds up those behind it.
    const other = new Kafka({ brokers: context.broker.address })
    const abandoned = other.partition(one.topic, one.partition).produce([{ value: '' }], { signal: stop.signal })
    while (rule.hits().fired === 0) await new Promise(setImmediate)
    stop.abort()
    await assert.rejects(abandoned, fate('ABORTED', 'possibly-persisted'))

    const closed = other.partition(one.topic, 0)
    await other.close()
    await assert.rejects(closed.produce([{ value: '' }]), fate('CLOSED', never))
  })

  test('many records and large ones cross whole, one call within another too', async () => {
    const one = await log()
    const values = Array.from({ length: 3_000 }, (_, i) => `${i}-${'x'.repeat(i % 200)}`)
    let inner: Promise<unknown> | undefined
    const first = {
      get value() {
        inner ??= one.produce([{ value: 'inner' }])
        return values[0]!
      },
    }
    await one.produce([first, ...values.slice(1).map(value => ({ value }))])
    await inner
    const large = 'y'.repeat(900_000)
    await one.produce([{ value: large, headers: [['h', large.slice(0, 9_000)]] }])
    const texts: (string | null)[] = []
    for (let next = 0; texts.length < 3_002; ) {
      const { records, nextOffset } = await one.fetch(next)
      for (const record of records) texts.push(record.text())
      next = nextOffset
    }
    assert.deepEqual(
      texts.filter(text => text !== 'inner' && text !== large),
      values,
    )
    assert.ok(texts.includes('inner') && texts.at(-1) === large)
  })

  test('what was read and nobody waited for is not kept', async () => {
    const one = await log()
    await one.produce([{ value: 'v' }])
    const { native } = theEnvironment()
    const taken: number[] = []
    const { chunks, cancel } = native
    native.chunks = id => {
      const list = chunks.call(native, id)
      taken.push(list.length)
      return list
    }
    // As when the answer is under way already.
    native.cancel = () => {}
    try {
      const stop = new AbortController()
      const fetched = one.fetch(0, { signal: stop.signal })
      stop.abort()
      await assert.rejects(fetched, code('ABORTED'))
      while (taken.length === 0) await one.fetch(1, { maxWaitMs: 0 })
      assert.deepEqual(taken, [1])
    } finally {
      Object.assign(native, { chunks, cancel })
    }
  })

  test('a partition that its topic does not have is told as soon as that is known', { timeout: 300_000 }, async () => {
    const one = await log(2)
    await using patient = new Kafka({ brokers: context.broker.address, defaultApiTimeoutMs: 3_600_000 })
    const missing = patient.partition(one.topic, 2)
    const unknown = code('UNKNOWN_TOPIC_OR_PARTITION', /has 2 partitions, numbered from 0/)
    await assert.rejects(missing.fetch(0), unknown)
    await assert.rejects(missing.produce([{ value: 'v' }]), unknown)
  })

  test('producers and consumers tell the partitions of a topic', async () => {
    const { topic } = await log(3)
    await using producer = context.kafka.producer()
    await using consumer = context.kafka.consumer()
    for (const one of [producer, consumer]) {
      const partitions = await one.partitionsFor(topic)
      assert.deepEqual(
        partitions.map(({ partition, leader }) => [partition, leader]),
        [0, 1, 2].map(partition => [partition, 1]),
      )
      await assert.rejects(one.partitionsFor(unique('none')), code('UNKNOWN_TOPIC_OR_PARTITION'))
      await assert.rejects(one.partitionsFor(topic, { signal: AbortSignal.abort() }), code('ABORTED'))
      await one.close()
      await assert.rejects(one.partitionsFor(topic), code('CLOSED'))
    }
  })

  test('a message of a partition has no consumer whose offsets could be committed', async () => {
    const one = await log()
    await one.produce([{ value: 'v' }])
    const { records } = await one.fetch(0)
    assert.throws(() => sourceOf(records[0]!), code('INVALID_ARGUMENT', /no consumer has read/))
  })
})
