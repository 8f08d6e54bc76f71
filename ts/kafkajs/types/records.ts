/**
 * kafkajs' types of records, producers and transactions.
 */
import type { CompressionTypes } from '../constants.ts'
import type { Logger, RetryOptions } from './client.ts'
import type {
  ConnectEvent,
  DisconnectEvent,
  InstrumentationEvent,
  ProducerEvents,
  RemoveInstrumentationEventListener,
  RequestEvent,
  RequestQueueSizeEvent,
  RequestTimeoutEvent,
  ValueOf,
} from './events.ts'

/** Options of a producer. */
export interface ProducerConfig {
  /** Makes what chooses partitions. */
  createPartitioner?: ICustomPartitioner | undefined
  /** How failures are tried again. */
  retry?: RetryOptions | undefined
  /** For how long what is known of topics is believed, in milliseconds. */
  metadataMaxAge?: number | undefined
  /** Whether sending to an unknown topic may create it. */
  allowAutoTopicCreation?: boolean | undefined
  /** Each record lands exactly once. Unset: so with acks −1, and `isIdempotent()` is false as in kafkajs. */
  idempotent?: boolean | undefined
  /** Makes the producer transactional. */
  transactionalId?: string | undefined
  /** For how long a transaction may be open, in milliseconds. */
  transactionTimeout?: number | undefined
  /** Requests on their way to one broker at a time. */
  maxInFlightRequests?: number | undefined
}

/** A record to send. */
export interface Message {
  /** Decides the partition unless one is named. */
  key?: Buffer | string | null
  /** The content; null is a tombstone. */
  value: Buffer | string | null
  /** The partition. */
  partition?: number
  /** Headers. */
  headers?: IHeaders
  /** Milliseconds since the epoch. */
  timestamp?: string
}

/** Headers by name; several of a name are an array. */
export interface IHeaders {
  /** By name. */
  [key: string]: Buffer | string | (Buffer | string)[] | undefined
}

/** What a partitioner is given. */
export interface PartitionerArgs {
  /** The topic. */
  topic: string
  /** Its partitions. */
  partitionMetadata: PartitionMetadata[]
  /** The record. */
  message: Message
}

/** Makes what chooses partitions. */
export type ICustomPartitioner = () => (args: PartitionerArgs) => number
/** Java's murmur2 of the key. */
export type DefaultPartitioner = ICustomPartitioner
/** kafkajs' own of before 2.0. */
export type LegacyPartitioner = ICustomPartitioner

/** A partition. */
export type PartitionMetadata = {
  partitionErrorCode: number
  partitionId: number
  leader: number
  replicas: number[]
  isr: number[]
  offlineReplicas?: number[]
}

/** Records of one topic, and how to send them. */
export interface ProducerRecord {
  /** The topic. */
  topic: string
  /** The records. */
  messages: Message[]
  /** −1: all replicas in sync have them, 1: the leader has, 0: nobody is asked. */
  acks?: number | undefined
  /** How long until they fail, in milliseconds. */
  timeout?: number | undefined
  /** How they are compressed. */
  compression?: CompressionTypes | undefined
}

/** Where records of one partition landed. */
export type RecordMetadata = {
  topicName: string
  partition: number
  errorCode: number
  offset?: string
  timestamp?: string
  baseOffset?: string
  logAppendTime?: string
  logStartOffset?: string
}

/** Records of one topic. */
export interface TopicMessages {
  /** The topic. */
  topic: string
  /** The records. */
  messages: Message[]
}

/** Records of several topics, and how to send them. */
export interface ProducerBatch {
  /** −1: all replicas in sync have them, 1: the leader has, 0: nobody is asked. */
  acks?: number | undefined
  /** How long until they fail, in milliseconds. */
  timeout?: number | undefined
  /** How they are compressed. */
  compression?: CompressionTypes | undefined
  /** The records. */
  topicMessages?: TopicMessages[] | undefined
}

/** An offset of a partition. */
export interface PartitionOffset {
  /** The partition. */
  partition: number
  /** The offset. */
  offset: string
}

/** Offsets of a topic. */
export interface TopicOffsets {
  /** The topic. */
  topic: string
  /** Offsets of its partitions. */
  partitions: PartitionOffset[]
}

/** Offsets. */
export interface Offsets {
  /** By topic. */
  topics: TopicOffsets[]
}

/** What sends. */
export type Sender = {
  send(record: ProducerRecord): Promise<RecordMetadata[]>
  sendBatch(batch: ProducerBatch): Promise<RecordMetadata[]>
}

/** A producer. */
export type Producer = Sender & {
  connect(): Promise<void>
  disconnect(): Promise<void>
  isIdempotent(): boolean
  readonly events: ProducerEvents
  on(
    eventName: ProducerEvents['CONNECT'],
    listener: (event: ConnectEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ProducerEvents['DISCONNECT'],
    listener: (event: DisconnectEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ProducerEvents['REQUEST'],
    listener: (event: RequestEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ProducerEvents['REQUEST_QUEUE_SIZE'],
    listener: (event: RequestQueueSizeEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ProducerEvents['REQUEST_TIMEOUT'],
    listener: (event: RequestTimeoutEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ValueOf<ProducerEvents>,
    // biome-ignore lint/suspicious/noExplicitAny: as in kafkajs' types
    listener: (event: InstrumentationEvent<any>) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  transaction(): Promise<Transaction>
  logger(): Logger
}

/** An open transaction. */
export type Transaction = Sender & {
  sendOffsets(offsets: Offsets & { consumerGroupId: string }): Promise<void>
  commit(): Promise<void>
  abort(): Promise<void>
  isActive(): boolean
}
