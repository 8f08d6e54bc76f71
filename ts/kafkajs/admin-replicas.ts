/**
 * Reassignments of partitions in kafkajs' admin client.
 */
import type { Connection } from './connection.ts'
import { KafkaJSNonRetriableError } from './errors.ts'
import type { Admin, OngoingTopicReassignment } from './types/admin.ts'

type ReplicaOperations = Pick<Admin, 'alterPartitionReassignments' | 'listPartitionReassignments'>

/** See the module. */
export function replicaOperations(connection: Connection): ReplicaOperations {
  const admin = async () => (await connection.open()).admin()
  return {
    async alterPartitionReassignments({ topics, timeout }) {
      if (!topics || !Array.isArray(topics)) throw new KafkaJSNonRetriableError(`Invalid topics array ${topics}`)
      if (topics.some(({ topic }) => typeof topic !== 'string')) {
        throw new KafkaJSNonRetriableError('Invalid topics array, the topic names have to be a valid string')
      }
      if (new Set(topics.map(({ topic }) => topic)).size < topics.length) {
        throw new KafkaJSNonRetriableError('Invalid topics array, it cannot have multiple entries for the same topic')
      }
      const partitions = topics.flatMap(({ topic, partitionAssignment }) => {
        if (!Array.isArray(partitionAssignment)) {
          throw new KafkaJSNonRetriableError(`Invalid partitions array: ${partitionAssignment} for topic: ${topic}`)
        }
        return partitionAssignment.map(({ partition, replicas }) => {
          if (partition === null || partition === undefined || typeof partition !== 'number' || partition < 0) {
            throw new KafkaJSNonRetriableError(`Invalid partitions index: ${partition} for topic: ${topic}`)
          }
          if (!Array.isArray(replicas) || replicas.some(id => typeof id !== 'number' || id < 0)) {
            const where = `topic: ${topic} on partition: ${partition}`
            throw new KafkaJSNonRetriableError(`Invalid replica assignment: ${replicas} for ${where}`)
          }
          return { topic, partition, replicas }
        })
      })
      const options = timeout ? { timeoutMs: timeout } : {}
      await connection.tried((await admin()).alterPartitionReassignments(partitions, options))
    },

    async listPartitionReassignments({ topics, timeout } = {}) {
      const partitions = topics?.flatMap(({ topic, partitions }) => partitions.map(partition => ({ topic, partition })))
      const options = { ...(partitions ? { partitions } : {}), ...(timeout ? { timeoutMs: timeout } : {}) }
      const found = await connection.tried((await admin()).listPartitionReassignments(options))
      const byTopic = new Map<string, OngoingTopicReassignment>()
      for (const { topic, partition, replicas, adding, removing } of found) {
        const of = byTopic.get(topic) ?? { topic, partitions: [] }
        of.partitions.push({
          partitionIndex: partition,
          replicas,
          addingReplicas: adding,
          removingReplicas: removing,
        })
        byTopic.set(topic, of)
      }
      return { topics: [...byTopic.values()] }
    },
  }
}
