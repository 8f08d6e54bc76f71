/**
 * What is told by `node:diagnostics_channel`: contexts of the tracing channels `dohle:produce`, `dohle:poll`, `dohle:process`,
 * `dohle:commit`, `dohle:request` and `dohle:rebalance`. A channel that nobody listens to costs one look per call or per chunk
 * of records, never anything per record.
 *
 * Each is a `TracingChannel`: `start`, `end`, `asyncStart`, `asyncEnd` and `error` get the same object, to which Node adds
 * `result` and `error`.
 */
import type { TopicPartition } from './generated/operations.ts'
import type { Bytes } from './internal/arena.ts'
import type { Message } from './message.ts'

/** Whose doing it is. */
export interface Origin {
  /** `clientId` of the client. */
  clientId: string
  /** The first of the `brokers` that it was given. */
  server: string
  /** `groupId` of a consumer that has one. */
  groupId?: string
}

/** A record on its way out. */
export interface TracedRecord {
  /** As the program gave it. */
  readonly key: Bytes | null | undefined
  /** As the program gave it. */
  readonly value: Bytes | null
  /** The partition, if the program named one. */
  readonly partition: number | undefined
  /** Names and values in order. What is added in `start` is sent. */
  headers: [string, Bytes | null][]
}

/** `dohle:produce`: a call of `send`, `sendBatch` or `tryEnqueue`, until all of its records are acknowledged (`tryEnqueue`: taken). */
export interface ProduceContext extends Origin {
  /** The method. */
  operation: 'send' | 'sendBatch' | 'tryEnqueue'
  /** The topic's name. */
  topic: string
  /** The records. */
  messages: TracedRecord[]
  /** What the method returned: `RecordMetadata`, `BatchMetadata` or a boolean. */
  result?: unknown
  /** What it has failed with. */
  error?: unknown
}

/** `dohle:poll`: a loop asks for records, until it has some. What was read before `asyncEnd` is here. */
export interface PollContext extends Origin {
  /** The topic's name. */
  topic?: string
  /** The partition. */
  partition?: number
  /** How many records came; 0: the consumer was closed. */
  count?: number
  /** The records, made as they are asked for. Reading them finishes nothing. */
  messages?: Iterable<Message>
  /** What it has failed with. */
  error?: unknown
}

/** `dohle:process`: a handler of `forEach` has a record, until it is done. */
export interface ProcessContext extends Origin {
  /** The record. */
  message: Message
  /** Set in `start`: runs the handler, in a context of the subscriber's own, and returns what it returns. */
  around?: <T>(handler: () => T) => T
  /** What it has failed with. */
  error?: unknown
}

/** `dohle:commit`: offsets are committed because the program asked for it. Automatic commits are the engine's, and not here. */
export interface CommitContext extends Origin {
  /** What is committed; undefined: what is finished. */
  offsets?: readonly (TopicPartition & { offset: number })[] | undefined
  /** What it has failed with. */
  error?: unknown
}

/**
 * `dohle:request`: an operation that asks the cluster or the engine something: admin calls, commits, look-ups. What the
 * engine asks by itself (records, heartbeats, metadata) is counted in the statistics, at `brokers.*.req`.
 */
export interface RequestContext {
  /** Its name, such as `admin.createTopics`. What was asked is not here: it may have a password in it. */
  operation: string
  /** What it has failed with. */
  error?: unknown
}

/** `dohle:rebalance`: partitions come or go, until the program's listeners are done. */
export interface RebalanceContext extends Origin {
  /** Whether partitions came, go, or were taken from us. */
  kind: 'assigned' | 'revoked' | 'lost'
  /** The partitions that come or go. */
  partitions: readonly TopicPartition[]
  /** What it has failed with. */
  error?: unknown
}
