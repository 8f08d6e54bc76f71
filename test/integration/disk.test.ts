/** The embedded broker's log folder against Apache Kafka: its tools read our files, and each serves what the other has written. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Kafka } from 'dohle'
import { Broker } from 'dohle/broker'
import { KafkaServer } from '../../scripts/kafka.mjs'
import { created } from './servers.ts'

const count = 2_000
const values = Array.from({ length: count }, (_, n) => `value ${n} ${'x'.repeat(n % 200)}`)
const folder = mkdtempSync(join(tmpdir(), 'dohle-disk-'))
const properties = { 'log.dirs': folder, 'log.segment.bytes': '3000', 'log.index.interval.bytes': '100' }

let server: KafkaServer
before(async () => {
  server = await KafkaServer.start()
})
after(async () => {
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** Writes the values, some of them in transactions, every tenth of which is aborted. */
async function write(bootstrap: string, topic: string): Promise<void> {
  await using kafka = new Kafka({ brokers: bootstrap })
  await created(kafka.admin(), [{ topic, partitions: 1 }])
  await using plain = kafka.producer({ compression: 'lz4', acks: 'all' })
  for (let at = 0; at < count; at += 100) {
    await plain.sendBatch({ topic, messages: values.slice(at, at + 100).map(value => ({ value })) })
    const transactional = kafka.producer({ transactionalId: `t-${topic}` })
    const aborted = transactional.transaction(async transaction => {
      await transaction.send({ topic, value: 'aborted' })
      throw new Error('not this one')
    })
    await assert.rejects(aborted, /not this one/)
    await transactional.close()
  }
}

/** What a reader of committed records finds. */
async function read(bootstrap: string, topic: string): Promise<string[]> {
  await using kafka = new Kafka({ brokers: bootstrap })
  await using consumer = kafka.consumer({ isolationLevel: 'read_committed', autoOffsetReset: 'earliest' })
  await consumer.assign([{ topic, partition: 0, offset: 0 }])
  const found: string[] = []
  for await (const message of consumer) {
    found.push(message.text() ?? '')
    if (found.length === count) break
  }
  return found
}

/** Puts the files of a partition in the place of another's, whose topic it then is. */
function replaceFiles(from: string, to: string): void {
  for (const name of readdirSync(to)) if (name !== 'partition.metadata') rmSync(join(to, name))
  for (const name of readdirSync(from)) {
    if (name !== 'partition.metadata') cpSync(join(from, name), join(to, name))
  }
}

describe('the log folder', () => {
  test('DumpLogSegments of Apache Kafka reads every file without complaint', async () => {
    {
      await using broker = await Broker.start({ properties })
      await write(broker.address, 'ours')
    }
    assert.ok(existsSync(join(folder, '.kafka_cleanshutdown')))
    const dump = async (names: string[], ...args: string[]): Promise<string> =>
      `${await server.tool('DumpLogSegments', ['--files', names.join(), ...args])}`
    const times = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].length
    const files = readdirSync(join(folder, 'ours-0')).map(name => join(folder, 'ours-0', name))
    const of = (suffix: string) => files.filter(name => name.endsWith(suffix))
    const [logs, aborted, snapshots] = [of('.log'), of('.txnindex'), of('.snapshot')]
    const indexes = [...of('.index'), ...of('.timeindex')]
    for (const found of [logs, aborted, snapshots, indexes]) assert.ok(found.length > 1, `${files}`)

    const batches = await dump(logs, '--deep-iteration')
    assert.equal(times(batches, /^Log starting offset/gm), logs.length)
    assert.equal(times(batches, /^baseOffset: /gm), 20 + 20 + 20, 'batches, aborted ones, and their markers')
    assert.doesNotMatch(batches, /isvalid: false|invalid bytes|Exception/)
    const checked = await dump(indexes, '--index-sanity-check')
    assert.equal(times(checked, / passed sanity check/g) + times(checked, / is empty\.$/gm), indexes.length)
    assert.ok(times(checked, / passed sanity check/g) > 2)
    assert.doesNotMatch(await dump(indexes, '--verify-index-only'), /mismatch|position|not found|out of order/i)
    assert.equal(times(await dump(aborted), /producerId: \d+/g), 20)
    const known = await dump(snapshots)
    assert.equal(times(known, /^Dumping /gm), snapshots.length)
    assert.match(known, /producerId: \d+ producerEpoch: \d+/)
    const metadata = join(folder, '__cluster_metadata-0', '00000000000000000000.log')
    const said = await dump([metadata], '--cluster-metadata-decoder')
    assert.match(said, /"type":"TOPIC_RECORD".*"name":"ours"/)
    assert.match(said, /"type":"PARTITION_RECORD"/)
    assert.match(said, /"type":"PRODUCER_IDS_RECORD"/)
  })

  test('Apache Kafka serves a partition that we have written', async () => {
    const kafka = new Kafka({ brokers: server.bootstrap })
    await created(kafka.admin(), [{ topic: 'ours', partitions: 1 }])
    await kafka.close()
    await server.terminate()
    replaceFiles(join(folder, 'ours-0'), join(server.dir, 'data', 'ours-0'))
    await server.restart()
    assert.deepEqual(await read(server.bootstrap, 'ours'), values)
    await write(server.bootstrap, 'theirs')
  })

  test('we serve a partition that Apache Kafka has written', async () => {
    {
      await using broker = await Broker.start({ properties })
      const kafka = new Kafka({ brokers: broker.address })
      await created(kafka.admin(), [{ topic: 'theirs', partitions: 1 }])
      await kafka.close()
    }
    await server.terminate()
    replaceFiles(join(server.dir, 'data', 'theirs-0'), join(folder, 'theirs-0'))
    await using broker = await Broker.start({ properties })
    assert.deepEqual(await read(broker.address, 'theirs'), values)
    assert.deepEqual(await read(broker.address, 'ours'), values)
  })
})
