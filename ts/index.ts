/**
 * Dohle: a Kafka client.
 */
export { Admin } from './admin.ts'
export type * from './admin-types.ts'
export type {
  BuiltInAssignor,
  ConsumerOptions,
  GroupMember,
  GroupToAssign,
  MemberAssignment,
  PartitionAssignor,
} from './assignor.ts'
export { Batch } from './batch.ts'
export { BatchMetadata } from './batch-metadata.ts'
export {
  type Assignment,
  Consumer,
  type ConsumerCloseOptions,
  type ForEachOptions,
  type OffsetToCommit,
  type ReadOptions,
  type StartAt,
  type SubscribeOptions,
} from './consumer.ts'
export type { ConsumerEvents } from './consumer-events.ts'
export {
  AbortableError,
  ApplicationRecoverableError,
  type FailedItem,
  type FailedRecord,
  InvalidConfigurationError,
  KafkaError,
  type KafkaErrorCode,
  type KafkaErrorOptions,
  PartialFailureError,
  type Persistence,
  RefreshRetriableError,
  RetriableError,
} from './errors.ts'
export type { BrokerErrorCode, OwnErrorCode } from './generated/errors.ts'
export type {
  AppendedBatch,
  BrokerDescription,
  BrokerStatistics,
  CallOptions,
  ClusterDescription,
  CreatedTopic,
  CreateTopicsOptions,
  DeleteTopicsOptions,
  DescribeClusterOptions,
  DescribeGroupLagOptions,
  DescribeTopicsOptions,
  FoundOffset,
  GroupIdentity,
  GroupLag,
  GroupStatistics,
  IdentityStatistics,
  ListTopicsOptions,
  NewTopic,
  PartitionDescription,
  PartitionEnds,
  PartitionLag,
  PartitionOfBroker,
  PartitionStatistics,
  StallReason,
  Statistics,
  TopicDescription,
  TopicListing,
  TopicPartition,
  TopicStatistics,
  Window,
} from './generated/operations.ts'
export type { ProducerOptions, TlsOptions } from './generated/options.ts'
export type { Bytes, HeadersInit } from './internal/arena.ts'
export type { RebalanceListeners } from './internal/rebalances.ts'
export type { Stall } from './internal/stall.ts'
export { Kafka, type KafkaOptions } from './kafka.ts'
export type { Logger } from './logger.ts'
export { Headers, Message } from './message.ts'
export {
  Partition,
  type PartitionFetched,
  type PartitionFetchOptions,
  type PartitionProduceOptions,
  type PartitionRecord,
  type RecordToProduce,
} from './partition.ts'
export { Producer } from './producer.ts'
export type {
  CloseOptions,
  MessageBatch,
  ProducerMessage,
  RecordMetadata,
  SendOptions,
  TopicMessage,
  TransactionOptions,
} from './records.ts'
export type {
  AwsCredentials,
  AwsCredentialsProvider,
  ClientOptions,
  SaslOptions,
  TlsMaterial,
  Token,
  TokenProvider,
} from './security.ts'
export type {
  CommitContext,
  Origin,
  PollContext,
  ProcessContext,
  ProduceContext,
  RebalanceContext,
  RequestContext,
  TracedRecord,
} from './tracing.ts'
export { type GroupOffsets, Transaction } from './transaction.ts'
