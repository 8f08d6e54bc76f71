import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
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
      assert.deepEqual(
        { ...read, records: 0 },
        { records: 0, nextOffset: next, highWatermark: next, lastStable: next, logStart: 0 },
      )
      assert.deepEqual(
        read.records.map(({ headers, ...record }) => ({ ...record, headers: [...headers] })),
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
    assert.equal(read.records[0]?.value?.toString(), 'v')
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
    await assert.rejects(one.produce([{} as never]), code('INVALID_ARGUMENT', /records\[0\].value/))
    await assert.rejects(one.produce([{ value: 5 as never }]), code('INVALID_ARGUMENT', /records\[0\].value/))
    await assert.rejects(one.produce([{ value: '', partition: 1 } as never]), code('INVALID_ARGUMENT', /partition/))
    await assert.rejects(
      one.produce([{ value: '' }], { compression: 'x' as never }),
      code('INVALID_ARGUMENT', /'x' is none/),
    )
    assert.throws(() => context.kafka.partition('t', -1), code('INVALID_ARGUMENT', /partition/))
    assert.throws(() => context.kafka.partition(5 as never, 0), code('INVALID_ARGUMENT', /topic/))
  })

  test('a batch whose answer was lost is an error that says so, and is in the log once', async () => {
    const one = await log()
    const action = { kind: 'close', when: 'after' } as const
    context.broker.faults.add({ api: 'Produce', topic: one.topic, count: 1, action })
    await assert.rejects(one.produce([{ value: 'v' }]), /may have been written/)
    assert.equal((await one.fetch(0)).records.length, 1)
  })
})
