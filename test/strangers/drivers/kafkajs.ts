/** kafkajs as a driver of the cases: kafkajs.ts BOOTSTRAP. Its administration is in kafkajs-admin.ts. */
import { randomUUID } from 'node:crypto'
import kafkajs, { CompressionTypes, type IHeaders, Kafka, type KafkaMessage, logLevel } from 'kafkajs'
import { T0 } from '../table.ts'
import { administration, code, states } from './kafkajs-admin.ts'
import { records, serve, text, until } from './kit.ts'

const kafka = new Kafka({
  clientId: 'kafkajs',
  brokers: [process.argv[2] as string],
  logLevel: logLevel.NOTHING,
  retry: { retries: 10 },
})
const admin = kafka.admin()
/** One that does not go on for minutes with what kafkajs takes for a passing error, such as a topic that is not there. */
const hasty = kafka.admin({ retry: { retries: 1 } })
await admin.connect()
await hasty.connect()

interface From {
  partition?: number
  offset?: number
  readUncommitted?: boolean
}

/** So many messages of a topic, of one partition from an offset or of all from the beginning. */
async function read(topic: string, count: number, from: From = {}): Promise<KafkaMessage[]> {
  const { partition = 0, offset, readUncommitted = false } = from
  const consumer = kafka.consumer({ groupId: `reads-${randomUUID()}`, maxWaitTimeInMs: 100, readUncommitted })
  await consumer.connect()
  try {
    const messages: KafkaMessage[] = []
    await consumer.subscribe({ topic, fromBeginning: true })
    let failed: Error | undefined
    consumer.on('consumer.crash', ({ payload }) => {
      failed = payload.error
    })
    const eachMessage = async ({ message }: { message: KafkaMessage }) => {
      messages.push(message)
    }
    await consumer.run({ autoCommit: false, eachMessage })
    if (offset !== undefined) consumer.seek({ topic, partition, offset: String(offset) })
    await until(`${count} messages`, () => {
      if (failed) throw failed
      return messages.length >= count
    })
    return messages
  } finally {
    await consumer.disconnect()
  }
}

/** Sends to partition 0. */
async function send(topic: string, messages: { value: string | null; timestamp?: string }[], compression?: number) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  try {
    const all = messages.map(message => ({ ...message, partition: 0 }))
    return await producer.send({ topic, messages: all, ...(compression === undefined ? {} : { compression }) })
  } finally {
    await producer.disconnect()
  }
}

const values = (messages: KafkaMessage[]) => messages.map(({ value }) => text(value))
const offsets = (messages: KafkaMessage[]) => messages.map(({ offset }) => Number(offset))
const ends = async (topic: string) => (await admin.fetchTopicOffsets(topic)).sort((a, b) => a.partition - b.partition)

/** A name with several values comes as an array. */
const headersOf = (headers: IHeaders = {}) =>
  Object.entries(headers).flatMap(([name, value]) => [value].flat().map(one => [name, text(one as Buffer)]))

interface Member {
  consumer: ReturnType<Kafka['consumer']>
  places: number[]
  next: Record<number, number>
}

async function join(topic: string, groupId: string, seen: Set<string>): Promise<Member> {
  // RoundRobin: the only assignor it has.
  const partitionAssigners = [kafkajs.PartitionAssigners.roundRobin]
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 300, maxWaitTimeInMs: 100, partitionAssigners })
  const member: Member = { consumer, places: [], next: {} }
  consumer.on('consumer.group_join', ({ payload }) => {
    member.places = payload.memberAssignment[topic] ?? []
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      seen.add(`${partition}:${message.offset}`)
      member.next[partition] = Number(message.offset) + 1
    },
  })
  return member
}

await serve({
  async codec(topic, name) {
    const compression = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP }[name]
    await send(
      topic,
      records.map(record => ({ ...record, timestamp: String(record.timestamp) })),
      compression,
    )
    const found = await read(topic, records.length)
    return {
      records: found.map(({ offset, key, value, headers, timestamp }) => ({
        offset: Number(offset),
        key: text(key),
        value: text(value),
        headers: headersOf(headers),
        timestamp: Number(timestamp),
      })),
    }
  },

  async 'too-large'(topic) {
    const error = await code(() => send(topic, [{ value: 'x'.repeat(20_000) }]))
    const [sent] = await send(topic, [{ value: 'small' }])
    const [end] = await ends(topic)
    return { error, offset: Number(sent?.baseOffset), end: Number(end?.high) }
  },

  async 'append-time'(topic) {
    await send(topic, [{ value: 'v', timestamp: String(T0) }])
    const [message] = await read(topic, 1)
    return { brokersClock: Math.abs(Date.now() - Number(message?.timestamp)) < 3_600_000 }
  },

  async 'auto-create'(name) {
    const topic = `${name}-auto`
    const [sent] = await send(topic, [{ value: 'v' }])
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return { offset: Number(sent?.baseOffset), partitions: topics[0]?.partitions.length }
  },

  async fetch(topic) {
    const found = await read(topic, 6, { partition: 1, offset: 4 })
    // What it had begun to read before the seek is not part of it.
    const messages = found.slice(-6)
    const reset = await read(topic, 10, { partition: 1, offset: 100 })
    const all = await ends(topic)
    return {
      values: values(messages),
      offsets: offsets(messages),
      earliest: all.map(({ low }) => Number(low)),
      latest: all.map(({ high }) => Number(high)),
      reset: Math.min(...offsets(reset)),
    }
  },

  async 'seek-by-time'(topic) {
    const [end] = await ends(topic)
    const found: (number | null)[] = []
    for (const after of [-1, 4_500, 5_000, 9_001]) {
      const [place] = await admin.fetchTopicOffsetsByTimestamp(topic, T0 + after)
      // It gives the end where there is no such record.
      found.push(place?.offset === end?.high ? null : Number(place?.offset))
    }
    const messages = await read(topic, 5, { offset: found[1] as number })
    return { offsets: found, values: values(messages.slice(-5)) }
  },

  async 'group-classic'(topic) {
    const groupId = `${topic}-group`
    const seen = new Set<string>()
    const steps: number[][] = []
    const settle = async (members: Member[], want: number[], read = () => true) => {
      const counts = () => members.map(({ places }) => places.length)
      await until(`${want}`, () => `${counts()}` === `${want}` && read())
      steps.push(counts())
    }
    const one = await join(topic, groupId, seen)
    await settle([one], [4])
    const two = await join(topic, groupId, seen)
    await settle([one, two], [2, 2])
    await one.consumer.disconnect()
    // The one that is left reads what nobody has committed.
    const places = [0, 1, 2, 3]
    await settle([two], [4], () => places.every(partition => two.next[partition] === 10))
    await two.consumer.commitOffsets(places.map(partition => ({ topic, partition, offset: '10' })))
    const stable = await states(admin, groupId)
    await two.consumer.disconnect()
    const empty = await until('the group is empty', async () => {
      const now = await states(admin, groupId)
      return now[1] === 0 && now
    })
    const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] })
    const sorted = committed?.partitions.sort((a, b) => a.partition - b.partition)
    return { steps, read: seen.size, committed: sorted?.map(({ offset }) => Number(offset)), stable, empty }
  },

  async transactions(topic) {
    const [one, two] = [0, 1].map(() =>
      kafka.producer({
        transactionalId: `${topic}-tx`,
        idempotent: true,
        maxInFlightRequests: 1,
        retry: { retries: 3 },
      }),
    ) as [ReturnType<Kafka['producer']>, ReturnType<Kafka['producer']>]
    await one.connect()
    await two.connect()
    const begin = async (...list: string[]) => {
      const transaction = await one.transaction()
      await transaction.send({ topic, messages: list.map(value => ({ value, partition: 0 })) })
      return transaction
    }
    await (await begin('a0', 'a1')).commit()
    await (await begin('b0', 'b1')).abort()
    const third = await begin('c0')
    const topics = [{ topic, partitions: [{ partition: 0, offset: '2' }] }]
    await third.sendOffsets({ consumerGroupId: `${topic}-group`, topics })
    await third.commit()
    const open = await begin('d0')
    const committed = await read(topic, 3)
    const uncommitted = await read(topic, 6, { readUncommitted: true })
    await two.transaction()
    const lost = await code(() => open.commit())
    const [group] = await admin.fetchOffsets({ groupId: `${topic}-group`, topics: [topic] })
    await Promise.all([one.disconnect(), two.disconnect()])
    return {
      committed: values(committed),
      offsets: offsets(committed),
      uncommitted: values(uncommitted).slice(0, 5),
      groupOffset: Number(group?.partitions[0]?.offset),
      fenced: lost === 47 || lost === 90,
    }
  },

  ...administration(admin, hasty),
})
