/**
 * What `send` and `sendBatch` are given, checked as kafkajs does and turned into the engine's records; and where these landed,
 * as kafkajs tells it.
 */
import type { BatchMetadata, ProducerMessage } from '../index.ts'
import { KafkaJSNonRetriableError } from './errors.ts'
import type { Topics } from './topics.ts'
import type { Message, PartitionerArgs, ProducerBatch, RecordMetadata, TopicMessages } from './types/records.ts'

/** Chooses a partition. */
export type Partition = (args: PartitionerArgs) => number

/** Checks what is to be sent, and puts together what is of one topic. */
export function checked({ acks = -1, topicMessages = [] }: ProducerBatch, idempotent: boolean): TopicMessages[] {
  if (topicMessages.some(({ topic }) => !topic)) throw new KafkaJSNonRetriableError('Invalid topic')
  if (idempotent && acks !== -1) {
    throw new KafkaJSNonRetriableError(
      `Not requiring ack for all messages invalidates the idempotent producer's EoS guarantees`,
    )
  }
  const merged = new Map<string, Message[]>()
  for (const { topic, messages } of topicMessages) {
    if (!messages) throw new KafkaJSNonRetriableError(`Invalid messages array [${messages}] for topic "${topic}"`)
    const bare = messages.find(message => message.value === undefined)
    if (bare) {
      throw new KafkaJSNonRetriableError(`Invalid message without value for topic "${topic}": ${JSON.stringify(bare)}`)
    }
    merged.set(topic, [...(merged.get(topic) ?? []), ...messages])
  }
  return [...merged].map(([topic, messages]) => ({ topic, messages }))
}

/**
 * The engine's records. Their partitions are chosen here, before the engine would: all of them, or (`keys` is 'engine') those of
 * records without a key, which kafkajs deals out one by one.
 */
export async function records(
  { topic, messages }: TopicMessages,
  topics: Topics,
  { choose, keys }: { choose: Partition; keys: 'own' | 'engine' },
): Promise<ProducerMessage[]> {
  const chosen = ({ key, partition }: Message) => keys === 'own' || (key == null && partition == null)
  if (!messages.some(chosen)) return messages.map(record)
  const partitionMetadata = await topics.partitions(topic)
  return messages.map(message =>
    chosen(message)
      ? { ...record(message), partition: choose({ topic, partitionMetadata, message }) }
      : record(message),
  )
}

function record({ key, value, headers, timestamp, partition }: Message): ProducerMessage {
  return {
    key: bytes(key),
    value: bytes(value),
    headers: headers == null ? undefined : pairs(headers),
    timestamp: timestamp ? Number(timestamp) : undefined,
    partition: partition ?? undefined,
  }
}

/** kafkajs writes what is no bytes as text. */
function bytes(value: Buffer | string | null | undefined): Uint8Array | string | null {
  if (value === null || value === undefined) return null
  return typeof value === 'string' || value instanceof Uint8Array ? value : String(value)
}

function pairs(headers: NonNullable<Message['headers']>): [string, Uint8Array | string | null][] {
  return Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one): [string, Uint8Array | string | null] => [name, bytes(one)]),
  )
}

/** One entry per partition, as brokers answer. Where the log begins is not asked: `logStartOffset` is −1. */
export function landed(of: BatchMetadata): RecordMetadata[] {
  const byPartition = new Map<number, RecordMetadata & { baseOffset: string }>()
  for (const { topic, partition, offset, appendTime } of of) {
    const known = byPartition.get(partition)
    if (known !== undefined) {
      if (offset < Number(known.baseOffset)) known.baseOffset = String(offset)
      continue
    }
    byPartition.set(partition, {
      topicName: topic,
      partition,
      errorCode: 0,
      baseOffset: String(offset),
      logAppendTime: String(appendTime ?? -1),
      logStartOffset: '-1',
    })
  }
  return [...byPartition.values()].sort((a, b) => a.partition - b.partition)
}
