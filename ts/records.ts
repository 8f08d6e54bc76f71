/**
 * What is given to a producer and what comes back: plain data.
 */
import type { Consumer } from './consumer.ts'
import type { Bytes, HeadersInit } from './internal/arena.ts'

/** A record to be sent, without its topic. */
export interface ProducerMessage {
  /** Decides the partition unless one is named; equal keys go to the same one. Default: null. */
  key?: Bytes | null | undefined
  /** The content; strings are sent as UTF-8, `null` is a tombstone. */
  value: Bytes | null
  /** In order, duplicates allowed when given as pairs. Default: none. */
  headers?: HeadersInit | undefined
  /** The partition, from 0. Default: the partitioner chooses. */
  partition?: number | undefined
  /** Milliseconds since the epoch, or a `Date`. Default: now. */
  timestamp?: number | Date | undefined
}

/** A record to be sent. */
export interface TopicMessage extends ProducerMessage {
  /** The topic's name. */
  topic: string
}

/** Records of one topic to be sent together. */
export interface MessageBatch {
  /** The topic's name. */
  topic: string
  /** The records, in order. */
  messages: readonly ProducerMessage[]
}

/** Where a record landed. */
export interface RecordMetadata {
  /** The topic's name. */
  topic: string
  /** The partition; −1 with `acks` 0 unless the record named one. */
  partition: number
  /** The offset; −1 when the broker does not tell it (`acks` 0, or a duplicate it no longer knows). */
  offset: number
  /** The broker's time in milliseconds since the epoch if the topic stamps records on append, else null. */
  appendTime: number | null
}

/** For calls that wait. */
export interface SendOptions {
  /**
   * Stops waiting. A record that the engine does not have yet is withdrawn; otherwise the call rejects all the same, but
   * the record may be written (`persistence` is `possibly-persisted`).
   */
  signal?: AbortSignal | undefined
}

/** For `close`. */
export interface CloseOptions {
  /**
   * How long to wait in milliseconds, then what is left is given up.
   * @defaultValue what the engine's own timeouts allow: `deliveryTimeoutMs` for a producer, `defaultApiTimeoutMs` else
   */
  timeout?: number | undefined
}

/** For `transaction` and `beginTransaction`. */
export interface TransactionOptions {
  /** Stops waiting. A transaction whose commit has begun goes on; before that it is aborted. */
  signal?: AbortSignal | undefined
  /**
   * Whose records the transaction is made of: when it is aborted this consumer goes back to its last committed offsets, also
   * when the transaction had not come as far as `commitOffsets`.
   */
  consumer?: Consumer | undefined
}
