/**
 * kafkajs' error classes: names, members and what they derive from are its own.
 */
import type { DeleteGroupsResult } from './types/admin.ts'
import type { PartitionMetadata } from './types/records.ts'

/** For `KafkaJSError`. */
export interface KafkaJSErrorMetadata {
  /** Whether the same call may succeed when it is made again. */
  retriable?: boolean | undefined
  /** The topic. */
  topic?: string
  /** The partition. */
  partitionId?: number
  /** What is known of the partition. */
  metadata?: PartitionMetadata
  /** What it came from. */
  cause?: Error | undefined
}

/** What members errors are made from. */
type Source = Error | string
type Member = (e: Source, name: string) => unknown
const member: Member = (e, name) =>
  typeof e === 'string' ? undefined : (e as unknown as Record<string, unknown>)[name]

/** Every error of kafkajs but `KafkaJSAggregateError`. */
export class KafkaJSError extends Error {
  /** What went wrong. */
  declare readonly message: Error['message']
  /** The name of its class. */
  declare readonly name: string
  /** Whether the same call may succeed when it is made again. */
  readonly retriable: boolean
  /** Where to read more. */
  readonly helpUrl?: string
  /** What it came from. Beneath it is the engine's own error, a `KafkaError` of `dohle`. */
  declare readonly cause?: Error

  constructor(e: Error | string, { retriable = true, cause }: KafkaJSErrorMetadata = {}) {
    super((member(e, 'message') as string | undefined) || String(e), { cause })
    named(this, 'KafkaJSError')
    this.retriable = retriable
    const helpUrl = member(e, 'helpUrl')
    if (typeof helpUrl === 'string') this.helpUrl = helpUrl
  }
}

/** Its name is set after the classes above it have set theirs, as in kafkajs. */
function named(error: Error, name: string): void {
  Object.defineProperty(error, 'name', { value: name, writable: true, enumerable: true, configurable: true })
}

/** Nothing is won by trying again. */
export class KafkaJSNonRetriableError extends KafkaJSError {
  constructor(e: Error | string, { cause }: { cause?: Error | undefined } = {}) {
    super(e, { retriable: false, cause })
    named(this, 'KafkaJSNonRetriableError')
  }
}

/** A broker has answered with an error. */
export class KafkaJSProtocolError extends KafkaJSError {
  /** Kafka's number of the error. */
  readonly code: number
  /** kafkajs' name of the error: Kafka's, but for a few. */
  readonly type: string

  constructor(e: Error | string, { retriable, cause }: KafkaJSErrorMetadata = {}) {
    super(e, { retriable: retriable ?? (member(e, 'retriable') as boolean | undefined), cause })
    this.type = member(e, 'type') as string
    this.code = member(e, 'code') as number
    named(this, 'KafkaJSProtocolError')
  }
}

/** For `KafkaJSOffsetOutOfRange`. */
export interface KafkaJSOffsetOutOfRangeMetadata {
  /** The topic. */
  topic: string
  /** The partition. */
  partition: number
}

/** There is no such offset. */
export class KafkaJSOffsetOutOfRange extends KafkaJSProtocolError {
  /** The topic. */
  readonly topic: string
  /** The partition. */
  readonly partition: number

  constructor(e: Error | string, metadata?: KafkaJSOffsetOutOfRangeMetadata) {
    super(e)
    this.topic = metadata?.topic as string
    this.partition = metadata?.partition as number
    named(this, 'KafkaJSOffsetOutOfRange')
  }
}

/** A member must join with an id. */
export class KafkaJSMemberIdRequired extends KafkaJSProtocolError {
  /** The id. */
  readonly memberId: string

  constructor(e: Error | string, { memberId }: { memberId: string }) {
    super(e)
    this.memberId = memberId
    named(this, 'KafkaJSMemberIdRequired')
  }
}

/** A topic could not be created. */
export class KafkaJSCreateTopicError extends KafkaJSProtocolError {
  /** The topic. */
  readonly topic: string

  constructor(e: Error | string, topicName: string) {
    super(e)
    this.topic = topicName
    named(this, 'KafkaJSCreateTopicError')
  }
}

/** A partition could not be moved. */
export class KafkaJSAlterPartitionReassignmentsError extends KafkaJSProtocolError {
  /** The topic. */
  readonly topic?: string
  /** The partition. */
  readonly partition?: number

  constructor(e: Error | string, topicName?: string, partition?: number) {
    super(e)
    if (topicName !== undefined) this.topic = topicName
    if (partition !== undefined) this.partition = partition
    named(this, 'KafkaJSAlterPartitionReassignmentsError')
  }
}

/** For `KafkaJSNumberOfRetriesExceeded`. */
export interface KafkaJSNumberOfRetriesExceededMetadata {
  /** How often it was tried again. */
  retryCount: number
  /** The last pause in milliseconds. */
  retryTime: number
}

/** It was tried again as often as allowed. */
export class KafkaJSNumberOfRetriesExceeded extends KafkaJSNonRetriableError {
  /** Where, and where that came from. */
  declare readonly stack: string
  /** How often it was tried again. */
  readonly retryCount: number
  /** The last pause in milliseconds. */
  readonly retryTime: number

  constructor(e: Error | string, metadata?: KafkaJSNumberOfRetriesExceededMetadata) {
    super(e, { cause: e as Error })
    Object.assign(this, { stack: `${this.name}\n  Caused by: ${member(e, 'stack')}` })
    this.retryCount = metadata?.retryCount as number
    this.retryTime = metadata?.retryTime as number
    named(this, 'KafkaJSNumberOfRetriesExceeded')
  }
}

/** For `KafkaJSConnectionError`. */
export interface KafkaJSConnectionErrorMetadata {
  /** The broker's address. */
  broker?: string | undefined
  /** What the system calls it. */
  code?: string | undefined
}

/** A broker could not be reached. */
export class KafkaJSConnectionError extends KafkaJSError {
  /** The broker's address. */
  readonly broker: string
  /** What the system calls it. */
  readonly code: string | undefined

  constructor(e: Error | string, { broker, code }: KafkaJSConnectionErrorMetadata = {}) {
    super(e)
    this.broker = broker as string
    this.code = code
    named(this, 'KafkaJSConnectionError')
  }
}

/** A connection has been closed. */
export class KafkaJSConnectionClosedError extends KafkaJSConnectionError {
  /** The broker's host. */
  readonly host: string | undefined
  /** The broker's port. */
  readonly port: number | undefined

  constructor(e: Error | string, { host, port }: { host?: string; port?: number } = {}) {
    super(e, { broker: `${host}:${port}` })
    this.host = host
    this.port = port
    named(this, 'KafkaJSConnectionClosedError')
  }
}

/** For `KafkaJSRequestTimeoutError`. */
export interface KafkaJSRequestTimeoutErrorMetadata {
  /** The broker's address. */
  broker: string
  /** `clientId` */
  clientId: string
  /** The request's number. */
  correlationId: number
  /** When it was made. */
  createdAt: number
  /** When it was sent. */
  sentAt: number
  /** How long it waited to be sent. */
  pendingDuration: number
}

/** No answer came in time. Which request that was is the engine's: its members are undefined. */
export class KafkaJSRequestTimeoutError extends KafkaJSError {
  /** The broker's address. */
  readonly broker: string
  /** The request's number. */
  readonly correlationId: number
  /** When it was made. */
  readonly createdAt: number
  /** When it was sent. */
  readonly sentAt: number
  /** How long it waited to be sent. */
  readonly pendingDuration: number

  constructor(e: Error | string, metadata: Partial<KafkaJSRequestTimeoutErrorMetadata> = {}) {
    super(e)
    this.broker = metadata.broker as string
    this.correlationId = metadata.correlationId as number
    this.createdAt = metadata.createdAt as number
    this.sentAt = metadata.sentAt as number
    this.pendingDuration = metadata.pendingDuration as number
    named(this, 'KafkaJSRequestTimeoutError')
  }
}

/** What is to be thrown for a topic's deletion of records. */
export interface KafkaJSDeleteTopicRecordsErrorPartition {
  /** The partition. */
  partition: number
  /** The offset. */
  offset: string
  /** Why. */
  error: KafkaJSError
}

/** For `KafkaJSDeleteTopicRecordsError`. */
export interface KafkaJSDeleteTopicRecordsErrorTopic {
  /** The topic. */
  topic: string
  /** Its partitions. */
  partitions: KafkaJSDeleteTopicRecordsErrorPartition[]
}

/** Records could not be deleted. */
export class KafkaJSDeleteTopicRecordsError extends KafkaJSError {
  /** Where. */
  readonly partitions: KafkaJSDeleteTopicRecordsErrorPartition[]

  constructor({ partitions }: KafkaJSDeleteTopicRecordsErrorTopic) {
    const failed = partitions.filter(({ error }) => error != null)
    super('Error while deleting records', { retriable: failed.every(({ error }) => error.retriable === true) })
    this.partitions = partitions
    named(this, 'KafkaJSDeleteTopicRecordsError')
  }
}

/** For `KafkaJSDeleteGroupsError`. */
export interface KafkaJSDeleteGroupsErrorGroups {
  /** The group. */
  groupId: string
  /** Kafka's number of the error. */
  errorCode: number
  /** The error. */
  error: KafkaJSError
}

/** Groups could not be deleted. */
export class KafkaJSDeleteGroupsError extends KafkaJSError {
  /** Which. */
  readonly groups: DeleteGroupsResult[]

  constructor(e: Error | string, groups: KafkaJSDeleteGroupsErrorGroups[] = []) {
    super(e)
    this.groups = groups as DeleteGroupsResult[]
    named(this, 'KafkaJSDeleteGroupsError')
  }
}

/** Several errors. */
export class KafkaJSAggregateError extends Error {
  /** Which. */
  readonly errors: (Error | string)[]

  constructor(message: Error | string, errors: (Error | string)[]) {
    super(String(message))
    this.errors = errors
    named(this, 'KafkaJSAggregateError')
  }
}
