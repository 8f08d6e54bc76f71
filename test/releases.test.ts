/** The embedded broker as older releases of Kafka: what clients of today make of their APIs, versions and features. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Kafka as KafkaJs, logLevel } from 'kafkajs'
import { Broker, type BrokerOptions } from '../ts/broker.ts'
import { Kafka } from '../ts/index.ts'
import { code as expected, unique } from './support.ts'

const releases = ['2.1', '2.8', '3.9', '4.3'] as const

for (const asVersion of releases) {
  describe(`as Kafka ${asVersion}`, () => {
    const start = () => Broker.start({ asVersion, partitions: 2 })

    test('this client sends, reads in a group, commits and transacts', async () => {
      await using broker = await start()
      await using kafka = new Kafka({ brokers: broker.address })
      const topic = unique('release')
      await kafka.admin().createTopics([{ topic, partitions: 2, replicationFactor: 1 }])
      await using producer = kafka.producer({ transactionalId: unique('tx') })
      await producer.transaction(async tx => {
        for (let i = 0; i < 10; i++) await tx.send({ topic, value: `${i}`, headers: { of: asVersion } })
      })
      const groupId = unique('group')
      await using consumer = kafka.consumer({ groupId, autoOffsetReset: 'earliest' })
      await consumer.subscribe(topic)
      const read: string[] = []
      for await (const message of consumer) {
        read.push(message.text() ?? '')
        if (read.length === 10) break
      }
      assert.deepEqual(
        read.map(Number).toSorted((a, b) => a - b),
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      )
      await consumer.commit()
      await consumer.close()
      const [group] = await kafka.admin().describeGroups([groupId])
      assert.equal(group?.state, 'Empty')
    })

    test('kafkajs sends and reads in a group', async () => {
      await using broker = await start()
      const kafka = new KafkaJs({ brokers: [broker.address], logLevel: logLevel.NOTHING })
      const topic = unique('release')
      const admin = kafka.admin()
      await admin.connect()
      await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] })
      await admin.disconnect()
      const producer = kafka.producer({ idempotent: true })
      await producer.connect()
      await producer.send({ topic, messages: [{ value: 'a' }, { value: 'b' }] })
      await producer.disconnect()
      const consumer = kafka.consumer({ groupId: unique('group') })
      await consumer.connect()
      await consumer.subscribe({ topic, fromBeginning: true })
      const read: string[] = []
      await new Promise<void>((resolve, reject) => {
        const eachMessage = async ({ message }: { message: { value: Buffer | null } }) => {
          read.push(`${message.value}`)
          if (read.length === 2) resolve()
        }
        consumer.run({ eachMessage }).catch(reject)
      })
      await consumer.disconnect()
      assert.deepEqual(read, ['a', 'b'])
    })

    test('the group protocol of KIP-848 and features are there from 4 on', async () => {
      await using broker = await start()
      await using kafka = new Kafka({ brokers: broker.address, defaultApiTimeoutMs: 5_000 })
      const features = kafka.admin().describeFeatures()
      if (asVersion === '2.1') await assert.rejects(features, expected('UNSUPPORTED', /2\.7 or newer/))
      else {
        const known = { '2.8': [], '3.9': ['metadata.version'] }[asVersion as string]
        const names = (await features).finalized.map(({ name }) => name).toSorted()
        assert.deepEqual(names, known ?? ['group.version', 'metadata.version', 'transaction.version'])
      }
      const topic = unique('release')
      await kafka.admin().createTopics([{ topic, partitions: 1, replicationFactor: 1 }])
      await using producer = kafka.producer()
      await producer.send({ topic, value: 'v' })
      await using consumer = kafka.consumer({
        groupId: unique('g'),
        groupProtocol: 'auto',
        autoOffsetReset: 'earliest',
      })
      await consumer.subscribe(topic)
      for await (const message of consumer) {
        assert.equal(message.text(), 'v')
        break
      }
      const [group] = await kafka.admin().listGroups()
      if (asVersion === '4.3') assert.equal(group?.type, 'consumer')
      else assert.notEqual(group?.type, 'consumer')
    })
  })
}

test('a release that is none is refused', async () => {
  const start = (asVersion: string) => Broker.start({ asVersion } as BrokerOptions)
  await assert.rejects(start('1.0'), expected('INVALID_ARGUMENT', /asVersion/))
})
