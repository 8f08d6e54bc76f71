/**
 * Where the records of a `sendBatch` landed.
 */
import { inspect } from 'node:util'
import type { Places } from './internal/places.ts'
import type { RecordMetadata } from './records.ts'

/**
 * Where the records of a batch landed, in the order of its messages. Iterate it, ask for one with `at`, or take an array
 * with `toArray`; nothing is made for records that are not looked at.
 */
export class BatchMetadata implements Iterable<RecordMetadata> {
  /** The topic's name. */
  readonly topic: string
  readonly #places: Places
  readonly #asked: readonly number[] | undefined

  /** @internal */
  constructor(topic: string, places: Places, asked: readonly number[] | undefined) {
    this.topic = topic
    this.#places = places
    this.#asked = asked
  }

  /** How many records there are. */
  get length(): number {
    return this.#places.count
  }

  /** Where the record at `index` landed; a negative index counts from the end, undefined beyond it. */
  at(index: number): RecordMetadata | undefined {
    const position = index < 0 ? this.length + Math.ceil(index) : Math.trunc(index)
    return position >= 0 && position < this.length ? this.#record(position) : undefined
  }

  /** All of them. */
  toArray(): RecordMetadata[] {
    return Array.from({ length: this.length }, (_, position) => this.#record(position))
  }

  /** The records, in the order of the batch's messages. */
  *[Symbol.iterator](): Generator<RecordMetadata, undefined, undefined> {
    for (let position = 0; position < this.length; position++) yield this.#record(position)
    return undefined
  }

  /** For `JSON.stringify`: an array. */
  toJSON(): RecordMetadata[] {
    return this.toArray()
  }

  /** @internal */
  [inspect.custom](): unknown {
    return this.toArray()
  }

  #record(position: number): RecordMetadata {
    const { partition, offset, appendTime, first } = this.#places.fate(position)!
    return {
      topic: this.topic,
      partition: partition < 0 ? (this.#asked?.[position] ?? -1) : partition,
      offset: offset < 0 ? -1 : offset + (this.#places.index(position) - first),
      appendTime,
    }
  }
}
