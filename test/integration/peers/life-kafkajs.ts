/** The life of a topic and of a group with kafkajs. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Consumer, Kafka, logLevel } from 'kafkajs'
import type { Life } from '../lives.test.ts'

const start = 1_700_000_000_000

/** See lives.test.ts. */
export async function kafkajsLife(bootstrap: string, topic: string): Promise<Life> {
  const kafka = new Kafka({ clientId: 'kafkajs', brokers: [bootstrap], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  const open: Consumer[] = []

  const produce = async (numbers: number[]) => {
    for (const partition of [0, 1, 2, 3]) {
      const messages = numbers.map(n => ({ partition, value: String(n), timestamp: String(start + n * 1_000) }))
      await producer.send({ topic, messages })
    }
  }
  const offsets = (found: { offset: string }[]) => found.map(({ offset }) => Number(offset)).sort((a, b) => a - b)

  /** A member, what it has, and what it has read. */
  const member = async (seen: Set<string>) => {
    const consumer = kafka.consumer({ groupId: topic, heartbeatInterval: 500, maxWaitTimeInMs: 200 })
    open.push(consumer)
    const has = { partitions: [] as number[], next: new Map<number, number>() }
    consumer.on('consumer.group_join', ({ payload }) => {
      has.partitions = payload.memberAssignment[topic] ?? []
      has.next.clear()
    })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        seen.add(`${partition}:${message.offset}`)
        has.next.set(partition, Number(message.offset) + 1)
      },
    })
    const atEnd = (count: number, end: number) =>
      has.partitions.length === count && has.partitions.every(partition => has.next.get(partition) === end)
    return { consumer, has, atEnd }
  }
  const until = async (what: string, so: () => boolean) => {
    for (let i = 0; !so(); i++) {
      if (i > 1_200) throw new Error(`${what}: not within two minutes`)
      await sleep(100)
    }
  }

  try {
    await Promise.all([admin.connect(), producer.connect()])
    await admin.createTopics({ topics: [{ topic, numPartitions: 4 }], waitForLeaders: true })
    await produce(Array.from({ length: 10 }, (_, i) => i))
    const watermarks = await admin.fetchTopicOffsets(topic)
    const listed = [
      offsets(watermarks.map(({ low }) => ({ offset: low }))),
      offsets(watermarks.map(({ high }) => ({ offset: high }))),
      offsets(await admin.fetchTopicOffsetsByTimestamp(topic, start + 5_000)),
    ]

    const seen = new Set<string>()
    const [one, two] = await Promise.all([member(seen), member(seen)])
    await until('two members with two partitions each', () => one.atEnd(2, 10) && two.atEnd(2, 10))
    const read = seen.size
    for (const { consumer, has } of [one, two]) {
      await consumer.commitOffsets(has.partitions.map(partition => ({ topic, partition, offset: '10' })))
    }
    await two.consumer.disconnect()
    await until('one member with four partitions', () => one.has.partitions.length === 4)
    await one.consumer.disconnect()

    await produce([10])
    const later = new Set<string>()
    const three = await member(later)
    await until('the records behind the commit', () => later.size >= 4)
    await sleep(500)
    await three.consumer.disconnect()
    return { listed, read, resumed: [...later].sort().map(place => place.split(':').map(Number)) }
  } finally {
    await Promise.allSettled([admin, producer, ...open].map(each => each.disconnect()))
  }
}
