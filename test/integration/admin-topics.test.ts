/** Admin operations on topics, partitions, records, offsets and configs, against a real Kafka and the embedded broker. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Admin, Kafka, KafkaError } from 'dohle'
import { becomes, created, eventually, type Server, servers, unique } from './servers.ts'

/** For `assert.rejects`: an error of this code. */
const code = (expected: string) => (error: unknown) => error instanceof KafkaError && error.code === expected

for (const [name, start] of servers) {
  describe(`admin operations on topics on ${name}`, () => {
    const real = name === 'Apache Kafka'
    let server: Server
    let kafka: Kafka
    let admin: Admin
    before(async () => {
      server = await start()
      kafka = new Kafka({ brokers: server.bootstrap })
      admin = kafka.admin()
    })
    after(async () => {
      await kafka?.close()
      await server?.stop()
    })

    /** A topic with these records in partition 0, one second apart. */
    async function filled(what: string, values: string[], options: { partitions?: number; from?: number } = {}) {
      const topic = unique(what)
      await created(admin, [{ topic, partitions: options.partitions ?? 1 }])
      const producer = kafka.producer()
      const from = options.from ?? 1_000_000
      const messages = values.map((value, i) => ({ partition: 0, value, timestamp: from + i * 1_000 }))
      await producer.sendBatch({ topic, messages })
      await producer.close()
      return topic
    }

    const earliest = async (topic: string) => {
      const [found] = await admin.listOffsets([{ topic, partition: 0, offset: { kind: 'earliest' } }])
      return found?.offset
    }

    test('createPartitions adds partitions, and validateOnly does not', async () => {
      const topic = await filled('more', [])
      await admin.createPartitions([{ topic, count: 4 }], { validateOnly: true })
      assert.equal((await admin.describeTopics([topic]))[0]?.partitions.length, 1)
      await admin.createPartitions([{ topic, count: 4 }])
      await becomes(async () => (await admin.describeTopics([topic]))[0]?.partitions.length, 4)
      await assert.rejects(admin.createPartitions([{ topic, count: 2 }]), code('INVALID_PARTITIONS'))
    })

    test('deleteRecords moves the first offset, to a place or to the end', async () => {
      const topic = await filled('shorter', ['a', 'b', 'c', 'd'])
      const deleted = await admin.deleteRecords([{ topic, partition: 0, beforeOffset: 2 }])
      assert.deepEqual(deleted, [{ topic, partition: 0, lowWatermark: 2 }])
      assert.equal(await earliest(topic), 2)
      assert.deepEqual(await admin.deleteRecords([{ topic, partition: 0 }]), [{ topic, partition: 0, lowWatermark: 4 }])
      assert.equal(await earliest(topic), 4)
      await assert.rejects(admin.deleteRecords([{ topic, partition: 0, beforeOffset: 9 }]), code('OFFSET_OUT_OF_RANGE'))
    })

    test('listOffsets finds the first, the last, a time and the largest timestamp', async () => {
      const topic = await filled('times', ['a', 'b', 'c'], { from: 1_000_000 })
      const partition = 0
      const found = await admin.listOffsets([{ topic, partition, offset: { kind: 'latest' } }])
      assert.deepEqual(
        found.map(({ offset, error }) => [offset, error]),
        [[3, null]],
      )
      const at = async (offset: Parameters<Admin['listOffsets']>[0][0]['offset']) =>
        (await admin.listOffsets([{ topic, partition, offset }]))[0]
      assert.equal((await at({ kind: 'earliest' }))?.offset, 0)
      assert.equal((await at({ kind: 'timestamp', timestamp: 1_000_500 }))?.offset, 1)
      assert.equal((await at({ kind: 'timestamp', timestamp: 1_000_500 }))?.timestamp, 1_001_000)
      assert.equal((await at({ kind: 'timestamp', timestamp: 9_000_000 }))?.offset, null)
      const largest = await at({ kind: 'maxTimestamp' })
      assert.deepEqual([largest?.offset, largest?.timestamp], [2, 1_002_000])
      assert.equal((await at({ kind: 'earliestLocal' }))?.offset, 0)
    })

    test('listOffsets tells the error of a partition beside the others', async () => {
      const topic = await filled('one', ['a'])
      const [there, not] = await admin.listOffsets([
        { topic, partition: 0, offset: { kind: 'latest' } },
        { topic, partition: 7, offset: { kind: 'latest' } },
      ])
      assert.equal(there?.offset, 1)
      assert.ok(not?.error instanceof KafkaError)
      assert.equal(not.error.code, 'UNKNOWN_TOPIC_OR_PARTITION')
    })

    test('describeTopics is the same in pages of any size', async () => {
      const topics = [unique('b'), unique('a'), unique('c')]
      await created(
        admin,
        topics.map((topic, i) => ({ topic, partitions: 3 + i })),
      )
      const whole = await admin.describeTopics(topics)
      assert.deepEqual(
        whole.map(({ topic, partitions }) => [topic, partitions.map(of => of.partition)]),
        [
          [topics[0], [0, 1, 2]],
          [topics[1], [0, 1, 2, 3]],
          [topics[2], [0, 1, 2, 3, 4]],
        ],
      )
      for (const partitionsPerRequest of [1, 2, 4]) {
        assert.deepEqual(await admin.describeTopics(topics, { partitionsPerRequest }), whole)
      }
    })

    test('deleteTopicsById deletes that topic and no other', async () => {
      const [topic, other] = [unique('gone'), unique('stays')]
      const [made] = await created(admin, [{ topic }, { topic: other }])
      await admin.deleteTopicsById([made?.id as string])
      const listed = async () => (await admin.listTopics()).map(listed => listed.topic)
      const names = await eventually(listed, names => !names.includes(topic))
      assert.ok(names.includes(other))
      await assert.rejects(admin.deleteTopicsById([made?.id as string]), code('UNKNOWN_TOPIC_ID'))
      await assert.rejects(admin.deleteTopicsById(['what']), /ids\[0\]: is not an id/)
    })

    test('incrementalAlterConfigs changes what it names, and describeConfigs tells it', async () => {
      const topic = await filled('configured', [])
      const settings = async () => {
        const keys = ['retention.ms', 'max.message.bytes']
        const [described] = await admin.describeConfigs([{ type: 'TOPIC', name: topic, keys }])
        return Object.fromEntries(described?.configs.map(of => [of.name, [of.value, of.source]]) ?? [])
      }
      await admin.incrementalAlterConfigs([
        {
          type: 'TOPIC',
          name: topic,
          configs: [
            { name: 'retention.ms', value: '3600000' },
            { name: 'max.message.bytes', value: '2000000' },
          ],
        },
      ])
      await becomes(settings, {
        'retention.ms': ['3600000', 'DYNAMIC_TOPIC_CONFIG'],
        'max.message.bytes': ['2000000', 'DYNAMIC_TOPIC_CONFIG'],
      })

      await admin.incrementalAlterConfigs([
        { type: 'TOPIC', name: topic, configs: [{ name: 'retention.ms', operation: 'DELETE' }] },
      ])
      await becomes(settings, {
        'retention.ms': ['604800000', 'DEFAULT_CONFIG'],
        'max.message.bytes': ['2000000', 'DYNAMIC_TOPIC_CONFIG'],
      })
      await assert.rejects(
        admin.incrementalAlterConfigs([
          { type: 'TOPIC', name: topic, configs: [{ name: 'retention.ms', operation: 'PLUS' }] },
        ]),
        /resources\[0\]\.configs\[0\]\.operation: is none of SET, DELETE/,
      )
    })

    test('describeTopics tells what this client may do, and describeConfigs synonyms and documentation', async () => {
      const topic = await filled('allowed', [])
      const [described] = await admin.describeTopics([topic], { includeAuthorizedOperations: true })
      assert.ok(described?.authorizedOperations?.includes('WRITE'), `${described?.authorizedOperations}`)
      assert.equal((await admin.describeTopics([topic]))[0]?.authorizedOperations, null)
      const [configs] = await admin.describeConfigs([{ type: 'TOPIC', name: topic, keys: ['cleanup.policy'] }], {
        includeSynonyms: true,
        includeDocumentation: true,
      })
      const [policy] = configs?.configs ?? []
      assert.equal(policy?.valueType, 'LIST')
      assert.match(policy?.documentation ?? '', /retention/)
      assert.deepEqual(
        policy?.synonyms.map(of => [of.name, of.source]),
        [['log.cleanup.policy', 'DEFAULT_CONFIG']],
      )
    })

    test('lists in configs are added to and taken out of', async () => {
      const topic = await filled('policy', [])
      const alter = (operation: string, value: string) =>
        admin.incrementalAlterConfigs([
          { type: 'TOPIC', name: topic, configs: [{ name: 'cleanup.policy', operation, value }] },
        ])
      const policy = async () =>
        (await admin.describeConfigs([{ type: 'TOPIC', name: topic, keys: ['cleanup.policy'] }]))[0]?.configs[0]?.value
      await alter('APPEND', 'compact')
      await becomes(policy, 'delete,compact')
      await alter('SUBTRACT', 'delete')
      await becomes(policy, 'compact')
    })

    test('brokers, log levels, groups and metrics subscriptions have settings, and are listed', async () => {
      const { brokers } = await admin.describeCluster()
      const node = `${brokers[0]?.id}`
      const value = async (type: string, name: string, key: string) =>
        (await admin.describeConfigs([{ type, name, keys: [key] }]))[0]?.configs[0]?.value
      const alter = (type: string, name: string, key: string, to: string | null) =>
        admin.incrementalAlterConfigs([
          { type, name, configs: [{ name: key, value: to, operation: to === null ? 'DELETE' : 'SET' }] },
        ])
      const is = (type: string, name: string, key: string, to: string) => becomes(() => value(type, name, key), to)
      await alter('BROKER', node, 'log.cleaner.threads', '2')
      await is('BROKER', node, 'log.cleaner.threads', '2')
      await alter('BROKER', node, 'log.cleaner.threads', null)
      await is('BROKER', node, 'log.cleaner.threads', '1')

      const level = (await value('BROKER_LOGGER', node, 'root')) as string
      if (real) {
        await alter('BROKER_LOGGER', node, 'root', 'FATAL')
        await is('BROKER_LOGGER', node, 'root', 'FATAL')
        await alter('BROKER_LOGGER', node, 'root', level)
      } else {
        // Its log is that of the process it is embedded in.
        assert.equal(level, 'INFO')
        await assert.rejects(alter('BROKER_LOGGER', node, 'root', 'FATAL'), code('INVALID_REQUEST'))
      }

      const [group, metrics] = [unique('group'), unique('metrics')]
      await alter('GROUP', group, 'consumer.session.timeout.ms', '50000')
      await is('GROUP', group, 'consumer.session.timeout.ms', '50000')
      await alter('CLIENT_METRICS', metrics, 'interval.ms', '60000')
      await is('CLIENT_METRICS', metrics, 'interval.ms', '60000')

      const listed = await eventually(
        () => admin.listConfigResources({ types: ['GROUP', 'CLIENT_METRICS'] }),
        all => [group, metrics].every(name => all.some(of => of.name === name)),
      )
      const names = listed.map(of => `${of.type} ${of.name}`)
      assert.ok(names.includes(`GROUP ${group}`) && names.includes(`CLIENT_METRICS ${metrics}`), names.join())
      assert.ok(listed.every(of => of.type !== 'TOPIC'))
      assert.ok((await admin.listClientMetricsResources()).includes(metrics))
      await alter('CLIENT_METRICS', metrics, 'interval.ms', null)
      await assert.rejects(
        admin.describeConfigs([{ type: 'BROKER', name: 'first' }]),
        /resources: BROKER first: a broker's name is its node id/,
      )
    })

    test('a wrong setting is refused in the words of Apache Kafka', async () => {
      const topic = await filled('wrong', [])
      const { brokers } = await admin.describeCluster()
      const node = `${brokers[0]?.id}`
      for (const [type, name, key, value, error, words] of [
        ['TOPIC', topic, 'nope', '5', 'INVALID_CONFIG', 'Unknown topic config name: nope'],
        ['TOPIC', topic, 'retention.ms', 'x', 'INVALID_CONFIG', 'Not a number of type LONG'],
        ['TOPIC', topic, 'retention.ms', '-7', 'INVALID_CONFIG', 'Value must be at least -1'],
        ['TOPIC', topic, 'cleanup.policy', 'shred', 'INVALID_CONFIG', 'String must be one of: compact, delete'],
        ['TOPIC', topic, 'preallocate', 'maybe', 'INVALID_CONFIG', 'Expected value to be either true or false'],
        [
          'TOPIC',
          topic,
          'compression.gzip.level',
          '99',
          'INVALID_CONFIG',
          'Value must be between 1 and 9 or equal to -1',
        ],
        ['TOPIC', topic, 'min.cleanable.dirty.ratio', '7', 'INVALID_CONFIG', 'Invalid value 7.0 for configuration'],
        [
          'BROKER',
          node,
          'num.partitions',
          '3',
          'INVALID_REQUEST',
          'Cannot update these configs dynamically: [num.partitions]',
        ],
        ['BROKER', node, 'message.max.bytes', '-5', 'INVALID_REQUEST', 'Value must be at least 0'],
        ['GROUP', unique('g'), 'nope', '1', 'INVALID_CONFIG', 'Unknown group config name: nope'],
        [
          'GROUP',
          unique('g'),
          'consumer.session.timeout.ms',
          '1',
          'INVALID_CONFIG',
          'must be greater than or equal to group.consumer.min.session.timeout.ms',
        ],
        [
          'CLIENT_METRICS',
          unique('m'),
          'interval.ms',
          '1',
          'INVALID_REQUEST',
          'interval must be between 100 and 3600000 (1 hour)',
        ],
        ['CLIENT_METRICS', unique('m'), 'match', 'x', 'INVALID_CONFIG', 'Illegal client matching pattern: x'],
      ] as const) {
        const altered = admin.incrementalAlterConfigs([{ type, name, configs: [{ name: key, value }] }])
        await assert.rejects(altered, failure => {
          assert.ok(code(error)(failure), `${key}=${value}: ${failure}`)
          assert.ok(`${failure}`.includes(words), `${key}=${value}: ${failure}`)
          return true
        })
      }
    })
  })
}
