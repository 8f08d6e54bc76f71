/**
 * The promises of `send` and `sendBatch`: one for a record, one for many.
 */
import { type FailedRecord, type KafkaError, PartialFailureError } from '../errors.ts'
import type { ProducerMessage, RecordMetadata } from '../producer.ts'
import type { Waiter } from './deliveries.ts'

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

/** What became of records that lay side by side. */
interface Fate {
  readonly group: number
  readonly first: number
  readonly end: number
  readonly partition: number
  readonly offset: number
  readonly appendTime: number | null
  readonly failure: (() => KafkaError) | undefined
  /** An earlier one of the same group. */
  readonly before: Fate | undefined
}

const SLOTS = 16

/** Waits for all records of a batch. What became of each is put together when all is known, not before. */
export class BatchWaiter implements Sender {
  readonly #topic: string
  readonly #messages: readonly ProducerMessage[]
  readonly #resolve: (metadata: RecordMetadata[]) => void
  readonly #reject: (error: KafkaError) => void
  /** Group and index of each record. */
  readonly #places: Int32Array
  readonly #fates = new Map<number, Fate>()
  readonly #failures: FailedRecord[] = []
  #failed = false
  #crossed = 0
  /** Where the records that crossed last begin. */
  #last = 0
  #open: number
  onSettled: (() => void) | undefined

  constructor(
    topic: string,
    messages: readonly ProducerMessage[],
    resolve: (metadata: RecordMetadata[]) => void,
    reject: (error: KafkaError) => void,
  ) {
    this.#topic = topic
    this.#messages = messages
    this.#resolve = resolve
    this.#reject = reject
    this.#open = messages.length
    this.#places = new Int32Array(2 * messages.length)
    this.onSettled = undefined
  }

  crossed(answers: Int32Array, at: number, count: number): void {
    this.#places.set(answers.subarray(at, at + 2 * count), 2 * this.#crossed)
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
    this.#fates.set(group, {
      group,
      first,
      end: first + count,
      partition,
      offset,
      appendTime: appendTime < 0 ? null : appendTime,
      failure,
      before: this.#fates.get(group),
    })
    this.#settled(count)
  }

  #settled(count: number): void {
    this.#open -= count
    if (this.#open === 0) this.#end()
  }

  #end(): void {
    this.onSettled?.()
    if (!this.#failed && this.#failures.length === 0) return this.#resolve(this.#results())
    this.#each((index, fate) => {
      if (fate?.failure === undefined) return
      const error = fate.failure()
      this.#failures.push({ index, error, persistence: error.persistence ?? 'possibly-persisted' })
    })
    this.#failures.sort((a, b) => a.index - b.index)
    this.#reject(new PartialFailureError(this.#failures, this.#messages.length))
  }

  #results(): RecordMetadata[] {
    const topic = this.#topic
    const results = new Array<RecordMetadata>(this.#messages.length)
    this.#each((index, fate, place) => {
      const { partition, offset, appendTime, first } = fate!
      results[index] = {
        topic,
        partition: partition < 0 ? (this.#messages[index]?.partition ?? -1) : partition,
        offset: offset < 0 ? -1 : offset + (place - first),
        appendTime,
      }
    })
    return results
  }

  /** Calls back with each record's index in the batch, its fate (none when it was refused) and its index in its group. */
  #each(say: (index: number, fate: Fate | undefined, place: number) => void): void {
    const places = this.#places
    const recent = new Array<Fate | undefined>(SLOTS).fill(undefined)
    for (let index = 0; index < places.length >> 1; index++) {
      const group = places[2 * index]!
      const place = places[2 * index + 1]!
      let fate = recent[group & (SLOTS - 1)]
      if (fate === undefined || fate.group !== group || place < fate.first || place >= fate.end) {
        fate = this.#fates.get(group)
        while (fate !== undefined && (place < fate.first || place >= fate.end)) fate = fate.before
        recent[group & (SLOTS - 1)] = fate
      }
      say(index, fate, place)
    }
  }
}
