/**
 * One partition as a log, for those who keep their own offsets.
 */
import type { AppendedBatch, ReadRecord } from './generated/operations.ts'
import { type Bytes, type HeadersInit, pairs } from './internal/arena.ts'
import { arrayOf, objectOf, optionsOf, reading, refuseUnknown, textAt } from './internal/arguments.ts'
import type { Environment } from './internal/environment.ts'
import { aborted, invalid, kindOf } from './internal/failure.ts'
import { Headers } from './message.ts'

const RECORD = ['key', 'value', 'headers', 'timestamp'] as const

/** A record to append. */
export interface RecordToProduce {
  /** The key; it chooses no partition here. */
  key?: Bytes | null | undefined
  /** The value; null is a tombstone. */
  value: Bytes | null
  /** Headers: a plain object, a `Map`, or pairs in order, duplicates allowed. */
  headers?: HeadersInit | undefined
  /** Milliseconds since the epoch, or a date. @defaultValue now */
  timestamp?: number | Date | undefined
}

/** For {@link Partition.produce}. */
export interface PartitionProduceOptions {
  /** How the batch is compressed. @defaultValue `'none'` */
  compression?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd' | undefined
  /** Rejects with the code `ABORTED`; what was sent may be written all the same. */
  signal?: AbortSignal | undefined
}

/** For {@link Partition.fetch}. */
export interface PartitionFetchOptions {
  /** The broker answers when it has so many bytes. @defaultValue 1 */
  minBytes?: number | undefined
  /** Most bytes asked for, before decompression; the first batch comes whole. @defaultValue 1048576 */
  maxBytes?: number | undefined
  /** The broker answers at the latest after so many milliseconds, even with nothing. @defaultValue 500 */
  maxWaitMs?: number | undefined
  /** Leaves out what was aborted and stops at open transactions. @defaultValue false */
  readCommitted?: boolean | undefined
  /** Rejects with the code `ABORTED`. */
  signal?: AbortSignal | undefined
}

/** A record as it was read. */
export interface PartitionRecord {
  /** Its offset. */
  offset: number
  /** Milliseconds since the epoch; −1: it has none. */
  timestamp: number
  /** The key. */
  key: Buffer | null
  /** The value. */
  value: Buffer | null
  /** The headers, in order. */
  headers: Headers
}

/** What was read. */
export interface PartitionFetched {
  /** In offset order; empty when nothing came in time, or nothing but markers of transactions. */
  records: PartitionRecord[]
  /** Where to read on: one more than the last offset that was read or passed over. */
  nextOffset: number
  /** One more than the last offset that may be read. */
  highWatermark: number
  /** Up to where transactions are decided. */
  lastStable: number
  /** The first offset of the log. */
  logStart: number
}

/**
 * One partition of one topic. Made by {@link Kafka.partition}; needs no closing. Each call is one request: nothing is gathered before it and
 * nothing read ahead, so it is made for batches.
 */
export class Partition {
  readonly #environment: Environment
  readonly #client: number
  /** The topic's name. */
  readonly topic: string
  /** The partition, from 0. */
  readonly partition: number

  /** @internal */
  constructor(environment: Environment, client: number, topic: string, partition: number) {
    this.#environment = environment
    this.#client = client
    this.topic = textAt(topic, 'topic')
    if (!Number.isInteger(partition) || partition < 0 || partition > 0x7fffffff) {
      const found = typeof partition === 'number' ? partition : kindOf(partition)
      throw invalid('partition', `is ${found}, not a whole number from 0 to 2147483647`)
    }
    this.partition = partition
  }

  /**
   * Appends the records as one batch, and resolves to its first offset when all replicas in sync have it. Tried again, within
   * `defaultApiTimeoutMs`, only where nothing was written; after any other failure the batch may be in the log or not, and the error says so:
   * who keeps the offsets can find out by reading.
   */
  async produce(records: readonly RecordToProduce[], options: PartitionProduceOptions = {}): Promise<AppendedBatch> {
    const { signal, compression } = optionsOf(options, ['compression', 'signal'])
    if (signal?.aborted) throw aborted(signal, 'aborted before it began')
    const { topic, partition } = this
    const given = arrayOf(records, 'records')
    const written = Array.from({ length: given.length }, (_, index) => {
      const path = `records[${index}]`
      return writable(
        reading(path, () => given[index]),
        path,
        index,
      )
    })
    const request = { topic, partition, records: written, compression }
    return await this.#environment.call(this.#client, 'partition.produce', request, signal)
  }

  /**
   * Reads from `offset` on. Tried again after failures that may pass, within `defaultApiTimeoutMs`. An offset that is not in the log rejects
   * with `OFFSET_OUT_OF_RANGE`; at its end the records are none. Any number may run at a time; one that waits keeps no other waiting.
   */
  async fetch(offset: number, options: PartitionFetchOptions = {}): Promise<PartitionFetched> {
    const names = ['minBytes', 'maxBytes', 'maxWaitMs', 'readCommitted', 'signal'] as const
    const { signal, ...limits } = optionsOf(options, names)
    if (signal?.aborted) throw aborted(signal, 'aborted before it began')
    const { topic, partition } = this
    const request = { topic, partition, offset, ...limits }
    const { records, ...ends } = await this.#environment.call(this.#client, 'partition.fetch', request, signal)
    return { records: records.map(readable), ...ends }
  }
}

/** A record as the engine takes it. */
function writable(given: RecordToProduce | undefined, path: string, index: number) {
  const record = objectOf(given as RecordToProduce, path)
  refuseUnknown(record, RECORD, path)
  return reading(path, () => {
    const { key, value, headers, timestamp } = record
    if (value === undefined) throw invalid(`${path}.value`, 'is missing; null is a tombstone')
    const list = headers === undefined ? [] : [...pairs(headers, index)]
    return {
      key: bytesOf(key ?? null, `${path}.key`),
      value: bytesOf(value, `${path}.value`),
      headers: list.map(([name, of]) => ({ name, value: bytesOf(of, `${path}.headers`) })),
      timestamp: timestamp instanceof Date ? timestamp.getTime() : timestamp,
    }
  })
}

/** What is no text goes as it is: the encoder looks whether it is bytes. */
function bytesOf(value: Bytes | null, path: string): Uint8Array | null {
  return typeof value === 'string' ? Buffer.from(textAt(value, path), 'utf8') : value
}

function readable({ headers, key, value, ...record }: ReadRecord): PartitionRecord {
  const list = headers.map(({ name, value: of }): [string, Buffer | null] => [name, of as Buffer | null])
  return { ...record, key: key as Buffer | null, value: value as Buffer | null, headers: new Headers(list) }
}
