/**
 * Topics and the cluster in kafkajs' admin client.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin as Engine } from '../admin.ts'
import type { KafkaError } from '../errors.ts'
import type { NewTopic } from '../index.ts'
import type { Connection } from './connection.ts'
import { KafkaJSAggregateError, KafkaJSCreateTopicError, KafkaJSNonRetriableError } from './errors.ts'
import { one } from './failure.ts'
import { KafkaJSTimeout } from './more-errors.ts'
import { partitionsOf } from './topics.ts'
import type { Admin, ITopicConfig } from './types/admin.ts'

type TopicOperations = Pick<
  Admin,
  'listTopics' | 'createTopics' | 'deleteTopics' | 'fetchTopicMetadata' | 'describeCluster'
>

/** See the module. */
export function topicOperations(connection: Connection): TopicOperations {
  const admin = async () => (await connection.open()).admin()
  return {
    async listTopics() {
      const topics = await connection.tried((await admin()).listTopics({ includeInternal: true }))
      return topics.map(({ topic }) => topic)
    },

    async createTopics({ topics, validateOnly, timeout, waitForLeaders = true }) {
      check(topics)
      const options = { validateOnly, ...(timeout ? { timeoutMs: timeout } : {}) }
      const client = await admin()
      // One by one: each topic that failed is told of.
      const results = await Promise.allSettled(topics.map(topic => client.createTopics([newTopic(topic)], options)))
      const errors = results.flatMap((result, at) => {
        if (result.status === 'fulfilled') return []
        const error = one(result.reason as KafkaError)
        return [new KafkaJSCreateTopicError(error, topics[at]!.topic)]
      })
      if (errors.length === 0) {
        if (waitForLeaders && !validateOnly)
          await connection.tried(Promise.all(topics.map(({ topic }) => led(client, topic, timeout))))
        return true
      }
      if (errors.every(({ type }) => type === 'TOPIC_ALREADY_EXISTS')) return false
      throw new KafkaJSAggregateError('Topic creation errors', errors)
    },

    async deleteTopics({ topics, timeout }) {
      if (!topics || !Array.isArray(topics)) throw new KafkaJSNonRetriableError(`Invalid topics array ${topics}`)
      if (topics.some(topic => typeof topic !== 'string')) {
        throw new KafkaJSNonRetriableError('Invalid topics array, the names must be a valid string')
      }
      await connection.tried((await admin()).deleteTopics(topics, timeout ? { timeoutMs: timeout } : {}))
    },

    async fetchTopicMetadata({ topics = [] } = { topics: [] }) {
      for (const topic of topics) {
        if (!topic || typeof topic !== 'string') throw new KafkaJSNonRetriableError(`Invalid topic ${topic}`)
      }
      const client = await admin()
      const described = await connection.tried(
        (async () => {
          const names =
            topics.length > 0 ? topics : (await client.listTopics({ includeInternal: true })).map(({ topic }) => topic)
          return await client.describeTopics(names)
        })(),
      )
      return { topics: described.map(topic => ({ name: topic.topic, partitions: partitionsOf(topic) })) }
    },

    async describeCluster() {
      const { brokers, controller, clusterId } = await connection.tried((await admin()).describeCluster())
      return {
        brokers: brokers.map(({ id, host, port }) => ({ nodeId: id, host, port })),
        controller,
        clusterId: clusterId ?? '',
      }
    },
  }
}

/** Waits until the leaders of a new topic are known: its controller answers a little earlier. */
async function led(client: Engine, topic: string, timeoutMs = 10_000): Promise<void> {
  for (const end = Date.now() + timeoutMs; ; await sleep(50)) {
    const [described] = await client.describeTopics([topic]).catch((error: KafkaError) => {
      if (error.retriable) return []
      throw error
    })
    if (described?.partitions.every(({ leader }) => leader !== null)) return
    if (Date.now() > end) throw new KafkaJSTimeout('Timed out while waiting for topic leaders')
  }
}

function check(topics: ITopicConfig[]): void {
  if (!topics || !Array.isArray(topics)) throw new KafkaJSNonRetriableError(`Invalid topics array ${topics}`)
  if (topics.some(({ topic }) => typeof topic !== 'string')) {
    throw new KafkaJSNonRetriableError('Invalid topics array, the topic names have to be a valid string')
  }
  if (new Set(topics.map(({ topic }) => topic)).size < topics.length) {
    throw new KafkaJSNonRetriableError('Invalid topics array, it cannot have multiple entries for the same topic')
  }
  for (const { topic, configEntries } of topics) {
    if (configEntries == null) continue
    if (!Array.isArray(configEntries)) {
      throw new KafkaJSNonRetriableError(`Invalid configEntries for topic "${topic}", must be an array`)
    }
    for (const [index, entry] of configEntries.entries()) {
      const where = `Invalid configEntries for topic "${topic}". Entry ${index}`
      if (typeof entry !== 'object' || entry == null) throw new KafkaJSNonRetriableError(`${where} must be an object`)
      for (const name of ['name', 'value'] as const) {
        if (typeof entry[name] !== 'string') {
          throw new KafkaJSNonRetriableError(`${where} must have a valid "${name}" property`)
        }
      }
    }
  }
}

function newTopic({
  topic,
  numPartitions,
  replicationFactor,
  replicaAssignment,
  configEntries,
}: ITopicConfig): NewTopic {
  const configs = configEntries && Object.fromEntries(configEntries.map(({ name, value }) => [name, value]))
  if (replicaAssignment && replicaAssignment.length > 0) {
    const assignments = [...replicaAssignment].sort((a, b) => a.partition - b.partition).map(({ replicas }) => replicas)
    return { topic, assignments, configs }
  }
  // −1 there: as the broker has it.
  const orDefault = (count: number | undefined) => (count === undefined || count < 0 ? undefined : count)
  return { topic, partitions: orDefault(numPartitions), replicationFactor: orDefault(replicationFactor), configs }
}
