/**
 * What the coordinators of groups and transactions have in the log folder, against Apache Kafka: its tools read our records, and each
 * goes on where the other was.
 */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Kafka } from 'dohle'
import { Broker } from 'dohle/broker'
import { Kafka as KafkaJs, logLevel } from 'kafkajs'
import { KafkaServer } from '../../scripts/kafka.mjs'
import { FolderBroker } from '../folder-broker.ts'
import { becomes, created } from './servers.ts'

const folder = mkdtempSync(join(tmpdir(), 'dohle-disk-coordinators-'))
const properties = { 'log.dirs': folder }
/** Of Java's hashes in 50 partitions: of `group` (98629247), `modern` and `tx`. */
const partition = '__consumer_offsets-47'
const modern = '__consumer_offsets-1'
const transactional = '__transaction_state-16'

let server: KafkaServer
before(async () => {
  // As many partitions as Kafka has by itself.
  server = await KafkaServer.start({
    properties: { 'offsets.topic.num.partitions': 50, 'transaction.state.log.num.partitions': 50 },
  })
})
after(async () => {
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** The topic gets records, and the group reads and commits all that it has not yet. Answers how many those were. */
async function readOn(bootstrap: string, records: number): Promise<number> {
  await using kafka = new Kafka({ brokers: bootstrap })
  await using producer = kafka.producer()
  for (let n = 0; n < records; n++) await producer.send({ topic: 'read', partition: 0, value: `${n}` })
  await using consumer = kafka.consumer({ groupId: 'group', autoOffsetReset: 'earliest' })
  await consumer.subscribe('read')
  let count = 0
  for await (const message of consumer) {
    message.done()
    if (++count === records) break
  }
  return count
}

async function committed(bootstrap: string): Promise<number | undefined> {
  await using kafka = new Kafka({ brokers: bootstrap })
  const asked = [{ groupId: 'group', partitions: [{ topic: 'read', partition: 0 }] }]
  const [group] = await kafka.admin().listConsumerGroupOffsets(asked)
  return group?.offsets[0]?.offset ?? undefined
}

/**
 * The same by a client that knows topics by their names only: our offsets are of a topic with our id, and Kafka tells no others of
 * them. Answers the offsets that were read.
 */
async function readOnByName(bootstrap: string, records: number): Promise<number[]> {
  const kafka = new KafkaJs({ brokers: [bootstrap], logLevel: logLevel.NOTHING })
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({ topic: 'read', messages: Array.from({ length: records }, (_, n) => ({ value: `${n}` })) })
  await producer.disconnect()
  const consumer = kafka.consumer({ groupId: 'group' })
  await consumer.connect()
  await consumer.subscribe({ topic: 'read', fromBeginning: true })
  const offsets: number[] = []
  await consumer.run({
    eachMessage: async ({ message }) => {
      offsets.push(Number(message.offset))
    },
  })
  await becomes(async () => offsets.length >= records, true)
  await consumer.disconnect()
  return offsets
}

/** Puts the files of a partition in the place of another's, whose topic it then is. */
function replaceFiles(from: string, to: string): void {
  for (const name of readdirSync(to)) if (name !== 'partition.metadata') rmSync(join(to, name))
  for (const name of readdirSync(from)) {
    if (name !== 'partition.metadata') cpSync(join(from, name), join(to, name))
  }
}

/** What Kafka's tool says of all segments of a partition of ours. */
async function dumped(name: string, decoder: string): Promise<string> {
  const logs = readdirSync(join(folder, name)).filter(file => file.endsWith('.log'))
  const files = logs.map(file => join(folder, name, file)).join()
  const said = `${await server.tool('DumpLogSegments', ['--files', files, decoder])}`
  assert.doesNotMatch(said, /isvalid: false|Exception|corrupt/i)
  return said
}

describe('coordinators in the log folder', () => {
  test('DumpLogSegments of Apache Kafka decodes what a group has written', async () => {
    {
      await using broker = await Broker.start({ properties })
      await using kafka = new Kafka({ brokers: broker.address })
      await created(kafka.admin(), [{ topic: 'read', partitions: 1 }])
      assert.equal(await readOn(broker.address, 7), 7)
    }
    const said = await dumped(partition, '--offsets-decoder')
    assert.match(
      said,
      /key: \{"type":"2","data":\{"group":"group"\}\} payload: \{"version":"3".*"protocolType":"consumer"/,
    )
    assert.match(
      said,
      /key: \{"type":"1","data":\{"group":"group","topic":"read","partition":0\}\} payload: .*"offset":7/,
    )
  })

  test('it decodes what a group of KIP-848 has written', async () => {
    {
      await using broker = await Broker.start({ properties })
      await using kafka = new Kafka({ brokers: broker.address })
      await using consumer = kafka.consumer({
        groupId: 'modern',
        groupProtocol: 'consumer',
        autoOffsetReset: 'earliest',
      })
      await consumer.subscribe('read')
      for await (const message of consumer) {
        message.done()
        break
      }
    }
    const said = await dumped(modern, '--offsets-decoder')
    assert.match(said, /key: \{"type":"3","data":\{"groupId":"modern"\}\} payload: \{"version":"0","data":\{"epoch":2/)
    assert.match(said, /"type":"5",.*"clientId":.*"subscribedTopicNames":\["read"\]/)
    assert.match(said, /"type":"6",.*"assignmentEpoch":2/)
    assert.match(said, /"type":"7",.*"topicPartitions":\[\{"topicId":"[\w-]+","partitions":\[0\]/)
    assert.match(said, /"type":"8",.*"memberEpoch":2,"previousMemberEpoch":0,"state":0,"assignedPartitions":\[\{/)
  })

  test('it decodes what transactions have written', async () => {
    {
      await using broker = await Broker.start({ properties })
      await using kafka = new Kafka({ brokers: broker.address })
      const producer = kafka.producer({ transactionalId: 'tx' })
      const transact = (fail: boolean) =>
        producer.transaction(async transaction => {
          await transaction.send({ topic: 'read', value: 'in a transaction' })
          if (fail) throw new Error('a test')
        })
      await transact(false)
      await assert.rejects(transact(true), /a test/)
      await producer.close()
    }
    const said = await dumped(transactional, '--transaction-log-decoder')
    const states = [...said.matchAll(/"transactionStatus":(\d)/g)].map(([, status]) => Number(status))
    assert.deepEqual(states, [0, 1, 2, 4, 1, 3, 5], said)
    assert.match(said, /key: \{"type":"0","data":\{"transactionalId":"tx"\}\}/)
    assert.match(said, /"transactionPartitions":\[\{"topic":"read","partitionIds":\[0\]\}\]/)
  })

  test('a transaction goes on when the broker was killed within it', async () => {
    const killed = mkdtempSync(join(tmpdir(), 'dohle-disk-killed-'))
    const broker = await FolderBroker.start({ folder: killed })
    try {
      await using kafka = new Kafka({ brokers: broker.address })
      await created(kafka.admin(), [{ topic: 'kept', partitions: 1 }])
      await using producer = kafka.producer({ transactionalId: 'kept' })
      const open = await producer.beginTransaction()
      await open.send({ topic: 'kept', value: 'before' })
      await broker.end('SIGKILL')
      await broker.start()
      await open.send({ topic: 'kept', value: 'after' })
      await open.commit()
      await using consumer = kafka.consumer({ isolationLevel: 'read_committed' })
      await consumer.assign([{ topic: 'kept', partition: 0, offset: 0 }])
      const values: (string | null)[] = []
      for await (const message of consumer) if (values.push(message.text()) === 2) break
      assert.deepEqual(values, ['before', 'after'])
    } finally {
      await broker.end('SIGTERM')
      rmSync(killed, { recursive: true, force: true })
    }
  })

  test('Apache Kafka goes on where a group of ours was', async () => {
    {
      await using kafka = new Kafka({ brokers: server.bootstrap })
      await created(kafka.admin(), [{ topic: 'read', partitions: 1 }])
      await using producer = kafka.producer()
      for (let n = 0; n < 7; n++) await producer.send({ topic: 'read', partition: 0, value: 'read already' })
      // Who asks makes its own topic of offsets.
      await committed(server.bootstrap)
      await becomes(async () => existsSync(join(server.dir, 'data', partition)), true)
    }
    await server.terminate()
    replaceFiles(join(folder, partition), join(server.dir, 'data', partition))
    await server.restart()
    await becomes(() => committed(server.bootstrap), 7)
    assert.deepEqual(await readOnByName(server.bootstrap, 5), [7, 8, 9, 10, 11])
    assert.equal(await committed(server.bootstrap), 12)
  })

  test('we go on where a group of Apache Kafka was', async () => {
    await server.terminate()
    replaceFiles(join(server.dir, 'data', partition), join(folder, partition))
    await using broker = await Broker.start({ properties })
    assert.equal(await committed(broker.address), 12)
  })
})
