/**
 * The rest of kafkajs' error classes: those that only have a name, and those that are never thrown here and exist so that
 * `instanceof` of migrated programs goes on to compile and to run.
 */
import { KafkaJSError, type KafkaJSErrorMetadata, KafkaJSNonRetriableError } from './errors.ts'
import type { PartitionMetadata } from './types/records.ts'

/** Its name is set after the classes above it have set theirs, as in kafkajs. */
function named(error: Error, name: string): void {
  Object.defineProperty(error, 'name', { value: name, writable: true, enumerable: true, configurable: true })
}

/** Nothing is known of the cluster yet. */
export class KafkaJSMetadataNotLoaded extends KafkaJSError {
  constructor(e: Error | string = '', metadata?: KafkaJSErrorMetadata) {
    super(e, metadata)
    named(this, 'KafkaJSMetadataNotLoaded')
  }
}

/** For `KafkaJSTopicMetadataNotLoaded`. */
export interface KafkaJSTopicMetadataNotLoadedMetadata {
  /** The topic. */
  topic: string
}

/** Nothing is known of a topic yet. */
export class KafkaJSTopicMetadataNotLoaded extends KafkaJSMetadataNotLoaded {
  /** The topic. */
  readonly topic: string

  constructor(e: Error | string, metadata?: KafkaJSTopicMetadataNotLoadedMetadata) {
    super(e)
    this.topic = metadata?.topic as string
    named(this, 'KafkaJSTopicMetadataNotLoaded')
  }
}

/** For `KafkaJSStaleTopicMetadataAssignment`. */
export interface KafkaJSStaleTopicMetadataAssignmentMetadata {
  /** The topic. */
  topic: string
  /** Its partitions that are not known. */
  unknownPartitions: PartitionMetadata[]
}

/** A topic has more partitions than known. */
export class KafkaJSStaleTopicMetadataAssignment extends KafkaJSError {
  /** The topic. */
  readonly topic: string
  /** Its partitions that are not known. */
  readonly unknownPartitions: number

  constructor(e: Error | string, metadata?: KafkaJSStaleTopicMetadataAssignmentMetadata) {
    super(e)
    this.topic = metadata?.topic as string
    this.unknownPartitions = metadata?.unknownPartitions as unknown as number
    named(this, 'KafkaJSStaleTopicMetadataAssignment')
  }
}

/** For `KafkaJSServerDoesNotSupportApiKey`. */
export interface KafkaJSServerDoesNotSupportApiKeyMetadata {
  /** Kafka's number of the request. */
  apiKey: number
  /** Kafka's name of the request. */
  apiName: string
}

/** A broker is too old. */
export class KafkaJSServerDoesNotSupportApiKey extends KafkaJSNonRetriableError {
  /** Kafka's number of the request. */
  readonly apiKey: number
  /** Kafka's name of the request. */
  readonly apiName: string

  constructor(e: Error | string, metadata?: KafkaJSServerDoesNotSupportApiKeyMetadata) {
    super(e)
    this.apiKey = metadata?.apiKey as number
    this.apiName = metadata?.apiName as string
    named(this, 'KafkaJSServerDoesNotSupportApiKey')
  }
}

/** A broker is not known. */
export class KafkaJSBrokerNotFound extends KafkaJSError {
  constructor(e: Error | string = '', metadata?: KafkaJSErrorMetadata) {
    super(e, metadata)
    named(this, 'KafkaJSBrokerNotFound')
  }
}

/** A record is cut off. */
export class KafkaJSPartialMessageError extends KafkaJSNonRetriableError {
  constructor(e: Error | string = '', metadata?: KafkaJSErrorMetadata) {
    super(e, metadata)
    named(this, 'KafkaJSPartialMessageError')
  }
}

/** A broker does not let us in. */
export class KafkaJSSASLAuthenticationError extends KafkaJSNonRetriableError {
  constructor(e: Error | string = '', metadata?: KafkaJSErrorMetadata) {
    super(e, metadata)
    named(this, 'KafkaJSSASLAuthenticationError')
  }
}

/** A group has no coordinator. */
export class KafkaJSGroupCoordinatorNotFound extends KafkaJSNonRetriableError {
  constructor(e: Error | string = '', metadata?: KafkaJSErrorMetadata) {
    super(e, metadata)
    named(this, 'KafkaJSGroupCoordinatorNotFound')
  }
}

/** Something does not exist. */
export class KafkaJSNotImplemented extends KafkaJSNonRetriableError {
  constructor(e: Error | string = '', metadata?: KafkaJSErrorMetadata) {
    super(e, metadata)
    named(this, 'KafkaJSNotImplemented')
  }
}

/** Something took too long. */
export class KafkaJSTimeout extends KafkaJSNonRetriableError {
  constructor(e: Error | string = '', metadata?: KafkaJSErrorMetadata) {
    super(e, metadata)
    named(this, 'KafkaJSTimeout')
  }
}

/** Waiting for one's turn took too long. */
export class KafkaJSLockTimeout extends KafkaJSTimeout {
  constructor(e: Error | string = '', metadata?: KafkaJSErrorMetadata) {
    super(e, metadata)
    named(this, 'KafkaJSLockTimeout')
  }
}

/** Records of an unknown format. */
export class KafkaJSUnsupportedMagicByteInMessageSet extends KafkaJSNonRetriableError {
  constructor(e: Error | string = '', metadata?: KafkaJSErrorMetadata) {
    super(e, metadata)
    named(this, 'KafkaJSUnsupportedMagicByteInMessageSet')
  }
}

/** What cannot be has been. */
export class KafkaJSInvariantViolation extends KafkaJSNonRetriableError {
  constructor(e: Error | string) {
    super(`Invariant violated: ${typeof e === 'string' ? e : e.message}. This is likely a bug and should be reported.`)
    named(this, 'KafkaJSInvariantViolation')
  }
}

/** A number that is none. */
export class KafkaJSInvalidVarIntError extends KafkaJSNonRetriableError {}

/** A number that is none. */
export class KafkaJSInvalidLongError extends KafkaJSNonRetriableError {}

/** Brokers have come or gone. */
export class KafkaJSFetcherRebalanceError extends Error {}

/** There is no broker. */
export class KafkaJSNoBrokerAvailableError extends KafkaJSError {
  constructor() {
    super('No broker available')
    named(this, 'KafkaJSNoBrokerAvailableError')
  }
}
