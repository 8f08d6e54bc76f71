/**
 * kafkajs' instrumentation events. Those of the network (`REQUEST` and its kin) have names here but never come: requests are
 * the engine's.
 */
import type { TopicOffsets } from './records.ts'

/** Values of an object type. */
export type ValueOf<T> = T[keyof T]

/** An event. */
export interface InstrumentationEvent<T> {
  /** Counts events. */
  id: string
  /** Its name. */
  type: string
  /** Milliseconds since the epoch. */
  timestamp: number
  /** What it tells. */
  payload: T
}

/** Ends listening. */
export type RemoveInstrumentationEventListener<_T> = () => void

/** Connected. */
export type ConnectEvent = InstrumentationEvent<null>
/** Disconnected. */
export type DisconnectEvent = InstrumentationEvent<null>
/** Never comes. */
export type RequestEvent = InstrumentationEvent<{
  apiKey: number
  apiName: string
  apiVersion: number
  broker: string
  clientId: string
  correlationId: number
  createdAt: number
  duration: number
  pendingDuration: number
  sentAt: number
  size: number
}>
/** Never comes. */
export type RequestTimeoutEvent = InstrumentationEvent<{
  apiKey: number
  apiName: string
  apiVersion: number
  broker: string
  clientId: string
  correlationId: number
  createdAt: number
  pendingDuration: number
  sentAt: number
}>
/** Never comes. */
export type RequestQueueSizeEvent = InstrumentationEvent<{ broker: string; clientId: string; queueSize: number }>

/** Events of `admin`. */
export type AdminEvents = {
  CONNECT: 'admin.connect'
  DISCONNECT: 'admin.disconnect'
  REQUEST: 'admin.network.request'
  REQUEST_TIMEOUT: 'admin.network.request_timeout'
  REQUEST_QUEUE_SIZE: 'admin.network.request_queue_size'
}

/** Events of a producer. */
export type ProducerEvents = {
  CONNECT: 'producer.connect'
  DISCONNECT: 'producer.disconnect'
  REQUEST: 'producer.network.request'
  REQUEST_TIMEOUT: 'producer.network.request_timeout'
  REQUEST_QUEUE_SIZE: 'producer.network.request_queue_size'
}

/** Events of a consumer. */
export type ConsumerEvents = {
  HEARTBEAT: 'consumer.heartbeat'
  COMMIT_OFFSETS: 'consumer.commit_offsets'
  GROUP_JOIN: 'consumer.group_join'
  FETCH_START: 'consumer.fetch_start'
  FETCH: 'consumer.fetch'
  START_BATCH_PROCESS: 'consumer.start_batch_process'
  END_BATCH_PROCESS: 'consumer.end_batch_process'
  CONNECT: 'consumer.connect'
  DISCONNECT: 'consumer.disconnect'
  STOP: 'consumer.stop'
  CRASH: 'consumer.crash'
  REBALANCING: 'consumer.rebalancing'
  RECEIVED_UNSUBSCRIBED_TOPICS: 'consumer.received_unsubscribed_topics'
  REQUEST: 'consumer.network.request'
  REQUEST_TIMEOUT: 'consumer.network.request_timeout'
  REQUEST_QUEUE_SIZE: 'consumer.network.request_queue_size'
}

/** The consumer is a member of its group and alive: at most every `heartbeatInterval`. */
export type ConsumerHeartbeatEvent = InstrumentationEvent<{
  groupId: string
  memberId: string
  groupGenerationId: number
}>
/** Offsets were committed. */
export type ConsumerCommitOffsetsEvent = InstrumentationEvent<{
  groupId: string
  memberId: string
  groupGenerationId: number
  topics: TopicOffsets[]
}>
/** Partitions by topic. */
export interface IMemberAssignment {
  /** By topic. */
  [key: string]: number[]
}
/** The consumer has joined its group, with these partitions. */
export type ConsumerGroupJoinEvent = InstrumentationEvent<{
  duration: number
  groupId: string
  isLeader: boolean
  /** Empty unless it is this consumer. */
  leaderId: string
  groupProtocol: string
  memberId: string
  memberAssignment: IMemberAssignment
}>
/** The consumer asks for records. `nodeId` is −1: which broker it asks is the engine's. */
export type ConsumerFetchStartEvent = InstrumentationEvent<{ nodeId: number }>
/** The consumer got records. */
export type ConsumerFetchEvent = InstrumentationEvent<{ numberOfBatches: number; duration: number; nodeId: number }>
/** A batch. */
export interface IBatchProcessEvent {
  /** Its topic. */
  topic: string
  /** Its partition. */
  partition: number
  /** One more than the last offset that may be read. */
  highWatermark: string
  /** Records behind its last one. */
  offsetLag: string
  /** Records behind its first one. */
  offsetLagLow: string
  /** How many records. */
  batchSize: number
  /** Offset of the first. */
  firstOffset: string
  /** Offset of the last. */
  lastOffset: string
}
/** A batch is given to the handler. */
export type ConsumerStartBatchProcessEvent = InstrumentationEvent<IBatchProcessEvent>
/** The handler is done with a batch. */
export type ConsumerEndBatchProcessEvent = InstrumentationEvent<IBatchProcessEvent & { duration: number }>
/** The consumer has stopped for an error. */
export type ConsumerCrashEvent = InstrumentationEvent<{ error: Error; groupId: string; restart: boolean }>
/** The group shares out its partitions anew. */
export type ConsumerRebalancingEvent = InstrumentationEvent<{ groupId: string; memberId: string }>
/** Never comes: the engine takes nothing it has not subscribed to. */
export type ConsumerReceivedUnsubcribedTopicsEvent = InstrumentationEvent<{
  groupId: string
  generationId: number
  memberId: string
  assignedTopics: string[]
  topicsSubscribed: string[]
  topicsNotSubscribed: string[]
}>
