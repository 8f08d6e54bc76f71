/**
 * kafkajs' types of consumers.
 */
import type { PartitionAssigner } from './assigners.ts'
import type { Logger, RetryOptions } from './client.ts'
import type {
  ConnectEvent,
  ConsumerCommitOffsetsEvent,
  ConsumerCrashEvent,
  ConsumerEndBatchProcessEvent,
  ConsumerEvents,
  ConsumerFetchEvent,
  ConsumerFetchStartEvent,
  ConsumerGroupJoinEvent,
  ConsumerHeartbeatEvent,
  ConsumerRebalancingEvent,
  ConsumerReceivedUnsubcribedTopicsEvent,
  ConsumerStartBatchProcessEvent,
  DisconnectEvent,
  InstrumentationEvent,
  RemoveInstrumentationEventListener,
  RequestEvent,
  RequestQueueSizeEvent,
  RequestTimeoutEvent,
  ValueOf,
} from './events.ts'
import type { IHeaders, Offsets, TopicOffsets } from './records.ts'

/** Options of a consumer. */
export interface ConsumerConfig {
  /** The group. */
  groupId: string
  /** Who shares out partitions, best first. Default: `PartitionAssigners.roundRobin`, kafkajs' own. */
  partitionAssigners?: PartitionAssigner[] | undefined
  /** For how long what is known of topics is believed, in milliseconds. */
  metadataMaxAge?: number | undefined
  /** A member that is not heard of for this long is taken for dead, in milliseconds. */
  sessionTimeout?: number | undefined
  /** For how long the group waits for a member's handler when it rebalances, in milliseconds; at least 5 minutes here. */
  rebalanceTimeout?: number | undefined
  /** How often the engine says that it lives, in milliseconds. */
  heartbeatInterval?: number | undefined
  /** Most bytes of a partition in one answer. */
  maxBytesPerPartition?: number | undefined
  /** A broker answers when it has so many bytes. */
  minBytes?: number | undefined
  /** Most bytes in one answer. */
  maxBytes?: number | undefined
  /** A broker answers after so long at the latest, in milliseconds. */
  maxWaitTimeInMs?: number | undefined
  /** How a failed handler is tried again. */
  retry?: (RetryOptions & { restartOnFailure?: ((err: Error) => Promise<boolean>) | undefined }) | undefined
  /** Whether subscribing to an unknown topic may create it. */
  allowAutoTopicCreation?: boolean | undefined
  /** Accepted; how requests are sent is the engine's. */
  maxInFlightRequests?: number | undefined
  /** Reads records of open and aborted transactions too. */
  readUncommitted?: boolean | undefined
  /** Where this client stands. */
  rackId?: string | undefined
}

interface MessageSetEntry {
  key: Buffer | null
  value: Buffer | null
  timestamp: string
  attributes: number
  offset: string
  size: number
  headers?: never
}

interface RecordBatchEntry {
  key: Buffer | null
  value: Buffer | null
  timestamp: string
  attributes: number
  offset: string
  headers: IHeaders
  size?: never
}

/** A record that was read. */
export type KafkaMessage = MessageSetEntry | RecordBatchEntry

/** Records of one partition. */
export type Batch = {
  topic: string
  partition: number
  highWatermark: string
  messages: KafkaMessage[]
  isEmpty(): boolean
  firstOffset(): string | null
  lastOffset(): string
  offsetLag(): string
  offsetLagLow(): string
}

/** Offsets by topic and partition. */
export interface OffsetsByTopicPartition {
  /** By topic. */
  topics: TopicOffsets[]
}

/** What `eachMessage` is given. */
export interface EachMessagePayload {
  /** The topic. */
  topic: string
  /** The partition. */
  partition: number
  /** The record. */
  message: KafkaMessage
  /** Not needed: the engine sends heartbeats. */
  heartbeat(): Promise<void>
  /** Pauses the partition after this record; what is returned ends that. */
  pause(): () => void
}

/** What `eachBatch` is given. */
export interface EachBatchPayload {
  /** The records. */
  batch: Batch
  /** The record at this offset, and all before, are done. */
  resolveOffset(offset: string): void
  /** Rejects when the partition is to be given up: the handler should end. */
  heartbeat(): Promise<void>
  /** Pauses the partition after this batch; what is returned ends that. */
  pause(): () => void
  /** Commits these offsets, or what is resolved if `autoCommitInterval` or `autoCommitThreshold` say so. */
  commitOffsetsIfNecessary(offsets?: Offsets): Promise<void>
  /** What is resolved and not committed. */
  uncommittedOffsets(): OffsetsByTopicPartition
  /** False when the consumer stops. */
  isRunning(): boolean
  /** True after a seek, or when the partition is to be given up: what is left of the batch counts no more. */
  isStale(): boolean
}

/** Another name of `EachMessagePayload`. */
export type ConsumerEachMessagePayload = EachMessagePayload
/** Another name of `EachBatchPayload`. */
export type ConsumerEachBatchPayload = EachBatchPayload
/** Handles a batch. */
export type EachBatchHandler = (payload: EachBatchPayload) => Promise<void>
/** Handles a record. */
export type EachMessageHandler = (payload: EachMessagePayload) => Promise<void>

/** Options of `run`. */
export type ConsumerRunConfig = {
  autoCommit?: boolean | undefined
  autoCommitInterval?: number | null | undefined
  autoCommitThreshold?: number | null | undefined
  eachBatchAutoResolve?: boolean | undefined
  partitionsConsumedConcurrently?: number | undefined
  eachBatch?: EachBatchHandler | undefined
  eachMessage?: EachMessageHandler | undefined
}

/** @deprecated Replaced by ConsumerSubscribeTopics */
export type ConsumerSubscribeTopic = { topic: string | RegExp; fromBeginning?: boolean }
/** What to read. */
export type ConsumerSubscribeTopics = { topics: (string | RegExp)[]; fromBeginning?: boolean }

/** Partitions of a topic. */
export type TopicPartitions = { topic: string; partitions: number[] }
/** A partition. */
export type TopicPartition = { topic: string; partition: number }
/** An offset of a partition. */
export type TopicPartitionOffset = TopicPartition & { offset: string }
/** An offset of a partition, and the program's own text. */
export type TopicPartitionOffsetAndMetadata = TopicPartitionOffset & { metadata?: string | null }

/** A member of a group. */
export type MemberDescription = {
  clientHost: string
  clientId: string
  memberId: string
  memberAssignment: Buffer
  memberMetadata: Buffer
}

/** How a group is doing. */
export type ConsumerGroupState = 'Unknown' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead' | 'Empty'

/** A group. */
export type GroupDescription = {
  groupId: string
  members: MemberDescription[]
  protocol: string
  protocolType: string
  state: ConsumerGroupState
}

/** Groups. */
export type GroupDescriptions = { groups: GroupDescription[] }

/** A consumer. */
export type Consumer = {
  connect(): Promise<void>
  disconnect(): Promise<void>
  subscribe(subscription: ConsumerSubscribeTopics | ConsumerSubscribeTopic): Promise<void>
  stop(): Promise<void>
  run(config?: ConsumerRunConfig): Promise<void>
  commitOffsets(topicPartitions: Array<TopicPartitionOffsetAndMetadata>): Promise<void>
  seek(topicPartitionOffset: TopicPartitionOffset): void
  describeGroup(): Promise<GroupDescription>
  pause(topics: Array<{ topic: string; partitions?: number[] }>): void
  paused(): TopicPartitions[]
  resume(topics: Array<{ topic: string; partitions?: number[] }>): void
  on(
    eventName: ConsumerEvents['HEARTBEAT'],
    listener: (event: ConsumerHeartbeatEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ConsumerEvents['COMMIT_OFFSETS'],
    listener: (event: ConsumerCommitOffsetsEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ConsumerEvents['GROUP_JOIN'],
    listener: (event: ConsumerGroupJoinEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ConsumerEvents['FETCH_START'],
    listener: (event: ConsumerFetchStartEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ConsumerEvents['FETCH'],
    listener: (event: ConsumerFetchEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ConsumerEvents['START_BATCH_PROCESS'],
    listener: (event: ConsumerStartBatchProcessEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ConsumerEvents['END_BATCH_PROCESS'],
    listener: (event: ConsumerEndBatchProcessEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ConsumerEvents['CONNECT'],
    listener: (event: ConnectEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ConsumerEvents['DISCONNECT'],
    listener: (event: DisconnectEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ConsumerEvents['STOP'],
    listener: (event: InstrumentationEvent<null>) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ConsumerEvents['CRASH'],
    listener: (event: ConsumerCrashEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ConsumerEvents['REBALANCING'],
    listener: (event: ConsumerRebalancingEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ConsumerEvents['RECEIVED_UNSUBSCRIBED_TOPICS'],
    listener: (event: ConsumerReceivedUnsubcribedTopicsEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ConsumerEvents['REQUEST'],
    listener: (event: RequestEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ConsumerEvents['REQUEST_TIMEOUT'],
    listener: (event: RequestTimeoutEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ConsumerEvents['REQUEST_QUEUE_SIZE'],
    listener: (event: RequestQueueSizeEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ValueOf<ConsumerEvents>,
    // biome-ignore lint/suspicious/noExplicitAny: as in kafkajs' types
    listener: (event: InstrumentationEvent<any>) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  logger(): Logger
  readonly events: ConsumerEvents
}
