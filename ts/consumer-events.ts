/**
 * What a consumer tells without being asked.
 */
import type { KafkaError } from './errors.ts'
import type { TopicPartition } from './generated/operations.ts'
import type { Stall } from './internal/stall.ts'

/** What a consumer tells by events. Nobody needs to listen: the engine deals with all of them. */
export interface ConsumerEvents {
  /** We are a member of a new generation of the group, with all of these partitions. */
  joined: [{ generation: number; memberId: string; partitions: TopicPartition[] }]
  /** Partitions were given up after the listeners had run. */
  revoked: [TopicPartition[]]
  /** Partitions were taken from us: what was finished and not committed is read again by others. */
  lost: [TopicPartition[]]
  /** The program did not ask for a record for `maxPollIntervalMs`: we left the group, the next step joins again. */
  maxPollExceeded: [KafkaError]
  /** An automatic commit failed and is tried again. */
  commitFailed: [KafkaError]
  /** Something failed and is tried again; a topic that is subscribed and does not exist is told so too, once. */
  retrying: [KafkaError]
  /**
   * A partition has records to read and did not move for `stalledReportMs`. Once, and again when the reason changes, until it
   * moves. {@link Consumer.statistics} tells the same when asked.
   */
  stalled: [Stall]
}
