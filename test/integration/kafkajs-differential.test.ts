/** The same programs on kafkajs 2.2.4 and on `dohle/kafkajs`: what they get is the same. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka } from 'dohle'
import type * as ours from 'dohle/kafkajs'
import { both, failure, type Library, steady } from './kafkajs-both.ts'
import { created, ready, type Server, servers, unique } from './servers.ts'

type Program = (library: Library, bootstrap: string, topic: string) => Promise<unknown>

const quick = { retry: { retries: 1, initialRetryTime: 50 } }

async function withClient<T>(
  { Kafka, logLevel }: Library,
  bootstrap: string,
  work: (kafka: ours.Kafka) => Promise<T>,
): Promise<T> {
  return await work(new Kafka({ clientId: 'differential', brokers: [bootstrap], logLevel: logLevel.NOTHING }))
}

/** Reads `count` records from the beginning with a handler per record or per batch. */
async function read(kafka: ours.Kafka, topic: string, count: number, perBatch: boolean): Promise<unknown[]> {
  const consumer = kafka.consumer({ groupId: unique('group'), maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  const got: unknown[] = []
  await new Promise<void>((resolve, reject) => {
    const enough = () => got.length >= count && resolve()
    const run: ours.ConsumerRunConfig = perBatch
      ? {
          eachBatch: async ({ batch }) => {
            for (const message of batch.messages) got.push({ topic: batch.topic, partition: batch.partition, message })
            const { highWatermark } = batch
            got.push({ highWatermark, first: batch.firstOffset(), last: batch.lastOffset(), empty: batch.isEmpty() })
            got.push({ lag: batch.offsetLag(), low: batch.offsetLagLow() })
            enough()
          },
        }
      : {
          eachMessage: async ({ topic, partition, message }) => {
            got.push({ topic, partition, message })
            enough()
          },
        }
    consumer.on('consumer.crash', ({ payload }) => reject(payload.error))
    consumer.run(run).catch(reject)
  })
  await consumer.disconnect()
  return got
}

const messages: ours.Message[] = [
  { key: 'a', value: 'text', partition: 0, headers: { one: 'b', two: ['c', Buffer.from([1, 2])] } },
  { key: Buffer.from('ä'), value: Buffer.from([0, 255]), partition: 0 },
  { key: null, value: null, partition: 0, timestamp: '1700000000123' },
  { value: 'no key', partition: 0, headers: {} },
]

const programs: Record<string, Program> = {
  'results of send and sendBatch': (library, bootstrap, topic) =>
    withClient(library, bootstrap, async kafka => {
      const producer = kafka.producer({ createPartitioner: library.Partitioners.DefaultPartitioner })
      await producer.connect()
      const { GZIP } = library.CompressionTypes
      const keyed = (key: string) => ({ key, value: key })
      const results = [
        await producer.send({ topic, messages: ['a', 'b', 'c', 'd', 'e'].map(keyed) }),
        await producer.send({ topic, messages: [keyed('a')], acks: 1, timeout: 10_000 }),
        await producer.send({ topic, messages: [keyed('a')], acks: 0 }),
        await producer.send({ topic, messages: [keyed('b')], compression: GZIP }),
        await producer.send({ topic, messages: [] }),
        await producer.sendBatch({
          topicMessages: [
            { topic, messages: [keyed('a')] },
            { topic: `${topic}-2`, messages: [keyed('a')] },
            { topic, messages: [keyed('a')] },
          ],
        }),
        await producer.sendBatch({}),
        producer.isIdempotent(),
      ]
      await producer.disconnect()
      // One broker answers for several topics in an order of its own.
      return results.map(result =>
        Array.isArray(result)
          ? result.sort((a, b) => a.topicName.localeCompare(b.topicName) || a.partition - b.partition)
          : result,
      )
    }),

  'what eachMessage gets': (library, bootstrap, topic) =>
    withClient(library, bootstrap, async kafka => {
      const producer = kafka.producer({ createPartitioner: library.Partitioners.DefaultPartitioner })
      await producer.connect()
      for (const message of messages) await producer.send({ topic, messages: [message] })
      await producer.disconnect()
      return await read(kafka, topic, messages.length, false)
    }),

  'what eachBatch gets': (library, bootstrap, topic) =>
    withClient(library, bootstrap, async kafka => {
      const producer = kafka.producer({ createPartitioner: library.Partitioners.DefaultPartitioner })
      await producer.connect()
      await producer.send({ topic, messages })
      await producer.disconnect()
      return await read(kafka, topic, messages.length + 2, true)
    }),

  'legacy partitions': (library, bootstrap, topic) =>
    withClient(library, bootstrap, async kafka => {
      const producer = kafka.producer({ createPartitioner: library.Partitioners.LegacyPartitioner })
      await producer.connect()
      const found: unknown[] = []
      for (let i = 0; i < 20; i++)
        found.push(await producer.send({ topic, messages: [{ key: `key-${i}`, value: 'v' }] }))
      await producer.disconnect()
      return found
    }),

  'errors of a producer': (library, bootstrap, topic) =>
    withClient(library, bootstrap, async kafka => {
      const { DefaultPartitioner } = library.Partitioners
      const producer = kafka.producer({
        createPartitioner: DefaultPartitioner,
        allowAutoTopicCreation: false,
        ...quick,
      })
      const exact = kafka.producer({ createPartitioner: DefaultPartitioner, idempotent: true })
      const value = 'v'
      const closed = await failure(() => producer.send({ topic, messages: [{ value }] }))
      await producer.connect()
      await exact.connect()
      const bad = (record: object) => failure(() => producer.send(record as ours.ProducerRecord))
      const found = {
        closed,
        unknownTopic: await bad({ topic, messages: [{ value }] }),
        noTopic: await bad({ messages: [{ value }] }),
        noMessages: await bad({ topic }),
        noValue: await bad({ topic, messages: [{ key: 'a' }] }),
        invalidTopic: await bad({ topic: 'a b', messages: [{ value }] }),
        idempotentAcks: await failure(() => exact.send({ topic, acks: 1, messages: [{ value }] })),
        noTransactionalId: await failure(() => producer.transaction()),
        event: await failure(() => producer.on('no.such.event' as 'producer.connect', () => {})),
      }
      await Promise.all([producer.disconnect(), exact.disconnect()])
      return { ...found, disconnected: await bad({ topic, messages: [{ value }] }) }
    }),

  'too large': (library, bootstrap, topic) =>
    withClient(library, bootstrap, async kafka => {
      const producer = kafka.producer({ createPartitioner: library.Partitioners.DefaultPartitioner, ...quick })
      await producer.connect()
      await producer.send({ topic, messages: [{ value: 'small' }] })
      const value = Buffer.alloc(1_500_000)
      const found = await failure(() => producer.send({ topic, messages: [{ value }] }))
      await producer.disconnect()
      return found
    }),

  'errors of a consumer': (library, bootstrap, topic) =>
    withClient(library, bootstrap, async kafka => {
      const consumer = kafka.consumer({ groupId: topic })
      const offset = '1'
      return {
        noGroup: await failure(() => kafka.consumer({ groupId: '' })),
        heartbeat: await failure(() => kafka.consumer({ groupId: 'g', heartbeatInterval: 5, sessionTimeout: 5 })),
        noTopics: await failure(() => consumer.subscribe({} as ours.ConsumerSubscribeTopics)),
        wrongTopics: await failure(() => consumer.subscribe({ topics: 'a' as unknown as string[] })),
        wrongTopic: await failure(() => consumer.subscribe({ topics: [5 as unknown as string] })),
        seek: await failure(() => consumer.seek({ topic, partition: 0, offset })),
        seekNowhere: await failure(() => consumer.seek({ topic, partition: 0, offset: 'x' })),
        seekNegative: await failure(() => consumer.seek({ topic, partition: 0, offset: '-5' })),
        pause: await failure(() => consumer.pause([{ topic }])),
        pauseWrong: await failure(() => consumer.pause([{ topic, partitions: 'a' as unknown as number[] }])),
        resume: await failure(() => consumer.resume([{ topic }])),
        paused: consumer.paused(),
        commit: await failure(() => consumer.commitOffsets([{ topic, partition: 0, offset }])),
        commitNegative: await failure(() => consumer.commitOffsets([{ topic, partition: 0, offset: '-1' }])),
        commitNoTopic: await failure(() => consumer.commitOffsets([{ topic: '', partition: 0, offset }])),
        event: await failure(() => consumer.on('no.such.event' as 'consumer.crash', () => {})),
      }
    }),

  'an admin client': (library, bootstrap, topic) =>
    withClient(library, bootstrap, async kafka => {
      const admin = kafka.admin()
      await admin.connect()
      const producer = kafka.producer({ createPartitioner: library.Partitioners.DefaultPartitioner })
      await producer.connect()
      const groupId = `${topic}-group`
      const topics = [{ topic, numPartitions: 2, configEntries: [{ name: 'retention.ms', value: '100000000000' }] }]
      const partitions = [
        { partition: 0, offset: '1' },
        { partition: 1, offset: '0' },
      ]
      const sorted = <T extends { partition: number }>(found: T[]) =>
        found.toSorted((a, b) => a.partition - b.partition)
      const found = {
        // kafkajs' own wait fails where a broker does not know the topic yet.
        created: await admin.createTopics({ topics, waitForLeaders: false }),
        ready: await ready(bootstrap, { [topic]: 2 }),
        again: await admin.createTopics({ topics }),
        sent: await producer.send({
          topic,
          messages: [
            { partition: 0, value: 'a', timestamp: '1700000000000' },
            { partition: 0, value: 'b', timestamp: '1700000001000' },
          ],
        }),
        listed: (await admin.listTopics()).includes(topic),
        metadata: (await admin.fetchTopicMetadata({ topics: [topic] })).topics.map(({ name, partitions }) => ({
          name,
          partitions: partitions
            .map(({ partitionId, leader, replicas, isr, partitionErrorCode }) => ({
              ...{ partitionId, leader, replicas, isr, partitionErrorCode },
            }))
            .toSorted((a, b) => a.partitionId - b.partitionId),
        })),
        offsets: sorted(await admin.fetchTopicOffsets(topic)),
        byTime: sorted(await admin.fetchTopicOffsetsByTimestamp(topic, 1_700_000_000_500)),
        none: (await admin.fetchOffsets({ groupId, topics: [topic] })).map(one => sorted(one.partitions)),
        set: await admin.setOffsets({ groupId, topic, partitions }),
        group: (await admin.fetchOffsets({ groupId, topics: [topic] })).map(one => sorted(one.partitions)),
        all: (await admin.fetchOffsets({ groupId })).map(one => sorted(one.partitions)),
        cluster: Object.keys(await admin.describeCluster()).sort(),
        errors: [
          await failure(() => admin.createTopics({ topics: 'a' as unknown as [] })),
          await failure(() => admin.createTopics({ topics: [{ topic }, { topic }] })),
          await failure(() => admin.createTopics({ topics: [{ topic: 'a b' }] })),
          await failure(() => admin.fetchTopicOffsets('')),
          await failure(() => admin.deleteTopics({ topics: 'a' as unknown as string[] })),
          await failure(() => admin.setOffsets({ groupId: '', topic, partitions })),
          await failure(() => admin.setOffsets({ groupId, topic, partitions: [] })),
        ],
        deleted: await admin.deleteTopics({ topics: [topic] }),
      }
      await Promise.all([admin.disconnect(), producer.disconnect()])
      return found
    }),

  'events of a producer, an admin client and a consumer': (library, bootstrap, topic) =>
    withClient(library, bootstrap, async kafka => {
      const told = new Map<string, string[]>()
      const note = ({ type, payload }: { type: string; payload: object | null | undefined }) =>
        told.set(type, Object.keys(payload ?? {}).sort())
      const producer = kafka.producer({ createPartitioner: library.Partitioners.DefaultPartitioner })
      const consumer = kafka.consumer({ groupId: `${topic}-group`, maxWaitTimeInMs: 50, heartbeatInterval: 20 })
      const admin = kafka.admin()
      for (const client of [producer, consumer, admin] as { events: object; on: unknown }[]) {
        const on = client.on as (name: string, listener: typeof note) => void
        for (const name of Object.values(client.events)) if (!/network/.test(name)) on(name, note)
      }
      await Promise.all([producer.connect(), consumer.connect(), admin.connect()])
      await producer.send({ topic, messages: [{ value: 'v' }] })
      await consumer.subscribe({ topic, fromBeginning: true })
      let calls = 0
      await new Promise<void>((resolve, reject) => {
        const eachMessage = async () => {
          if (calls++ === 0) throw new Error('once')
          resolve()
        }
        consumer.run({ eachMessage }).catch(reject)
      })
      while (!told.has('consumer.heartbeat') || !told.has('consumer.commit_offsets')) await sleep(10)
      await Promise.all([producer.disconnect(), consumer.disconnect(), admin.disconnect()])
      const { events } = consumer
      const names = [producer.events, events, admin.events].flatMap(all => Object.entries(all))
      return { told: [...told].sort(), names: names.map(String).sort(), calls }
    }),

  'commits by hand and going on': (library, bootstrap, topic) =>
    withClient(library, bootstrap, async kafka => {
      const producer = kafka.producer({ createPartitioner: library.Partitioners.DefaultPartitioner })
      await producer.connect()
      const values = Array.from({ length: 10 }, (_, i) => ({ partition: 0, value: String(i) }))
      await producer.send({ topic, messages: values })
      await producer.disconnect()
      const groupId = `${topic}-group`
      const some = async (run: (done: () => void, consumer: ours.Consumer) => ours.ConsumerRunConfig) => {
        const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 })
        await consumer.connect()
        await consumer.subscribe({ topics: [topic], fromBeginning: true })
        await new Promise<void>((done, failed) => {
          consumer.run(run(done, consumer)).catch(failed)
        })
        await consumer.disconnect()
      }
      const seen: string[] = []
      // By hand, in the middle.
      await some((done, consumer) => ({
        autoCommit: false,
        eachMessage: async ({ partition, message }) => {
          seen.push(`a${message.value}`)
          if (message.offset !== '3') return
          await consumer.commitOffsets([{ topic, partition, offset: '4' }])
          done()
          await sleep(50)
        },
      }))
      seen.splice(4)
      // From there, resolving some of a batch and no more.
      await some(done => ({
        eachBatchAutoResolve: false,
        eachBatch: async ({
          batch,
          resolveOffset,
          commitOffsetsIfNecessary,
          uncommittedOffsets,
          isRunning,
          isStale,
        }) => {
          if (!isRunning() || isStale()) return
          seen.push(`b${batch.firstOffset()}`)
          resolveOffset('6')
          // kafkajs has the partition as text there, against its own types.
          seen.push(JSON.stringify(uncommittedOffsets()).replace('"0"', '0'))
          await commitOffsetsIfNecessary(uncommittedOffsets())
          seen.push(JSON.stringify(uncommittedOffsets()))
          done()
        },
      }))
      seen.splice(7)
      await some(done => ({
        eachMessage: async ({ message }) => {
          seen.push(`c${message.value}`)
          if (message.offset === '9') done()
        },
      }))
      return seen
    }),
}

/** These make their topic, or do not want it to be there. */
const withoutTopic = ['errors of a producer', 'errors of a consumer', 'an admin client']

/** The ends of the names of further topics. Who makes them by sending there may write the others' records twice, with kafkajs. */
const also: Record<string, string[]> = { 'results of send and sendBatch': ['-2'] }

for (const [name, start] of servers) {
  describe(`kafkajs and dohle/kafkajs on ${name}`, () => {
    let server: Server
    let kafka: Kafka
    before(async () => {
      server = await start()
      kafka = new Kafka({ brokers: server.bootstrap })
    })
    after(async () => {
      await kafka?.close()
      await server?.stop()
    })

    for (const [what, program] of Object.entries(programs)) {
      test(`${what}: the same`, async () => {
        const found: unknown[] = []
        for (const library of Object.values(both)) {
          const topic = unique('differential')
          const topics = withoutTopic.includes(what) ? [] : [topic, ...(also[what] ?? []).map(end => topic + end)]
          await created(
            kafka.admin(),
            topics.map(topic => ({ topic, partitions: 3 })),
          )
          const text = JSON.stringify(steady(await program(library, server.bootstrap, topic)), undefined, 1)
          found.push(JSON.parse(text.replaceAll(topic, 'TOPIC')))
        }
        assert.deepEqual(found[1], found[0])
      })
    }
  })
}
