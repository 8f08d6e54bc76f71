import assert from 'node:assert/strict'
import { createConnection } from 'node:net'
import { describe, test } from 'node:test'
import { Broker } from '../ts/broker.ts'
import { Kafka } from '../ts/index.ts'
import { code, unique } from './support.ts'

const METADATA = 3

describe('broker', () => {
  test('starts on a free port, serves, and refuses connections once it has stopped', async () => {
    const broker = await Broker.start({ partitions: 4, clusterId: 'mine', nodeId: 7 })
    const [host, port] = broker.address.split(':')
    assert.equal(host, '127.0.0.1')
    const kafka = new Kafka({ brokers: broker.address })
    const cluster = await kafka.admin().describeCluster()
    assert.deepEqual(cluster, {
      clusterId: 'mine',
      controller: 7,
      brokers: [{ id: 7, host, port: Number(port), rack: null }],
    })
    await kafka.close()
    await broker.stop()
    await broker.close()
    await broker[Symbol.asyncDispose]()
    await assert.rejects(
      new Promise((resolve, reject) =>
        createConnection(Number(port), host).once('connect', resolve).once('error', reject),
      ),
      { code: 'ECONNREFUSED' },
    )
  })

  test('what it cannot do at its start is a readable error', async () => {
    const one = await Broker.start()
    const port = Number(one.address.split(':')[1])
    await assert.rejects(Broker.start({ port }), code('BROKER_UNREACHABLE', /cannot listen on/))
    await one.stop()
    await assert.rejects(Broker.start({ host: '0.0.0.0' }), code('INVALID_CONFIG', /allow_?[nN]on_?[lL]oopback/))
    await assert.rejects(Broker.start({ partitions: 0 }), code('INVALID_CONFIG', /partitions: 0/))
    await assert.rejects(Broker.start({ port: 'x' as never }), code('INVALID_ARGUMENT', /port/))
    await assert.rejects(Broker.start({ ports: 1 } as never), code('INVALID_ARGUMENT'))
    await assert.rejects(Broker.start({}, { signal: AbortSignal.abort() }), code('ABORTED'))
  })

  test('a fault happens as often as its rule says, is counted, and can be removed', async () => {
    const broker = await Broker.start()
    const kafka = new Kafka({ brokers: broker.address })
    const admin = kafka.admin()
    const topic = unique('faults')
    await admin.createTopics([{ topic, partitions: 1 }])
    const fault = broker.faults.add({ api: METADATA, nth: 2, action: { kind: 'delay', ms: 30, when: 'before' } })
    for (let i = 0; i < 3; i++) await admin.describeTopics([topic])
    assert.deepEqual(fault.hits(), { matched: 3, fired: 1 })
    assert.equal(fault.remove(), true)
    assert.equal(fault.remove(), false)
    broker.faults.add({ api: METADATA, count: 0, action: { kind: 'close', when: 'before' } })
    broker.faults.clear()
    await admin.describeTopics([topic])
    await kafka.close()
    await broker.stop()
  })
})

describe('admin', () => {
  test('creates, lists, describes and deletes topics, and tells all that failed', async () => {
    const broker = await Broker.start()
    const kafka = new Kafka({ brokers: broker.address })
    const admin = kafka.admin()
    const [a, b] = [unique('a'), unique('b')]
    const created = await admin.createTopics([
      { topic: a, partitions: 2, configs: { 'cleanup.policy': 'compact' } },
      { topic: b },
    ])
    assert.deepEqual(
      created.map(({ topic, partitions }) => [topic, partitions]),
      [
        [a, 2],
        [b, 1],
      ],
    )
    await assert.rejects(admin.createTopics([{ topic: a }]), code('TOPIC_ALREADY_EXISTS'))
    const c = unique('c')
    await assert.rejects(
      admin.createTopics([{ topic: a }, { topic: c }, { topic: b }]),
      code('TOPIC_ALREADY_EXISTS', /2 of 3 topics failed/),
    )
    assert.deepEqual(
      (await admin.listTopics()).map(({ topic }) => topic),
      [a, b, c].sort(),
    )
    const [described] = await admin.describeTopics([a])
    assert.equal(described?.partitions.length, 2)
    assert.equal(described?.partitions[1]?.leader, 1)
    await assert.rejects(admin.describeTopics(['nowhere']), code('UNKNOWN_TOPIC_OR_PARTITION'))
    await admin.deleteTopics([a, b, c])
    assert.deepEqual(await admin.listTopics(), [])
    await assert.rejects(
      admin.createTopics([{ topic: 5 as never }]),
      code('INVALID_ARGUMENT', /^admin\.createTopics: topics\[0\]\.topic/),
    )
    await assert.rejects(admin.createTopics('x' as never), code('INVALID_ARGUMENT', /topics/))
    await kafka.close()
    await assert.rejects(admin.listTopics(), code('CLOSED'))
    assert.throws(() => kafka.admin(), code('CLOSED'))
    assert.throws(() => kafka.producer(), code('CLOSED'))
    await kafka.close()
    await broker.stop()
  })

  test('a broker that cannot be reached is a typed error within its time', async () => {
    const kafka = new Kafka({ brokers: '127.0.0.1:1' })
    const begun = performance.now()
    await assert.rejects(kafka.admin().listTopics({ timeoutMs: 300 }), code('BROKER_UNREACHABLE'))
    assert.ok(performance.now() - begun < 3_000)
    await kafka.close()
  })
})
