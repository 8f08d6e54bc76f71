/**
 * What a consumer yields: views of records. Nothing is decoded before it is touched.
 */
import { inspect } from 'node:util'
import { type Chunk, INDEX_WORDS, type Progress, type Records } from './internal/chunk.ts'
import { tooLarge } from './internal/values.ts'

const DELTA = 0
const TIMESTAMP = 1
const KEY = 3
const VALUE = 5
const HEADERS = 7
const TWO_32 = 4294967296

interface FastBuffer extends Buffer {
  utf8Slice(start: number, end: number): string
}

const decode: (buffer: Buffer, start: number, end: number) => string =
  typeof (Buffer.prototype as FastBuffer).utf8Slice === 'function'
    ? (buffer, start, end) => (buffer as FastBuffer).utf8Slice(start, end)
    : (buffer, start, end) => buffer.toString('utf8', start, end)

/** Node's own class behind `Buffer`; its prototype is `Buffer.prototype`. */
const NodeBuffer = (Buffer as unknown as Record<symbol, unknown>)[Symbol.species] ?? Buffer

/**
 * Makes a `Buffer` over memory without `subarray`'s detours, at half the cost. Not by `new`: V8 does not optimise the
 * `super` call of Node's class within `try`, and every loop over a batch is that once this has been inlined there.
 */
function bufferOver(...place: [memory: ArrayBufferLike, start: number, length: number]): Buffer {
  return Reflect.construct(Uint8Array, place, NodeBuffer as typeof Buffer) as Buffer
}

/**
 * The headers of a record: ordered, duplicates kept, a value may be null. Iterates as `[name, value]` pairs.
 */
export class Headers implements Iterable<[string, Buffer | null]> {
  readonly #pairs: readonly [string, Buffer | null][]

  /** @internal */
  constructor(pairs: [string, Buffer | null][]) {
    this.#pairs = pairs
  }

  /** How many there are. */
  get size(): number {
    return this.#pairs.length
  }

  /** The value of the last header of this name; undefined when there is none. */
  get(name: string): Buffer | null | undefined {
    return this.#pairs.findLast(([other]) => other === name)?.[1]
  }

  /** The values of all headers of this name, in order. */
  getAll(name: string): (Buffer | null)[] {
    return this.#pairs.filter(([other]) => other === name).map(([, value]) => value)
  }

  /** Whether there is a header of this name. */
  has(name: string): boolean {
    return this.#pairs.some(([other]) => other === name)
  }

  /** The value of the last header of this name as text; undefined when there is none, null when it is null. */
  text(name: string): string | null | undefined {
    const value = this.get(name)
    return value == null ? value : value.toString('utf8')
  }

  /** The pairs, in order. */
  [Symbol.iterator](): Iterator<[string, Buffer | null]> {
    return this.#pairs[Symbol.iterator]()
  }

  /** For `JSON.stringify`: pairs of strings. */
  toJSON(): [string, string | null][] {
    return this.#pairs.map(([name, value]) => [name, value === null ? null : value.toString('utf8')])
  }

  /** @internal */
  [inspect.custom](): unknown {
    return this.#pairs
  }
}

/**
 * A record as it was read. A view into the memory of many: keeping one message keeps up to 256 KiB, `copy()` does not.
 */
export class Message {
  /** @internal */
  private readonly records: Records
  /** @internal */
  private readonly at: number
  /** @internal */
  private readonly position: number
  /** @internal */
  private readonly progress: Progress

  /** @internal */
  constructor(records: Records, at: number, position: number, progress: Progress) {
    this.records = records
    this.at = at
    this.position = position
    this.progress = progress
  }

  /** The topic's name. */
  get topic(): string {
    return this.records.topic
  }

  /** The partition, from 0. */
  get partition(): number {
    return this.records.partition
  }

  /** The offset in the partition. */
  get offset(): number {
    return this.records.baseOffset + this.records.index[this.at + DELTA]!
  }

  /** Milliseconds since the epoch: the sender's time, or the broker's if the topic stamps on append; −1: none. */
  get timestamp(): number {
    const { index } = this.records
    const ms = index[this.at + TIMESTAMP + 1]! * TWO_32 + (index[this.at + TIMESTAMP]! >>> 0)
    if (!Number.isSafeInteger(ms)) throw tooLarge(`the timestamp of ${this.topic}-${this.partition} at ${this.offset}`)
    return ms
  }

  /** The leader epoch that the record was written in, null when it is not known. */
  get leaderEpoch(): number | null {
    const { leaderEpoch } = this.records
    return leaderEpoch < 0 ? null : leaderEpoch
  }

  /** The key's bytes, a view. */
  get key(): Buffer | null {
    return this.#bytes(KEY)
  }

  /** The value's bytes, a view; null is a tombstone. */
  get value(): Buffer | null {
    return this.#bytes(VALUE)
  }

  /** The headers. Decoded anew at each use. */
  get headers(): Headers {
    const { index, bytes } = this.records
    const start = index[this.at + HEADERS]!
    return new Headers(readHeaders(bytes, start, index[this.at + HEADERS + 2]!))
  }

  /** The value as text (UTF-8); null when the value is null. */
  text(): string | null {
    return this.#text(VALUE)
  }

  /** The key as text (UTF-8); null when the key is null. */
  keyText(): string | null {
    return this.#text(KEY)
  }

  /** The value parsed as JSON; null when the value is null. @throws SyntaxError when it is not JSON */
  json<T = unknown>(): T {
    const text = this.#text(VALUE)
    return (text === null ? null : JSON.parse(text)) as T
  }

  /**
   * The record is finished: it may be committed, once all records before it in its partition are finished too.
   * Needed where a reader reads ahead (`stream()`, `readable()`); loops over a consumer or its batches do it by going on.
   */
  done(): void {
    this.progress.finish(this.position)
  }

  /** The same message with memory of its own, to be kept for long. */
  copy(): Message {
    const { topic, partition, baseOffset, leaderEpoch, bytes, index } = this.records
    const own = index.slice(this.at, this.at + INDEX_WORDS)
    const parts = [KEY, VALUE, HEADERS].filter(field => own[field + 1]! > 0)
    const start = Math.min(...parts.map(field => own[field]!))
    const end = Math.max(...parts.map(field => own[field]! + own[field + 1]!))
    const copied = Buffer.allocUnsafeSlow(parts.length === 0 ? 0 : end - start)
    if (parts.length > 0) bytes.copy(copied, 0, start, end)
    for (const field of [KEY, VALUE, HEADERS]) own[field] = own[field + 1]! > 0 ? own[field]! - start : 0
    const { buffer: memory, byteOffset: memoryStart } = copied
    const records = { topic, partition, baseOffset, leaderEpoch, bytes: copied, memory, memoryStart, index: own }
    return new Message(records, 0, this.position, this.progress)
  }

  /** For `JSON.stringify`: key and value as text. */
  toJSON(): object {
    const { topic, partition, offset, timestamp, headers } = this
    return { topic, partition, offset, timestamp, key: this.keyText(), value: this.text(), headers }
  }

  /** @internal */
  [inspect.custom](): object {
    const { topic, partition, offset, timestamp, key, value, headers } = this
    return { topic, partition, offset, timestamp, key, value, headers }
  }

  #bytes(field: number): Buffer | null {
    const { index, memory, memoryStart } = this.records
    const length = index[this.at + field + 1]!
    if (length < 0) return null
    return bufferOver(memory, memoryStart + index[this.at + field]!, length)
  }

  #text(field: number): string | null {
    const { index, bytes } = this.records
    const length = index[this.at + field + 1]!
    if (length < 0) return null
    const start = index[this.at + field]!
    return decode(bytes, start, start + length)
  }
}

/** The place of a message among others of its partition, and who has read it. @internal */
export function progressOf(message: Message): Progress {
  return (message as unknown as { progress: Progress }).progress
}

/** The view of one record of a chunk. @internal */
export function view(chunk: Chunk, position: number): Message {
  return new Message(chunk, position * INDEX_WORDS, position, chunk.progress)
}

/** Headers in Kafka's wire format; the engine has checked them. */
function readHeaders(bytes: Buffer, start: number, count: number): [string, Buffer | null][] {
  let at = start
  const varint = () => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1)
    }
  }
  const pairs: [string, Buffer | null][] = []
  for (let i = 0; i < count; i++) {
    const nameLength = varint()
    const name = decode(bytes, at, at + nameLength)
    at += nameLength
    const length = varint()
    pairs.push([name, length < 0 ? null : bytes.subarray(at, at + length)])
    at += Math.max(length, 0)
  }
  return pairs
}
