import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { Broker } from '../ts/broker.ts'
import { Kafka } from '../ts/index.ts'
import { code as expected, unique } from './support.ts'

describe('broker', () => {
  test('starts on a free port, serves, and refuses connections once it has stopped', async () => {
    await using broker = await Broker.start({ partitions: 4, clusterId: 'mine', nodeId: 7 })
    const [host, port] = broker.address.split(':')
    assert.equal(host, '127.0.0.1')
    const kafka = new Kafka({ brokers: broker.address })
    const cluster = await kafka.admin().describeCluster()
    assert.deepEqual(cluster, {
      clusterId: 'mine',
      controller: 7,
      brokers: [{ id: 7, host, port: Number(port), rack: null, fenced: false }],
      authorizedOperations: null,
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
    await assert.rejects(
      Broker.start({ port }),
      expected('CANNOT_LISTEN', /cannot listen on .*; another process .* 0 for a free one/),
    )
    await one.stop()
    await assert.rejects(Broker.start({ host: '0.0.0.0' }), expected('INVALID_CONFIG', /allow_?[nN]on_?[lL]oopback/))
    await assert.rejects(Broker.start({ partitions: 0 }), expected('INVALID_CONFIG', /partitions: 0/))
    await assert.rejects(Broker.start({ port: 'x' as never }), expected('INVALID_ARGUMENT', /port/))
    await assert.rejects(Broker.start({ ports: 1 } as never), expected('INVALID_ARGUMENT'))
    await assert.rejects(Broker.start({}, { signal: AbortSignal.abort() }), expected('ABORTED'))
  })

  test("with logDir it has its topics and records again, and its folder is nobody else's meanwhile", async () => {
    const logDir = mkdtempSync(join(tmpdir(), 'dohle-log-dir-'))
    try {
      let id: string | undefined
      for (const values of [['one'], ['one', 'two']]) {
        await using broker = await Broker.start({ logDir })
        await using kafka = new Kafka({ brokers: broker.address })
        await kafka.producer().send({ topic: 'kept', value: values.at(-1)! })
        const consumer = kafka.consumer()
        await consumer.assign([{ topic: 'kept', partition: 0, offset: 0 }])
        const messages = consumer[Symbol.asyncIterator]()
        for (const value of values) {
          const { value: message } = await messages.next()
          assert.equal(message?.text(), value)
        }
        const { clusterId } = await kafka.admin().describeCluster()
        assert.equal(id ?? clusterId, clusterId)
        id = clusterId!
        await assert.rejects(
          Broker.start({ logDir }),
          expected('CANNOT_USE_LOG_DIR', /another broker uses this folder/),
        )
      }
      await assert.rejects(Broker.start({ logDir, nodeId: 7 }), expected('CANNOT_USE_LOG_DIR', /the node 1, not to 7/))
      const wrong = { logDir, clusterId: 'AAAAAAAAAAAAAAAAAAAAAA' }
      await assert.rejects(Broker.start(wrong), expected('CANNOT_USE_LOG_DIR', new RegExp(`the cluster ${id}, not`)))
    } finally {
      rmSync(logDir, { recursive: true, force: true })
    }
  })

  test("takes Kafka's properties, alone or as a file's text, and tells where it listens", async () => {
    const serverProperties = 'num.partitions = 2\nnum.io.threads=9\nlisteners=PLAINTEXT://127.0.0.1:0,B://[::1]:0\n'
    const properties = { 'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,B:PLAINTEXT', 'log.retention.ms': '77' }
    const text = `${serverProperties}listener.security.protocol.map=PLAINTEXT:PLAINTEXT,B:PLAINTEXT`
    await using broker = await Broker.start({ serverProperties: text, properties, partitions: 4 })
    assert.deepEqual(broker.notices, ['line 2: num.io.threads has no effect here'])
    assert.deepEqual(
      broker.listeners.map(of => of.name),
      ['PLAINTEXT', 'B'],
    )
    for (const { address } of broker.listeners) {
      await using kafka = new Kafka({ brokers: address })
      const topic = unique('listened')
      await kafka.admin().createTopics([{ topic }])
      assert.equal((await kafka.admin().describeTopics([topic]))[0]?.partitions.length, 4, 'options go before the file')
      const [described] = await kafka.admin().describeConfigs([{ type: 'TOPIC', name: topic, keys: ['retention.ms'] }])
      assert.equal(described?.configs[0]?.value, '77')
      const [told] = (await kafka.admin().describeCluster()).brokers
      assert.equal(told?.host.includes(':'), address.startsWith('['), `${address}: ${told?.host}`)
    }
    const wrong = { serverProperties: '# one\nnum.partition=3' }
    await assert.rejects(
      Broker.start(wrong),
      expected('INVALID_CONFIG', /line 2: Unknown broker config name: num.part/),
    )
    const tls = { properties: { 'ssl.cipher.suites': 'x' } }
    await assert.rejects(Broker.start(tls), expected('INVALID_CONFIG', /not served here/))
  })

  test('a fault happens as often as its rule says, is counted, and can be removed', async () => {
    await using broker = await Broker.start()
    const kafka = new Kafka({ brokers: broker.address })
    const admin = kafka.admin()
    const topic = unique('faults')
    await admin.createTopics([{ topic, partitions: 1 }])
    const action = { kind: 'delay', ms: 30, when: 'before' } as const
    const fault = broker.faults.add({ api: 'DescribeTopicPartitions', nth: 2, action })
    for (let i = 0; i < 3; i++) await admin.describeTopics([topic])
    assert.deepEqual(fault.hits(), { matched: 3, fired: 1, held: 0 })
    assert.equal(fault.remove(), true)
    assert.equal(fault.remove(), false)
    broker.faults.add({ api: 3, count: 0, action: { kind: 'close', when: 'before' } })
    broker.faults.clear()
    await admin.describeTopics([topic])
    await kafka.close()
    await broker.stop()
  })
})

describe('a fault rule', () => {
  test("takes Kafka's names of APIs and errors as well as the numbers", async () => {
    await using broker = await Broker.start()
    await using kafka = new Kafka({ brokers: broker.address })
    const topic = unique('named')
    await kafka.admin().createTopics([{ topic, partitions: 1 }])
    await using producer = kafka.producer()
    for (const [api, code] of [
      ['Produce', 'TOPIC_AUTHORIZATION_FAILED'],
      [0, 29],
      ['Produce', 29],
    ] as const) {
      const fault = broker.faults.add({ api, topic, action: { kind: 'error', code, when: 'before' } })
      await assert.rejects(producer.send({ topic, value: 'v' }), expected('TOPIC_AUTHORIZATION_FAILED'))
      assert.deepEqual(fault.hits(), { matched: 1, fired: 1, held: 0 })
      fault.remove()
    }
    assert.equal((await producer.send({ topic, value: 'v' })).offset, 0)
  })

  test('matches by version and node, and holds until it releases or ends', async () => {
    await using broker = await Broker.start({ nodeId: 3 })
    await using kafka = new Kafka({ brokers: broker.address })
    const topic = unique('held')
    await kafka.admin().createTopics([{ topic, partitions: 1 }])
    await using producer = kafka.producer()
    await producer.send({ topic, value: 'v' })
    const action = { kind: 'hold', when: 'before' } as const
    const others = [
      { node: 4, action },
      { version: 3, action },
    ].map(rule => broker.faults.add({ api: 'Produce', count: 0, ...rule }))
    const fault = broker.faults.add({ api: 'Produce', node: 3, count: 0, action })
    for (const go of [() => assert.equal(fault.release(), 1), () => assert.equal(fault.remove(), true)]) {
      const sent = producer.send({ topic, value: 'v' })
      while (fault.hits().held === 0) await setTimeout(1)
      go()
      await sent
    }
    assert.deepEqual(fault.hits(), { matched: 2, fired: 2, held: 0 })
    for (const other of others) assert.equal(other.hits().matched, 0)
    // A broker stops although it holds.
    broker.faults.add({ api: 'Produce', action })
    const brief = new Kafka({ brokers: broker.address, requestTimeoutMs: 500 })
    const settled = assert.rejects(brief.producer({ deliveryTimeoutMs: 1_000 }).send({ topic, value: 'v' }))
    await broker.stop()
    await settled
    await brief.close()
  })

  test('with a probability acts on the same requests in every run of a seed', async () => {
    const run = async (faultSeed: number) => {
      await using broker = await Broker.start({ faultSeed })
      await using kafka = new Kafka({ brokers: broker.address })
      const admin = kafka.admin()
      await admin.describeCluster()
      const action = { kind: 'error', code: 'CLUSTER_AUTHORIZATION_FAILED', when: 'before' } as const
      const fault = broker.faults.add({ api: 'DescribeCluster', count: 0, probability: 0.5, action })
      const failed: boolean[] = []
      for (let i = 0; i < 40; i++) {
        failed.push(
          await admin.describeCluster().then(
            () => false,
            () => true,
          ),
        )
      }
      const { fired, matched } = fault.hits()
      assert.equal(matched, 40)
      assert.equal(fired, failed.filter(Boolean).length)
      return failed
    }
    const first = await run(1)
    assert.ok(first.includes(true) && first.includes(false))
    assert.deepEqual(await run(1), first)
    assert.notDeepEqual(await run(2), first)
  })

  test('with a name that Kafka does not have is refused, with the nearest one', async () => {
    await using broker = await Broker.start()
    const action = { kind: 'error', code: 'REQUEST_TIMED_OUT', when: 'before' } as const
    const add = (rule: object) => () => broker.faults.add({ action, ...rule })
    assert.throws(add({ api: 'produce' }), expected('INVALID_ARGUMENT', /^api: 'produce' .* did you mean Produce\?/))
    assert.throws(
      add({ action: { ...action, code: 'NOT_LEADER' } }),
      expected('INVALID_ARGUMENT', /^action\.code: 'NOT_LEADER' is no error of Kafka/),
    )
    assert.throws(
      add({ action: { ...action, code: 'REQUEST_TIMEDOUT' } }),
      expected('INVALID_ARGUMENT', /did you mean REQUEST_TIMED_OUT\?/),
    )
    assert.throws(add({ api: 1.5 }), expected('INVALID_ARGUMENT', /^api: 1\.5 is not a whole number/))
    assert.throws(add({ api: 2 ** 15 }), expected('INVALID_ARGUMENT', /^api: 32768 is above 32767/))
    assert.throws(add({ probability: 1.5 }), expected('INVALID_ARGUMENT', /^probability: 1\.5 is /))
    assert.throws(add({ probability: Number.NaN }), expected('INVALID_ARGUMENT', /probability: /))
    assert.throws(add({ version: -1 }), expected('INVALID_ARGUMENT', /^version: -1 is below 0/))
    assert.throws(add({ nth: 0 }), expected('INVALID_ARGUMENT', /^nth: 0 is below 1/))
    assert.throws(
      add({ action: { ...action, kind: 'explode' } }),
      expected('INVALID_ARGUMENT', /'explode', not one of/),
    )
    assert.throws(
      add({ action: { ...action, after: 5 } }),
      expected('INVALID_ARGUMENT', /^action\.after: is not an op/),
    )
  })
})

describe("a broker's options", () => {
  const start = (options: object) => async () => {
    const broker = await Broker.start(options)
    await broker.stop()
  }

  for (const [given, problem] of [
    [{ partitions: Number.NaN }, /^partitions: NaN is not a whole number/],
    [{ partitions: 1.5 }, /^partitions: 1\.5 is not a whole number/],
    [{ partitions: 2 ** 31 }, /^partitions: 2147483648 is above 2147483647/],
    [{ partitions: 3n }, /^partitions: is a bigint, not a number/],
    [{ partitions: () => 3 }, /^partitions: is a function, not a number/],
    [{ port: Symbol('p') }, /^port: is a symbol, not a number/],
    [{ port: -1 }, /^port: -1 is below 0/],
    [{ nodeId: -1 }, /^nodeId: -1 is below 0/],
    [{ maxMessageBytes: Number.POSITIVE_INFINITY }, /^maxMessageBytes: Infinity is not a whole number/],
    [{ autoCreateTopics: 'no' }, /^autoCreateTopics: is a string, neither true nor false/],
    [{ clusterId: 'a\ud800' }, /^clusterId: has half of a surrogate pair at 1/],
    [{ partition: 3 }, /^partition: is not an option here; there are .*partitions/],
  ] as const) {
    test(`never become the default unnoticed: ${problem.source}`, async () => {
      await assert.rejects(start(given), expected('INVALID_ARGUMENT', problem))
    })
  }

  test('that are null or undefined are not given', async () => {
    await start({ partitions: null, port: undefined, nothing: undefined })()
  })
})

describe('admin', () => {
  test('creates, lists, describes and deletes topics, and tells all that failed', async () => {
    await using broker = await Broker.start()
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
    await assert.rejects(admin.createTopics([{ topic: a }]), expected('TOPIC_ALREADY_EXISTS'))
    const c = unique('c')
    await assert.rejects(
      admin.createTopics([{ topic: a }, { topic: c }, { topic: b }]),
      expected('TOPIC_ALREADY_EXISTS', /2 of 3 failed/),
    )
    assert.deepEqual(
      (await admin.listTopics()).map(({ topic }) => topic),
      [a, b, c].sort(),
    )
    const [described] = await admin.describeTopics([a])
    assert.equal(described?.partitions.length, 2)
    assert.equal(described?.partitions[1]?.leader, 1)
    await assert.rejects(admin.describeTopics(['nowhere']), expected('UNKNOWN_TOPIC_OR_PARTITION'))
    await admin.deleteTopics([a, b, c])
    assert.deepEqual(await admin.listTopics(), [])
    await assert.rejects(
      admin.createTopics([{ topic: 5 as never }]),
      expected('INVALID_ARGUMENT', /^topics\[0\]\.topic: is a number, not a string/),
    )
    await assert.rejects(admin.createTopics('x' as never), expected('INVALID_ARGUMENT', /topics/))
    await kafka.close()
    await assert.rejects(admin.listTopics(), expected('CLOSED'))
    assert.throws(() => kafka.admin(), expected('CLOSED'))
    assert.throws(() => kafka.producer(), expected('CLOSED'))
    await kafka.close()
    await broker.stop()
  })

  test('a broker that cannot be reached is a typed error within its time', async () => {
    const kafka = new Kafka({ brokers: '127.0.0.1:1' })
    const begun = performance.now()
    await assert.rejects(kafka.admin().listTopics({ timeoutMs: 300 }), expected('BROKER_UNREACHABLE'))
    assert.ok(performance.now() - begun < 3_000)
    await kafka.close()
  })
})
