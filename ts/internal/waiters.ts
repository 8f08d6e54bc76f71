/**
 * The promises of `send` and `sendBatch`: one for a record, one for many.
 */
import { BatchMetadata } from '../batch-metadata.ts'
import { type FailedRecord, type KafkaError, PartialFailureError } from '../errors.ts'
import type { RecordMetadata } from '../records.ts'
import type { Waiter } from './deliveries.ts'
import { Places } from './places.ts'

/** A waiter while its records are on their way to the engine. They cross in order. */
export interface Sender extends Waiter {
  /** The next `count` of its records have crossed; `answers` has group and index of each from `at` on. */
  crossed(answers: Int32Array, at: number, count: number): void
  /** Of its records that have crossed last, the one at `at` was refused; or of those to come the first, `at` 0. */
  refused(at: number, error: KafkaError): void
  /** The call was aborted. */
  abort(error: KafkaError): void
}

/** Waits for one record. */
export class SendWaiter implements Sender {
  readonly #topic: string
  readonly #asked: number
  readonly #resolve: (metadata: RecordMetadata) => void
  readonly #reject: (error: KafkaError) => void
  onSettled: (() => void) | undefined

  /** `asked`: the partition that the record names, −1 if none. */
  constructor(
    topic: string,
    asked: number,
    resolve: (metadata: RecordMetadata) => void,
    reject: (error: KafkaError) => void,
  ) {
    this.#topic = topic
    this.#asked = asked
    this.#resolve = resolve
    this.#reject = reject
    this.onSettled = undefined
  }

  crossed(): void {}

  delivered(_: number, __: number, ___: number, partition: number, offset: number, appendTime: number): void {
    this.onSettled?.()
    this.#resolve({
      topic: this.#topic,
      partition: partition < 0 ? this.#asked : partition,
      offset,
      appendTime: appendTime < 0 ? null : appendTime,
    })
  }

  failed(_: number, __: number, ___: number, failure: () => KafkaError): void {
    this.refused(0, failure())
  }

  refused(_: number, error: KafkaError): void {
    this.onSettled?.()
    this.#reject(error)
  }

  abort(error: KafkaError): void {
    this.#reject(error)
  }
}

/** Waits for all records of a batch. What became of each is put together when it is asked for. */
export class BatchWaiter implements Sender {
  readonly #topic: string
  readonly #asked: readonly number[] | undefined
  readonly #resolve: (metadata: BatchMetadata) => void
  readonly #reject: (error: KafkaError) => void
  readonly #places: Places
  readonly #failures: FailedRecord[] = []
  #failed = false
  #crossed = 0
  /** Where the records that crossed last begin. */
  #last = 0
  #open: number
  /** How many of its records have been written for a crossing. */
  written: number
  onSettled: (() => void) | undefined

  /** `asked`: with `acks` 0 the partitions that the records name, −1 where they name none. It keeps no message alive. */
  constructor(
    topic: string,
    count: number,
    asked: readonly number[] | undefined,
    resolve: (metadata: BatchMetadata) => void,
    reject: (error: KafkaError) => void,
  ) {
    this.#topic = topic
    this.#asked = asked
    this.#resolve = resolve
    this.#reject = reject
    this.#open = count
    this.#places = new Places(count)
    this.written = 0
    this.onSettled = undefined
  }

  crossed(answers: Int32Array, at: number, count: number): void {
    this.#places.set(this.#crossed, answers, at, count)
    this.#last = this.#crossed
    this.#crossed += count
  }

  refused(at: number, error: KafkaError): void {
    const index = this.#last + at
    this.#failures.push({ index, error, persistence: error.persistence ?? 'possibly-persisted' })
    this.#settled(1)
  }

  delivered(group: number, first: number, count: number, partition: number, offset: number, appendTime: number): void {
    this.#add(group, first, count, partition, offset, appendTime, undefined)
  }

  failed(group: number, first: number, count: number, failure: () => KafkaError): void {
    this.#failed = true
    this.#add(group, first, count, -1, -1, -1, failure)
  }

  abort(error: KafkaError): void {
    this.#reject(error)
  }

  #add(
    group: number,
    first: number,
    count: number,
    partition: number,
    offset: number,
    appendTime: number,
    failure: (() => KafkaError) | undefined,
  ): void {
    const time = appendTime < 0 ? null : appendTime
    this.#places.add({ group, first, end: first + count, partition, offset, appendTime: time, failure })
    this.#settled(count)
  }

  #settled(count: number): void {
    this.#open -= count
    if (this.#open === 0) this.#end()
  }

  #end(): void {
    this.onSettled?.()
    if (!this.#failed && this.#failures.length === 0)
      return this.#resolve(new BatchMetadata(this.#topic, this.#places, this.#asked))
    const { count } = this.#places
    for (let index = 0; this.#failed && index < count; index++) {
      const error = this.#places.fate(index)?.failure?.()
      if (error === undefined) continue
      this.#failures.push({ index, error, persistence: error.persistence ?? 'possibly-persisted' })
    }
    this.#failures.sort((a, b) => a.index - b.index)
    this.#reject(new PartialFailureError(this.#failures, count))
  }
}
