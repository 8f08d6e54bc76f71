/**
 * The arena: a run of records on its way out, in memory of its own that is lent to the engine for one call.
 *
 * The layout is that of `native/bridge/src/arena.rs`, pinned by `test/vectors/arena.json`. Nothing here allocates per record.
 */
import { types } from 'node:util'
import { KafkaError } from '../errors.ts'
import { unreadable } from './arguments.ts'
import { invalid, kindOf } from './failure.ts'

/** Length of a record's fixed part. */
export const RECORD_HEADER = 28
/** Size of an arena that is reused; a larger record gets one of its own. */
export const ARENA_BYTES = 256 * 1024
/** What a record may have with its fixed part: lengths are i32, in arenas and in Kafka's protocol. */
const MOST_BYTES = 0x7fffffff - 8
/** Topic id of a record that was taken back. */
const WITHDRAWN = -1
/** Strings up to here are cheaper written byte by byte than by a call. */
const SHORT = 12
const TWO_32 = 4294967296

/** Something that becomes the bytes of a key, value or header. */
export type Bytes = string | Uint8Array

/** Headers: a plain object, a `Map`, or pairs in order, duplicates allowed. */
export type HeadersInit = Readonly<Record<string, Bytes | null>> | Iterable<readonly [string, Bytes | null]>

/** The parts of a message that are written. */
export interface Writable {
  partition?: number | undefined
  key?: Bytes | null | undefined
  value: Bytes | null
  headers?: HeadersInit | undefined
  timestamp?: number | Date | undefined
}

interface FastBuffer extends Buffer {
  utf8Write(text: string, at: number, length?: number): number
}

/** Node's own writer, without the checks of `write`; every Node from 20 on has it. */
const utf8Write: (this: Buffer, text: string, at: number, length?: number) => number =
  (Buffer.prototype as FastBuffer).utf8Write ??
  function (this: Buffer, text: string, at: number) {
    return this.write(text, at, 'utf8')
  }

/** A run of records being written, then lent, then used again. */
export class Arena {
  /** The bytes. Never pooled, never shared. */
  readonly buffer: Buffer
  /** Bytes written, a multiple of 4. */
  used = 0
  /** Records written. */
  count = 0
  readonly #words: Int32Array

  constructor(bytes: number) {
    this.buffer = Buffer.allocUnsafeSlow((bytes + 3) & ~3)
    this.#words = new Int32Array(this.buffer.buffer, this.buffer.byteOffset, this.buffer.byteLength >> 2)
  }

  /** Forgets what was written. */
  reset(): void {
    this.used = 0
    this.count = 0
  }

  /** Where the record after the one at `start` begins. */
  after(start: number): number {
    const word = start >> 2
    const part = (index: number) => Math.max(this.#words[word + index]!, 0)
    return (start + RECORD_HEADER + part(4) + part(5) + part(6) + 3) & ~3
  }

  /** Takes back the record that begins at `start`: the engine will skip it. Only before the arena is lent. */
  withdraw(start: number): void {
    this.#words[start >> 2] = WITHDRAWN
  }

  /**
   * Writes a record; false when it does not fit. `place` is its index in a batch, for errors; −1: it is alone. Throws when a part is of a wrong type; then
   * nothing was written.
   */
  write(topic: number, message: Writable, place: number): boolean {
    const { key, value, headers, partition, timestamp } = message
    const start = this.used
    const capacity = this.buffer.length
    let at = start + RECORD_HEADER
    if (at > capacity) return false

    let keyLength = -1
    if (key !== null && key !== undefined) {
      keyLength = this.#bytes(key, at, place, 'key')
      if (keyLength < 0) return false
      at += keyLength
    }
    let valueLength = -1
    if (value !== null) {
      valueLength = this.#bytes(value, at, place, 'value')
      if (valueLength < 0) return false
      at += valueLength
    }
    let headersLength = 0
    if (headers !== undefined && headers !== null) {
      const end = this.#headers(headers, at, place)
      if (end < 0) return false
      headersLength = end - at
      at = end
    }

    const words = this.#words
    const word = start >> 2
    words[word] = topic
    words[word + 1] = partition === undefined ? -1 : checkPartition(partition, place)
    if (timestamp === undefined) {
      words[word + 2] = -1
      words[word + 3] = -1
    } else {
      const ms = checkTimestamp(timestamp, place)
      words[word + 2] = (ms % TWO_32) | 0
      words[word + 3] = Math.floor(ms / TWO_32)
    }
    words[word + 4] = keyLength
    words[word + 5] = valueLength
    words[word + 6] = headersLength
    this.used = (at + 3) & ~3
    this.count++
    return true
  }

  /** Writes bytes or a string's UTF-8 at `at`; returns the length, −1 when it does not fit. */
  #bytes(value: Bytes, at: number, place: number, field: string): number {
    const buffer = this.buffer
    if (typeof value === 'string') {
      const length = value.length
      const room = buffer.length - at
      if (length * 3 > room && Buffer.byteLength(value, 'utf8') > room) return -1
      if (length > SHORT) return utf8Write.call(buffer, value, at, room)
      for (let i = 0; i < length; i++) {
        const code = value.charCodeAt(i)
        if (code > 0x7f) return utf8Write.call(buffer, value, at, room)
        buffer[at + i] = code
      }
      return length
    }
    if (!(value instanceof Uint8Array)) throw wrongBytes(value, place, field)
    if (value.length > buffer.length - at) return -1
    buffer.set(value, at)
    return value.length
  }

  /** Writes packed headers; returns where they end, −1 when they do not fit. */
  #headers(headers: HeadersInit, start: number, place: number): number {
    const buffer = this.buffer
    let at = start + 4
    if (at > buffer.length) return -1
    let count = 0
    for (const [name, value] of pairs(headers, place)) {
      checkName(name, place, count)
      if (at + 8 > buffer.length) return -1
      const nameLength = this.#bytes(name, at + 4, place, `headers[${count}] name`)
      if (nameLength < 0) return -1
      buffer.writeUInt32LE(nameLength, at)
      at += 4 + nameLength
      if (at + 4 > buffer.length) return -1
      let valueLength = -1
      if (value !== null) {
        valueLength = this.#bytes(value, at + 4, place, `headers.${name}`)
        if (valueLength < 0) return -1
      }
      buffer.writeInt32LE(valueLength, at)
      at += 4 + Math.max(valueLength, 0)
      count++
    }
    if (count === 0) return start
    buffer.writeUInt32LE(count, start)
    return at
  }
}

/**
 * The message, with headers that can be read more than once: an iterator (`map.entries()`) would be empty when the record
 * is measured or checked before it is written.
 */
export function lasting<T extends Writable>(message: T): T {
  const headers = message?.headers
  if (headers === undefined || headers === null || Array.isArray(headers)) return message
  if (typeof headers !== 'object' || !(Symbol.iterator in headers) || headers instanceof Map) return message
  const { key, value, partition, timestamp } = message
  const pairs = [...(headers as Iterable<readonly [string, Bytes | null]>)]
  return { ...message, key, value, partition, timestamp, headers: pairs }
}

/** A list of the first `count` messages. Not by `slice`, which makes a sparse array as long as it is asked for. */
export function firsts<T>(messages: readonly T[], count: number): T[] {
  const list: T[] = []
  for (let place = 0; place < count; place++) list.push(messages[place]!)
  return list
}

/** Checks that a message is an object, before its parts are read. */
export function checkMessage(message: unknown, name: string): void {
  if (typeof message !== 'object' || message === null) throw invalid(name, `is ${kindOf(message)}, not an object`)
}

/** Checks every part of the message at `place` of a batch (−1: alone), so that a batch is written whole or not at all. */
export function check(message: Writable, place: number): void {
  const { key, value, headers, partition, timestamp } = message ?? {}
  // Nearly all: looked at as little as can be.
  const plain = headers === undefined && partition === undefined && timestamp === undefined
  if (plain && typeof message === 'object' && (key === undefined || key === null || typeof key === 'string')) {
    if (typeof value === 'string' || (value instanceof Uint8Array && value.length >= 0)) return
  }
  if (typeof message !== 'object' || message === null) checkMessage(message, whole(place))
  if (value !== null) checkBytes(value, place, 'value')
  if (key !== null && key !== undefined) checkBytes(key, place, 'key')
  if (partition !== undefined) checkPartition(partition, place)
  if (timestamp !== undefined) checkTimestamp(timestamp, place)
  if (headers === undefined || headers === null) return
  let count = 0
  for (const [name, content] of pairs(headers, place)) {
    checkName(name, place, count++)
    if (content !== null) checkBytes(content, place, `headers.${name}`)
  }
}

/** The error of a message that could not be read or written: it names the part at fault where that can be told. */
export function faultOf(error: unknown, message: unknown, place: number): KafkaError {
  if (error instanceof KafkaError) return error
  try {
    const { key, value, headers } = message as Writable
    for (const [part, bytes] of Object.entries({ key, value })) {
      if (typeof bytes === 'object' && bytes !== null && !types.isUint8Array(bytes))
        throw wrongBytes(bytes, place, part)
    }
    for (const [name, bytes] of headers ? pairs(headers, place) : []) {
      const odd = typeof bytes === 'object' && bytes !== null && !types.isUint8Array(bytes)
      if (odd) throw wrongBytes(bytes, place, `headers.${name}`)
    }
  } catch (found) {
    if (found instanceof KafkaError) return found
  }
  return unreadable(whole(place), error)
}

function checkBytes(value: unknown, place: number, field: string): void {
  if (typeof value === 'string') return
  // Its length is that of real memory only: a proxy of a Uint8Array throws here.
  if (!(value instanceof Uint8Array) || value.length < 0) throw wrongBytes(value, place, field)
}

function checkName(name: unknown, place: number, header: number): void {
  if (typeof name !== 'string')
    throw invalid(`${path(place)}headers[${header}]`, `has ${kindOf(name)} as its name, not a string`)
}

/** Most bytes that a record can take in an arena. */
export function sizeBound(message: Writable, place: number): number {
  let bytes = RECORD_HEADER + 4 + bound(message.key) + bound(message.value)
  if (message.headers !== undefined && message.headers !== null) {
    bytes += 4
    for (const [name, value] of pairs(message.headers, place)) bytes += 8 + bound(name) + bound(value)
  }
  if (bytes > MOST_BYTES) {
    const problem = `a record of ${bytes} bytes is larger than any broker takes, which is 2 GiB`
    throw new KafkaError(problem, { code: 'MESSAGE_TOO_LARGE', persistence: 'not-persisted' })
  }
  return bytes
}

function bound(value: Bytes | null | undefined): number {
  if (typeof value === 'string') return Buffer.byteLength(value, 'utf8')
  return value?.length ?? 0
}

/** Names and values of headers, whatever form they were given in. */
export function pairs(headers: HeadersInit, place: number): Iterable<readonly [string, Bytes | null]> {
  if (typeof headers !== 'object')
    throw invalid(`${path(place)}headers`, `is ${kindOf(headers)}, not an object or pairs`)
  if (!(Symbol.iterator in headers)) return Object.entries(headers as Record<string, Bytes | null>)
  const list = headers as Iterable<readonly [string, Bytes | null]>
  if (Array.isArray(list)) {
    const odd = list.findIndex(pair => !Array.isArray(pair))
    if (odd >= 0)
      throw invalid(`${path(place)}headers[${odd}]`, `is ${kindOf(list[odd])}, not a pair of name and value`)
  }
  return list
}

function checkPartition(partition: number, place: number): number {
  if (Number.isInteger(partition) && partition >= 0 && partition <= 0x7fffffff) return partition
  const found = typeof partition === 'number' ? partition : kindOf(partition)
  throw invalid(`${path(place)}partition`, `is ${found}, not a whole number from 0 to 2147483647`)
}

function checkTimestamp(timestamp: number | Date, place: number): number {
  const ms = timestamp instanceof Date ? timestamp.getTime() : timestamp
  if (Number.isSafeInteger(ms) && ms >= 0) return ms
  const found = typeof ms === 'number' ? ms : kindOf(ms)
  throw invalid(`${path(place)}timestamp`, `is ${found}, not whole milliseconds since the epoch`)
}

function wrongBytes(value: unknown, place: number, field: string) {
  const hint = value === undefined && field === 'value' ? ' (null makes a tombstone)' : ''
  const found = types.isProxy(value) ? 'a proxy' : kindOf(value)
  return invalid(`${path(place)}${field}`, `is ${found}, not a string, a Uint8Array or null${hint}`)
}

/** What the parts of the message at `place` are called in errors: made only for them. */
function path(place: number): string {
  return place < 0 ? '' : `messages[${place}].`
}

function whole(place: number): string {
  return place < 0 ? 'message' : `messages[${place}]`
}
