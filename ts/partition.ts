/**
 * One partition as a log, for those who keep their own offsets.
 */
import { InvalidConfigurationError, KafkaError } from './errors.ts'
import type { AppendedBatch } from './generated/operations.ts'
import { ARENA_BYTES, Arena, type Bytes, type HeadersInit, lasting } from './internal/arena.ts'
import { arrayOf, objectOf, optionsOf, refuseUnknown, textAt, unreadable } from './internal/arguments.ts'
import { Chunk } from './internal/chunk.ts'
import type { Environment } from './internal/environment.ts'
import { aborted, invalid, kindOf, thrown } from './internal/failure.ts'
import { type Message, view } from './message.ts'

const RECORD = ['key', 'value', 'headers', 'timestamp'] as const
/** An arena's places are i32. */
const MOST_BYTES = 0x7fffffff

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

/** A record as it was read: the view that consumers give too. `done()` means nothing here. */
export type PartitionRecord = Message

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
    this.topic = topicName(topic)
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
   *
   * @throws KafkaError with `persistence`: whether the batch is in the log all the same
   */
  async produce(records: readonly RecordToProduce[], options: PartitionProduceOptions = {}): Promise<AppendedBatch> {
    let begun = false
    try {
      const { signal, compression } = optionsOf(options, ['compression', 'signal'])
      if (signal?.aborted) throw aborted(signal, 'aborted before it began')
      const { topic, partition } = this
      const arena = written(arrayOf(records, 'records'))
      begun = true
      const request = { topic, partition, compression }
      const done = this.#environment.callWith(this.#client, 'partition.produce', request, arena, signal)
      if (arena.buffer.length === ARENA_BYTES) spare = arena
      return await done
    } catch (error) {
      throw fated(error, begun)
    }
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
    const environment = this.#environment
    const { response, chunks } = await environment.callForChunks(this.#client, 'partition.fetch', request, signal)
    const read: Message[] = []
    for (const given of chunks) {
      const chunk = new Chunk(environment.native, given)
      for (let position = 0; position < chunk.count; position++) read.push(view(chunk, position))
    }
    return { records: read, ...response }
  }
}

/** A name that a topic can have, as the engine knows them. */
function topicName(given: unknown): string {
  const topic = textAt(given, 'topic')
  if (/^[\w.-]{1,249}$/.test(topic) && topic !== '.' && topic !== '..') return topic
  const rule = "a topic's name has 1 to 249 ASCII letters, digits, '.', '_' and '-', and is not '.' or '..'"
  throw invalid('topic', `'${topic.slice(0, 60)}': ${rule}`)
}

/** One that no call uses: written, lent to the engine, then written anew. */
let spare: Arena | undefined

/** The records in an arena. */
function written(records: readonly RecordToProduce[]): Arena {
  for (let bytes = ARENA_BYTES; ; bytes *= 2) {
    const arena = bytes === ARENA_BYTES && spare !== undefined ? spare : new Arena(bytes)
    // A getter of a record may make another call.
    spare = undefined
    arena.reset()
    let place = 0
    while (place < records.length && write(records, place, arena)) place++
    if (place === records.length) return arena
    if (bytes > MOST_BYTES / 2) {
      const problem = 'records: they have more than 1 GiB together, which no broker takes'
      throw new KafkaError(problem, { code: 'MESSAGE_TOO_LARGE' })
    }
  }
}

/** Writes one record; false when the arena has no room for it. */
function write(records: readonly RecordToProduce[], place: number, arena: Arena): boolean {
  const path = `records[${place}]`
  const used = arena.used
  try {
    const record = lasting(objectOf(records[place]!, path) as RecordToProduce)
    refuseUnknown(record, RECORD, path)
    if (record.value === undefined) throw invalid(`${path}.value`, 'is missing; null is a tombstone')
    return arena.write(0, record, place)
  } catch (error) {
    arena.used = used
    throw named(error, path, place)
  }
}

/** Arenas call what they are given messages. */
function named(error: unknown, path: string, place: number): KafkaError {
  const found = unreadable(path, error)
  const own = `messages[${place}]`
  if (!found.message.startsWith(own)) return found
  return new InvalidConfigurationError(path + found.message.slice(own.length), found)
}

/** The error of a batch that says whether the batch is in the log, where the engine has not said so. */
function fated(error: unknown, begun: boolean): KafkaError {
  const found = thrown(error, 'not-persisted')
  if (found.persistence !== undefined) return found
  const unknown = begun && (found.code === 'ABORTED' || found.code === 'PANIC')
  return Object.assign(found, { persistence: unknown ? 'possibly-persisted' : 'not-persisted' })
}
