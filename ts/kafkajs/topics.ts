/**
 * The partitions of topics, for what is chosen before the engine gets it: kept for `metadataMaxAge`.
 */
import type { KafkaError } from '../errors.ts'
import type { Kafka } from '../kafka.ts'
import type { PartitionMetadata } from './types/records.ts'

const MAX_AGE_MS = 300_000
const PAUSE_MS = 100

/** How a topic's partitions look in kafkajs. */
export function partitionsOf(topic: {
  partitions: { partition: number; leader: number | null; replicas: number[]; inSync: number[]; offline: number[] }[]
}): PartitionMetadata[] {
  return topic.partitions.map(({ partition, leader, replicas, inSync, offline }) => ({
    partitionErrorCode: leader === null ? 5 : 0,
    partitionId: partition,
    leader: leader ?? -1,
    replicas,
    isr: inSync,
    offlineReplicas: offline,
  }))
}

/** See the module. */
export class Topics {
  readonly #kafka: Kafka
  readonly #maxAgeMs: number
  readonly #create: boolean
  readonly #waitMs: number
  readonly #known = new Map<string, { until: number; partitions: Promise<PartitionMetadata[]> }>()

  constructor(kafka: Kafka, options: { maxAgeMs: number | undefined; create: boolean; waitMs: number }) {
    this.#kafka = kafka
    this.#maxAgeMs = options.maxAgeMs ?? MAX_AGE_MS
    this.#create = options.create
    this.#waitMs = options.waitMs
  }

  /** The partitions of a topic, asked for if they are not known or too old. */
  partitions(topic: string): Promise<PartitionMetadata[]> {
    const known = this.#known.get(topic)
    if (known !== undefined && known.until > Date.now()) return known.partitions
    const partitions = this.#look(topic)
    this.#known.set(topic, { until: Date.now() + this.#maxAgeMs, partitions })
    partitions.catch(() => this.#known.delete(topic))
    return partitions
  }

  /** Forgets a topic: sending to it has failed. */
  forget(topic: string): void {
    this.#known.delete(topic)
  }

  async #look(topic: string): Promise<PartitionMetadata[]> {
    const admin = this.#kafka.admin()
    const found = async () => partitionsOf((await admin.describeTopics([topic]))[0]!)
    try {
      return await found()
    } catch (error) {
      if ((error as KafkaError).code !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
    }
    // Reading it makes the engine ask for it in a way that creates it, if the broker does that.
    const reader = this.#create ? this.#kafka.consumer({ allowAutoCreateTopics: true }) : undefined
    try {
      await reader?.assign([{ topic, partition: 0, offset: 'latest' }])
      for (const until = Date.now() + this.#waitMs; ; await new Promise(go => setTimeout(go, PAUSE_MS))) {
        try {
          return await found()
        } catch (error) {
          if (!(error as KafkaError).retriable || Date.now() > until) throw error
        }
      }
    } finally {
      await reader?.close()
    }
  }
}
