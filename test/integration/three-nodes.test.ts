import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Kafka } from 'dohle'
import { Broker } from 'dohle/broker'
import { created, eventually, unique } from './servers.ts'
import { UnderLoad, until } from './under-load.ts'

// What `three-brokers.test.ts` does to Apache Kafka, done to three nodes of the embedded broker: in seconds, and with more kinds of
// trouble, as nodes can be cut off from each other and leaders moved at will.

const rounds = Number(process.env.DOHLE_CLUSTER_ROUNDS ?? 1)
const perKill = Number(process.env.DOHLE_RECORDS_PER_ROUND ?? 2_000)
const quick = {
  'broker.heartbeat.interval.ms': '100',
  'broker.session.timeout.ms': '1000',
  'replica.lag.time.max.ms': '1000',
  'min.insync.replicas': '2',
}

const three = () => Broker.start({ nodes: 3, properties: quick })

/** All partitions of a topic are led, by nodes that run, and all copies are in sync. */
async function whole(broker: Broker, topic: string, partitions: number): Promise<void> {
  await until('all copies are in sync', () =>
    Array.from({ length: partitions }, (_, index) => broker.cluster.partition(topic, index)).every(
      partition => partition?.leader != null && partition.inSync.length === 3,
    ),
  )
}

describe('three nodes of the embedded broker', () => {
  test('each killed in turn under load: leaders and coordinators move, nothing acknowledged is lost or twice, order holds, every send settles, lag returns to 0', async t => {
    await using broker = await three()
    const topic = unique('killed')
    const load = new UnderLoad(broker, topic, 6)
    await load.begin()
    for (let round = 1; round <= rounds; round++) {
      for (const { id } of broker.cluster.nodes()) {
        await load.advance(perKill, `before node ${id} is killed in round ${round}`)
        broker.cluster.kill(id)
        await load.advance(perKill, `without node ${id}`)
        await broker.cluster.start(id)
        await whole(broker, topic, 6)
      }
    }
    await load.advance(perKill, 'after the last restart')
    await load.endAndCheck()
    t.diagnostic(`${load.acknowledged.size} records, slowest ${Math.round(load.slowestMs)} ms`)
  })

  test('each stopped in turn, leaders moved and nodes cut off under load: the same holds', async t => {
    await using broker = await three()
    const topic = unique('moved')
    const load = new UnderLoad(broker, topic, 3)
    await load.begin()
    for (const { id } of broker.cluster.nodes()) {
      await load.advance(perKill, `before node ${id} stops`)
      await broker.cluster.stop(id)
      await load.advance(perKill, `without node ${id}`)
      await broker.cluster.start(id)
      await whole(broker, topic, 3)
      for (let partition = 0; partition < 3; partition++) broker.cluster.moveLeader(topic, partition, id)
      await load.advance(perKill, `with node ${id} as the leader of all`)
      const other = (id % 3) + 1
      broker.cluster.cut(id, other)
      await until('it is not in sync', () => broker.cluster.partition(topic, 0)?.inSync.length === 2)
      await load.advance(perKill, `with node ${other} cut off from node ${id}`)
      broker.cluster.heal(id, other)
      await whole(broker, topic, 3)
    }
    await load.endAndCheck()
    t.diagnostic(`${load.acknowledged.size} records, slowest ${Math.round(load.slowestMs)} ms`)
  })

  test('transactions go on while leaders and coordinators die: all or nothing, once each', async () => {
    await using broker = await three()
    await using kafka = new Kafka({ brokers: broker.bootstrap })
    const topic = unique('transactions')
    await created(kafka.admin(), [{ topic, partitions: 3 }])
    const producer = kafka.producer({ transactionalId: unique('id') })
    const committed: number[] = []
    let number = 0
    const one = async () => {
      const abort = number % 3 === 2
      const own = [number, number + 0.25, number + 0.5]
      number++
      const wanted = new Error('aborted on purpose')
      try {
        await producer.transaction(async transaction => {
          await Promise.all(own.map((value, partition) => transaction.send({ topic, partition, value: String(value) })))
          if (abort) throw wanted
        })
        committed.push(...own)
      } catch (error) {
        if (error !== wanted) throw error
      }
    }
    for (const { id } of broker.cluster.nodes()) {
      for (let n = 0; n < 10; n++) await one()
      broker.cluster.kill(id)
      for (let n = 0; n < 10; n++) await one()
      await broker.cluster.start(id)
      await whole(broker, topic, 3)
    }
    await producer.close()
    const seen: number[] = []
    await using consumer = kafka.consumer({ autoOffsetReset: 'earliest', isolationLevel: 'read_committed' })
    await consumer.assign([0, 1, 2].map(partition => ({ topic, partition })))
    const stop = new AbortController()
    const reading = (async () => {
      for await (const batch of consumer.batches({ signal: stop.signal }))
        for (const { value } of batch) seen.push(Number(value))
    })().catch(error => {
      if (!stop.signal.aborted) throw error
    })
    await until('all that was committed is read', () => seen.length >= committed.length)
    stop.abort()
    await reading
    const sorted = (of: number[]) => of.toSorted((a, b) => a - b)
    assert.deepEqual(sorted(seen), sorted(committed))
  })

  test('what a client is told of the cluster is what it is', async () => {
    await using broker = await Broker.start({ nodes: 3, racks: ['a', 'b'], properties: quick })
    await using kafka = new Kafka({ brokers: broker.bootstrap })
    const admin = kafka.admin()
    const nodes = broker.cluster.nodes()
    assert.deepEqual(
      nodes.map(({ id, rack, running, alive }) => ({ id, rack, running, alive })),
      ['a', 'b', 'a'].map((rack, at) => ({ id: at + 1, rack, running: true, alive: true })),
    )
    assert.equal(broker.bootstrap, nodes.map(node => node.address).join())
    assert.equal(broker.address, nodes[0]!.address)
    const told = await admin.describeCluster()
    assert.deepEqual(
      told.brokers.map(({ id, host, port, rack }) => ({ id, address: `${host}:${port}`, rack })),
      nodes.map(({ id, address, rack }) => ({ id, address, rack })),
    )
    assert.equal(broker.cluster.partition('nothing', 0), undefined)
    assert.throws(() => broker.cluster.kill(9), { code: 'INVALID_ARGUMENT' })
    await assert.rejects(broker.cluster.start(1), { code: 'INVALID_ARGUMENT' })
    broker.cluster.kill(2)
    await eventually(
      () => admin.describeCluster(),
      ({ brokers }) => brokers.length === 2,
    )
    assert.equal(await broker.cluster.start(2), nodes[1]!.address, 'at the port that it had')
    assert.match(await broker.cluster.start(), /:\d+$/)
    assert.deepEqual(
      broker.cluster.nodes().map(node => node.id),
      [1, 2, 3, 4],
    )
    await broker.cluster.stop(4)
    await assert.rejects(broker.cluster.stop(4), { code: 'INVALID_ARGUMENT' })
  })
})
