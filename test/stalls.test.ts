import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import type { Consumer, PartitionStatistics, Stall } from '../ts/index.ts'
import { numbers, setUp, take } from './support.ts'

/** The next report about a partition that has this reason. */
async function stalled(consumer: Consumer, reason: Stall['reason']): Promise<Stall> {
  for (;;) {
    const [stall] = (await once(consumer, 'stalled')) as [Stall]
    if (stall.reason === reason) return stall
  }
}

/** The statistics of a consumer's only partition. */
async function only(consumer: Consumer): Promise<PartitionStatistics> {
  const { topics } = await consumer.statistics()
  const [partition] = Object.values(topics).flatMap(topic => Object.values(topic.partitions))
  assert.ok(partition !== undefined)
  return partition
}

describe('a partition that stands still', () => {
  const context = setUp()

  test('is told by an event and in the statistics, with the reason, until it moves', async () => {
    const topic = await numbers(context.kafka, 10)
    const of = { topic, partition: 0 }
    const consumer = context.kafka.consumer({ stalledReportMs: 200, fetchMaxWaitMs: 20 })
    await consumer.assign([{ ...of, offset: 0 }])
    assert.equal((await take(consumer, 4)).length, 4)
    consumer.pause([of])
    const stall = await stalled(consumer, 'paused')
    // The loop was left with a record in hand, which counts as given.
    assert.deepEqual({ ...stall, idleMs: 0 }, { ...of, position: 4, lag: 6, idleMs: 0, reason: 'paused' })
    assert.ok(stall.idleMs >= 200, `${stall.idleMs}`)
    const still = await only(consumer)
    assert.equal(still.stalled, 'paused')
    assert.equal(still.fetch_state, 'paused')
    assert.ok(still.idle_ms >= 200 && still.stalls >= 1 && still.consumer_lag === 6, JSON.stringify(still))
    consumer.resume([of])
    await take(consumer, 6)
    const { app_offset, consumer_lag, idle_ms, stalled: why } = await only(consumer)
    assert.deepEqual(
      { app_offset, consumer_lag, idle_ms, why },
      { app_offset: 10, consumer_lag: 0, idle_ms: 0, why: null },
    )
    await consumer.close()
    await assert.rejects(consumer.statistics(), /closed/)
  })

  test('has the error that stops it as the cause', async () => {
    const topic = await numbers(context.kafka, 10)
    const action = { kind: 'error', code: 'KAFKA_STORAGE_ERROR', when: 'before' } as const
    context.broker.faults.add({ api: 'Fetch', topic, count: 0, action })
    const consumer = context.kafka.consumer({ stalledReportMs: 200, fetchMaxWaitMs: 20 })
    await consumer.assign([{ topic, partition: 0, offset: 0 }])
    const { cause } = await stalled(consumer, 'backing-off')
    assert.equal(cause?.code, 'KAFKA_STORAGE_ERROR')
    assert.equal(cause.retriable, true)
    await consumer.close()
  })

  test('is not told when the program does not want it', async () => {
    const topic = await numbers(context.kafka, 10)
    const consumer = context.kafka.consumer({ stalledReportMs: 0 })
    consumer.on('stalled', stall => assert.fail(JSON.stringify(stall)))
    await consumer.assign([{ topic, partition: 0, offset: 0 }])
    await take(consumer, 1)
    await new Promise(resolve => setTimeout(resolve, 500))
    assert.equal((await only(consumer)).consumer_lag, 9)
    await consumer.close()
  })
})
