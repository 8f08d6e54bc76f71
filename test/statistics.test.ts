import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Kafka, type Statistics } from '../ts/index.ts'
import { deferred, numbers, setUp, take } from './support.ts'

const one = (all: Statistics[], type: string): Statistics => {
  const found = all.find(statistics => statistics.type === type)
  assert.ok(found !== undefined, `no ${type} in ${JSON.stringify(all)}`)
  return found
}

describe('statistics', () => {
  const context = setUp()

  test('of a producer and a consumer have what they did, at the paths of librdkafka', async () => {
    const topic = `statistics-${process.pid}`
    await using kafka = new Kafka({ brokers: context.broker.address, clientId: 'counted' })
    await kafka.admin().createTopics([{ topic, partitions: 2 }])
    const producer = kafka.producer()
    for (let n = 0; n < 20; n++) await producer.send({ topic, partition: n % 2, value: `value ${n}` })
    const consumer = kafka.consumer({ groupId: `group-${topic}`, autoOffsetReset: 'earliest' })
    await consumer.subscribe(topic)
    assert.equal((await take(consumer, 20)).length, 20)
    await consumer.commit()

    const all = await kafka.statistics()
    assert.deepEqual(
      all.map(({ name, type, client_id }) => ({ name, type, client_id })),
      [
        { name: 'counted#producer-1', type: 'producer', client_id: 'counted' },
        { name: 'counted#consumer-1', type: 'consumer', client_id: 'counted' },
      ],
    )
    const out = one(all, 'producer')
    assert.deepEqual([out.txmsgs, out.ackmsgs, out.errmsgs, out.msg_cnt, out.msg_size], [20, 20, 0, 0, 0])
    assert.ok(out.txmsg_bytes > 20 * 61 && out.msg_size_max > 0, JSON.stringify(out))
    const { partitions, batchcnt, batchsize } = out.topics[topic]!
    assert.deepEqual([partitions['0']!.txmsgs, partitions['1']!.txmsgs], [10, 10])
    assert.deepEqual([batchcnt.cnt, batchcnt.sum, batchcnt.p50], [20, 20, 1])
    assert.equal(batchsize.sum, out.txmsg_bytes)
    assert.equal(out.eos?.idemp_state, 'Assigned')
    assert.ok(out.eos.producer_id >= 0)

    const broker = Object.values(out.brokers).find(({ source }) => source === 'learned')
    assert.ok(broker !== undefined)
    assert.deepEqual([broker.state, broker.txerrs, broker.req_timeouts, broker.outbuf_cnt], ['UP', 0, 0, 0])
    assert.equal(broker.req.Produce, 20)
    assert.ok(broker.rtt.cnt > 20 && broker.rtt.p99 >= broker.rtt.p50 && broker.rtt.p50 >= broker.rtt.min)
    assert.equal(broker.int_latency.cnt, 20)
    assert.deepEqual(Object.keys(broker.toppars).sort(), [`${topic}-0`, `${topic}-1`])
    const sum = (member: 'tx' | 'txbytes' | 'rxbytes') =>
      Object.values(out.brokers).reduce((total, each) => total + each[member], 0)
    assert.deepEqual([sum('tx'), sum('txbytes'), sum('rxbytes')], [out.tx, out.tx_bytes, out.rx_bytes])

    const read = one(all, 'consumer')
    assert.deepEqual([read.rxmsgs, read.fetch_buffer_size], [20, 0])
    assert.deepEqual([read.cgrp?.state, read.cgrp?.join_state, read.cgrp?.assignment_size], ['up', 'steady', 2])
    for (const part of Object.values(read.topics[topic]!.partitions)) {
      assert.deepEqual(
        [part.app_offset, part.hi_offset, part.ls_offset, part.consumer_lag, part.committed_offset, part.rxmsgs],
        [10, 10, 10, 0, 10, 10],
      )
      assert.deepEqual([part.fetch_state, part.leader], ['active', broker.nodeid])
    }
    // librdkafka's JSON: nothing in it is lost on the way.
    assert.deepEqual(JSON.parse(JSON.stringify(all)), all)
  })

  test('a window is the time since the last call, a counter is all time', async () => {
    const topic = await numbers(context.kafka, 1)
    await using kafka = new Kafka({ brokers: context.broker.address })
    const producer = kafka.producer()
    const rtt = async () => {
      const { brokers } = await producer.statistics()
      return Object.values(brokers).reduce(
        (count, broker) => count + (broker.rtt.cnt > 0 ? (broker.req.Produce ?? 0) : 0),
        0,
      )
    }
    await producer.send({ topic, value: '1' })
    assert.equal(await rtt(), 1)
    const { brokers } = await producer.statistics()
    const learned = Object.values(brokers).find(({ source }) => source === 'learned')!
    assert.deepEqual([learned.rtt.cnt, learned.req.Produce], [0, 1], 'nothing happened since')
    assert.equal(learned.int_latency.cnt, 0)
  })

  test('tell of bytes that wait in buffers', async () => {
    const topic = await numbers(context.kafka, 100)
    await using kafka = new Kafka({ brokers: context.broker.address })
    const consumer = kafka.consumer({ fetchMaxWaitMs: 20 })
    await consumer.assign([{ topic, partition: 0, offset: 0 }])
    await using other = new Kafka({ brokers: context.broker.address })
    const producer = other.producer({ lingerMs: 60_000 })
    const waiting = producer.send({ topic, value: 'x'.repeat(5000) })
    for (;;) {
      const { msg_cnt, msg_size, topics } = await producer.statistics()
      const part = topics[topic]?.partitions['0']
      if (msg_cnt === 1 && part !== undefined && part.msgq_cnt === 1) {
        assert.ok(msg_size >= 5000 && part.msgq_bytes >= 5000, JSON.stringify(part))
        break
      }
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    for (;;) {
      const { fetch_buffer_size, fetch_buffer_size_max, topics } = await consumer.statistics()
      const part = topics[topic]!.partitions['0']!
      if (part.fetchq_cnt === 100) {
        assert.ok(fetch_buffer_size > 0 && fetch_buffer_size <= fetch_buffer_size_max && part.fetchq_size > 0)
        break
      }
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    await producer.flush()
    await waiting
  })

  test('come to onStats at the interval, one document for each producer and consumer', async () => {
    const topic = await numbers(context.kafka, 1)
    const { promise, resolve } = deferred<Statistics[]>()
    const seen: Statistics[] = []
    await using kafka = new Kafka({
      brokers: context.broker.address,
      statisticsIntervalMs: 20,
      onStats: statistics => {
        seen.push(statistics)
        if (seen.some(({ type, ackmsgs }) => type === 'producer' && ackmsgs === 1) && seen.length > 4) resolve(seen)
      },
    })
    const producer = kafka.producer()
    kafka.consumer()
    await producer.send({ topic, value: '1' })
    const hold = setInterval(() => {}, 1000)
    const all = await promise
    clearInterval(hold)
    assert.ok(one(all, 'consumer').ts > 0)
    const times = all.filter(({ type }) => type === 'producer').map(({ ts }) => ts)
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    )
  })

  test('onStats without an interval is an error, as it would never be called', () => {
    const options = { brokers: 'localhost:1', onStats: () => {} }
    assert.throws(() => new Kafka(options), /onStats: is never called: statistics\.interval\.ms/)
    assert.throws(() => new Kafka({ ...options, onStats: 7 as never }), /onStats: is 7, not a function|onStats: is /)
  })
})
