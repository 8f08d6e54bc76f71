/**
 * Offsets of topics and of groups in kafkajs' admin client.
 */
import type { Consumer, FoundOffset, Kafka, KafkaError } from '../index.ts'
import type { Connection } from './connection.ts'
import { KafkaJSNonRetriableError } from './errors.ts'
import type { Admin } from './types/admin.ts'

type OffsetOperations = Pick<
  Admin,
  'fetchTopicOffsets' | 'fetchTopicOffsetsByTimestamp' | 'fetchOffsets' | 'setOffsets' | 'resetOffsets'
>

/** The engine's errors of commits to a group that has members. */
const IN_USE = ['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'REBALANCE_IN_PROGRESS', 'STALE_MEMBER_EPOCH']

type Place = 'earliest' | 'latest' | { timestamp: number }

/** See the module. */
export function offsetOperations(connection: Connection): OffsetOperations {
  /** Runs `work` with a consumer that is a member of nothing. */
  const reading = async <T>(groupId: string | undefined, work: (consumer: Consumer, kafka: Kafka) => Promise<T>) => {
    const kafka = await connection.open()
    return await connection.tried(
      (async () => {
        const consumer = kafka.consumer({ groupId, enableAutoCommit: false, allowAutoCreateTopics: false })
        try {
          return await work(consumer, kafka)
        } finally {
          await consumer.close()
        }
      })(),
    )
  }

  const at = async (consumer: Consumer, kafka: Kafka, topic: string, ...places: Place[]) => {
    const partitions = await partitionsOf(kafka, topic)
    return await Promise.all(
      places.map(async offset => {
        const found = await consumer.offsetsAt(partitions.map(partition => ({ topic, partition, offset })))
        return new Map(found.map(one => [one.partition, one.offset]))
      }),
    )
  }

  const set = (groupId: string, topic: string, partitions: { partition: number; offset: string }[]) =>
    reading(groupId, async (consumer, kafka) => {
      const offsets = await resolved(consumer, kafka, topic, partitions)
      await consumer.assign(offsets.map(({ partition }) => ({ topic, partition, offset: 'latest' })))
      try {
        await consumer.commit(offsets)
      } catch (error) {
        if (!IN_USE.includes((error as KafkaError).code)) throw error
        const message = `The consumer group must have no running instances: ${(error as Error).message}`
        throw new KafkaJSNonRetriableError(message, { cause: error as Error })
      }
    })

  /** −1 and −2 are the ends of the partition. */
  const resolved = async (
    consumer: Consumer,
    kafka: Kafka,
    topic: string,
    partitions: { partition: number; offset: string }[],
  ) => {
    const [latest, earliest] = await at(consumer, kafka, topic, 'latest', 'earliest')
    return partitions.map(({ partition, offset }) => {
      const given = Number(offset)
      const end = given === -1 ? latest : given === -2 ? earliest : undefined
      return { topic, partition, offset: end === undefined ? given : (end.get(partition) ?? 0) }
    })
  }

  return {
    async fetchTopicOffsets(topic) {
      checkTopic(topic)
      return await reading(undefined, async (consumer, kafka) => {
        const [high, low] = await at(consumer, kafka, topic, 'latest', 'earliest')
        return [...high!].map(([partition, offset]) => ({
          partition,
          offset: String(offset),
          high: String(offset),
          low: String(low!.get(partition)),
        }))
      })
    },

    async fetchTopicOffsetsByTimestamp(topic, timestamp) {
      checkTopic(topic)
      return await reading(undefined, async (consumer, kafka) => {
        const place: Place = timestamp === undefined || timestamp === -1 ? 'latest' : { timestamp }
        const [found, high] = await at(consumer, kafka, topic, timestamp === -2 ? 'earliest' : place, 'latest')
        return [...found!].map(([partition, offset]) => ({
          partition,
          offset: String(offset ?? high!.get(partition)),
        }))
      })
    },

    async fetchOffsets({ groupId, topics, resolveOffsets = false }) {
      checkGroup(groupId)
      if (topics !== undefined && topics !== null && !Array.isArray(topics)) {
        throw new KafkaJSNonRetriableError('Expected topics array to be set')
      }
      return await reading(groupId, async (consumer, kafka) => {
        const all = !topics || topics.length === 0
        const names = all ? (await kafka.admin().listTopics()).map(({ topic }) => topic) : topics
        const answers = await Promise.all(
          names.map(async topic => {
            const partitions = await partitionsOf(kafka, topic)
            const found = await consumer.committed(partitions.map(partition => ({ topic, partition })))
            return { topic, partitions: found.map(committed) }
          }),
        )
        const known = answers.filter(({ partitions }) => !all || partitions.some(({ offset }) => offset !== '-1'))
        if (!resolveOffsets) return known
        return await Promise.all(
          known.map(async ({ topic, partitions }) => {
            const offsets = await resolved(consumer, kafka, topic, partitions)
            const places = partitions.map((one, i) => ({ ...one, offset: String(offsets[i]!.offset) }))
            await set(groupId, topic, places)
            return { topic, partitions: places }
          }),
        )
      })
    },

    async setOffsets({ groupId, topic, partitions }) {
      checkGroup(groupId)
      if (!topic) throw new KafkaJSNonRetriableError(`Invalid topic ${topic}`)
      if (!partitions || partitions.length === 0) throw new KafkaJSNonRetriableError('Invalid partitions')
      await set(groupId, topic, partitions)
    },

    async resetOffsets({ groupId, topic, earliest = false }) {
      checkGroup(groupId)
      if (!topic) throw new KafkaJSNonRetriableError(`Invalid topic ${topic}`)
      const kafka = await connection.open()
      const partitions = await connection.tried(partitionsOf(kafka, topic))
      const offset = earliest ? '-2' : '-1'
      await set(
        groupId,
        topic,
        partitions.map(partition => ({ partition, offset })),
      )
    },
  }
}

async function partitionsOf(kafka: Kafka, topic: string): Promise<number[]> {
  const [described] = await kafka.admin().describeTopics([topic])
  return described!.partitions.map(({ partition }) => partition)
}

function committed({ partition, offset, metadata }: FoundOffset) {
  return { partition, offset: String(offset ?? -1), metadata: metadata || null }
}

function checkTopic(topic: string): void {
  if (!topic || typeof topic !== 'string') throw new KafkaJSNonRetriableError(`Invalid topic ${topic}`)
}

function checkGroup(groupId: string): void {
  if (!groupId) throw new KafkaJSNonRetriableError(`Invalid groupId ${groupId}`)
}
