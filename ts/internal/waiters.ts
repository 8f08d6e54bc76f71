/**
 * The promises of `send` and `sendBatch`: one for a record, one for many.
 */
import { type FailedRecord, type KafkaError, PartialFailureError } from '../errors.ts'
import type { ProducerMessage, RecordMetadata } from '../producer.ts'
import type { Waiter } from './deliveries.ts'

/** Waits for one record. */
export class SendWaiter implements Waiter {
  readonly #topic: string
  readonly #resolve: (metadata: RecordMetadata) => void
  readonly #reject: (error: KafkaError) => void
  onSettled: (() => void) | undefined

  constructor(topic: string, resolve: (metadata: RecordMetadata) => void, reject: (error: KafkaError) => void) {
    this.#topic = topic
    this.#resolve = resolve
    this.#reject = reject
  }

  delivered(asked: number, partition: number, offset: number, appendTime: number): void {
    this.onSettled?.()
    this.#resolve({
      topic: this.#topic,
      partition: partition < 0 ? asked : partition,
      offset,
      appendTime: appendTime < 0 ? null : appendTime,
    })
  }

  failed(_: number, error: KafkaError): void {
    this.onSettled?.()
    this.#reject(error)
  }

  abort(error: KafkaError): void {
    this.#reject(error)
  }
}

/** Waits for all records of a batch. */
export class BatchWaiter implements Waiter {
  readonly #topic: string
  readonly #messages: readonly ProducerMessage[]
  readonly #resolve: (metadata: RecordMetadata[]) => void
  readonly #reject: (error: KafkaError) => void
  readonly #results: RecordMetadata[]
  readonly #failures: FailedRecord[] = []
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
    this.#results = new Array<RecordMetadata>(messages.length)
  }

  delivered(position: number, partition: number, offset: number, appendTime: number): void {
    this.#results[position] = {
      topic: this.#topic,
      partition: partition < 0 ? (this.#messages[position]?.partition ?? -1) : partition,
      offset,
      appendTime: appendTime < 0 ? null : appendTime,
    }
    if (--this.#open === 0) this.#end()
  }

  failed(index: number, error: KafkaError): void {
    this.#failures.push({ index, error, persistence: error.persistence ?? 'possibly-persisted' })
    if (--this.#open === 0) this.#end()
  }

  abort(error: KafkaError): void {
    this.#reject(error)
  }

  #end(): void {
    this.onSettled?.()
    if (this.#failures.length === 0) return this.#resolve(this.#results)
    this.#failures.sort((a, b) => a.index - b.index)
    this.#reject(new PartialFailureError(this.#failures, this.#results.length))
  }
}
