/** What groups have in the log folder against Apache Kafka: its tools read our records, and each serves what the other has written. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Kafka } from 'dohle'
import { Broker } from 'dohle/broker'
import { KafkaServer } from '../../scripts/kafka.mjs'
import { becomes, created } from './servers.ts'

const folder = mkdtempSync(join(tmpdir(), 'dohle-disk-groups-'))
const properties = { 'log.dirs': folder }
/** Of Java's hash of `group`, 98629247, in 50 partitions. */
const partition = '__consumer_offsets-47'

let server: KafkaServer
before(async () => {
  // As many partitions as Kafka has by itself.
  server = await KafkaServer.start({ properties: { 'offsets.topic.num.partitions': 50 } })
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

/** Puts the files of a partition in the place of another's, whose topic it then is. */
function replaceFiles(from: string, to: string): void {
  for (const name of readdirSync(to)) if (name !== 'partition.metadata') rmSync(join(to, name))
  for (const name of readdirSync(from)) {
    if (name !== 'partition.metadata') cpSync(join(from, name), join(to, name))
  }
}

describe('groups in the log folder', () => {
  test('DumpLogSegments of Apache Kafka decodes what a group has written', async () => {
    {
      await using broker = await Broker.start({ properties })
      await using kafka = new Kafka({ brokers: broker.address })
      await created(kafka.admin(), [{ topic: 'read', partitions: 1 }])
      assert.equal(await readOn(broker.address, 7), 7)
    }
    const logs = readdirSync(join(folder, partition)).filter(name => name.endsWith('.log'))
    const files = logs.map(name => join(folder, partition, name)).join()
    const said = `${await server.tool('DumpLogSegments', ['--files', files, '--offsets-decoder'])}`
    assert.match(
      said,
      /key: \{"type":"2","data":\{"group":"group"\}\} payload: \{"version":"3".*"protocolType":"consumer"/,
    )
    assert.match(
      said,
      /key: \{"type":"1","data":\{"group":"group","topic":"read","partition":0\}\} payload: .*"offset":7/,
    )
    assert.doesNotMatch(said, /isvalid: false|Exception|corrupt/i)
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
    assert.equal(await readOn(server.bootstrap, 5), 5)
    assert.equal(await committed(server.bootstrap), 12)
  })

  test('we go on where a group of Apache Kafka was', async () => {
    await server.terminate()
    replaceFiles(join(server.dir, 'data', partition), join(folder, partition))
    await using broker = await Broker.start({ properties })
    assert.equal(await committed(broker.address), 12)
  })
})
