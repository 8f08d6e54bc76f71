/**
 * The producer: records out, one promise each, one for a batch, or none.
 */
import { BatchMetadata } from './batch-metadata.ts'
import { type FailedRecord, KafkaError, PartialFailureError, type Persistence } from './errors.ts'
import type { PartitionDescription, Statistics } from './generated/operations.ts'
import type { ProducerOptions } from './generated/options.ts'
import { check, checkMessage, faultOf, firsts, lasting } from './internal/arena.ts'
import {
  arrayOf,
  checkTimeout,
  neededTimeout,
  optionsOf,
  plainOptions,
  textAt,
  unreadable,
} from './internal/arguments.ts'
import * as channels from './internal/channels.ts'
import { persistences, type Run } from './internal/deliveries.ts'
import type { Environment, Receiver } from './internal/environment.ts'
import { aborted, closed, failureOf, invalid, thrown } from './internal/failure.ts'
import { Outbox } from './internal/outbox.ts'
import { partitionsOf } from './internal/partitions.ts'
import { Places } from './internal/places.ts'
import { settleWithin } from './internal/settle.ts'
import { onAbort } from './internal/signals.ts'
import { Transactions } from './internal/transactions.ts'
import { tooLarge } from './internal/values.ts'
import { BatchWaiter, SendWaiter } from './internal/waiters.ts'
import type {
  CloseOptions,
  MessageBatch,
  ProducerMessage,
  RecordMetadata,
  SendOptions,
  TopicMessage,
  TransactionOptions,
} from './records.ts'
import type { Origin } from './tracing.ts'
import type { Transaction } from './transaction.ts'

const TWO_32 = 4294967296
/** The place of a message that is in no batch. */
const ALONE = -1

/** Sends records. Made by {@link Kafka.producer}. */
export class Producer implements AsyncDisposable {
  readonly #environment: Environment
  readonly #client: number
  readonly #handle: number
  readonly #origin: Origin
  readonly #outbox: Outbox
  /** `acks` 0. */
  readonly #unacknowledged: boolean
  readonly #topics = new Map<string, number>()
  readonly #transactions: Transactions
  readonly #onClosed: () => void
  #lastName: string | undefined
  #lastTopic = 0
  #holding = false
  #unreported: FailedRecord[] = []
  #unreportedCount = 0
  #closing: Promise<void> | undefined
  #fatal: KafkaError | undefined

  /** @internal */
  constructor(
    environment: Environment,
    client: number,
    origin: Origin,
    options: ProducerOptions,
    onClosed: () => void,
  ) {
    this.#environment = environment
    this.#client = client
    this.#origin = origin
    this.#onClosed = onClosed
    const plain = plainOptions(options)
    this.#handle = environment.open('producer', client, plain)
    const { acks } = plain
    this.#unacknowledged = acks === 0 || (typeof acks === 'string' && acks.trim() === '0')
    this.#outbox = new Outbox(environment, this.#handle, this.#unacknowledged, error => this.#enqueuedFailed(error, 1))
    const receiver: Receiver = {
      client,
      delivered: (words, at, failure) => this.#delivered(words, at, failure),
      space: () => this.#outbox.space(),
      poisoned: error => this.#poisoned(error),
    }
    environment.listen(this.#handle, receiver)
    const crossed = (signal?: AbortSignal) => this.#waiting(this.#outbox.crossed(), signal)
    this.#transactions = new Transactions(this, environment, this.#handle, crossed)
  }

  /**
   * Sends one record. Calls made in one tick travel together; nothing needs to be awaited in between.
   *
   * @returns where it landed, when the brokers have acknowledged it as `acks` says
   * @throws KafkaError with `persistence`: whether the record is in the log all the same
   */
  send(message: TopicMessage, options?: SendOptions): Promise<RecordMetadata> {
    if (channels.produce.hasSubscribers) return this.#tracedSend(message, options)
    return this.#send(message, options)
  }

  #send(message: TopicMessage, options?: SendOptions): Promise<RecordMetadata> {
    return new Promise((resolve, reject) => {
      let waiter: SendWaiter | undefined
      try {
        const signal = this.#ready(options)
        checkMessage(message, 'message')
        const { topic } = message
        const id = this.#topic(topic)
        const own = new SendWaiter(topic, message.partition ?? -1, resolve, reject)
        this.#outbox.write(id, lasting(message), ALONE, own)
        waiter = own
        this.#hold()
        if (signal !== undefined) this.#withdrawOn(signal, own, 1)
      } catch (error) {
        reject(this.#unsent(faultOf(error, message, ALONE), waiter, 1))
      }
    })
  }

  /**
   * Sends records of one topic with one promise for all of them.
   *
   * @returns where they landed, in the order of `messages`
   * @throws PartialFailureError when records were not acknowledged; it names them, all others were. When a message is of
   * a wrong type nothing is sent at all.
   */
  sendBatch(batch: MessageBatch, options?: SendOptions): Promise<BatchMetadata> {
    if (channels.produce.hasSubscribers) return this.#tracedBatch(batch, options)
    return this.#sendBatch(batch, options)
  }

  #sendBatch(batch: MessageBatch, options?: SendOptions): Promise<BatchMetadata> {
    // Not an async function: its frame would keep the messages alive until the batch is settled.
    return new Promise((resolve, reject) => {
      let waiter: BatchWaiter | undefined
      try {
        const signal = this.#ready(options)
        const { topic, messages, count } = this.#readable(batch)
        const id = this.#topic(topic)
        const asked = this.#unacknowledged ? messages.map(({ partition }) => partition ?? -1) : undefined
        if (count === 0) return resolve(new BatchMetadata(topic, new Places(0), asked))
        waiter = new BatchWaiter(topic, count, asked, resolve, reject)
        try {
          this.#outbox.writeBatch(id, messages, count, waiter)
        } finally {
          this.#hold()
        }
        if (signal !== undefined) this.#withdrawOn(signal, waiter, count)
      } catch (error) {
        const written = waiter?.written ?? 0
        reject(this.#unsent(faultOf(error, batch, written), waiter, written))
      }
    })
  }

  /**
   * Gives a record to the engine without a promise: the cheapest way. Failures come out at the next `flush`.
   *
   * @returns false when memory is full or earlier records still wait: nothing was taken, await {@link Producer.ready}
   */
  tryEnqueue(message: TopicMessage): boolean {
    if (!channels.produce.hasSubscribers) return this.#tryEnqueue(message)
    const own = channels.tracedMessage(message)
    const context = { ...this.#origin, operation: 'tryEnqueue' as const, topic: own.topic, messages: [own] }
    return channels.produce.traceSync(() => this.#tryEnqueue(own), context)
  }

  #tryEnqueue(message: TopicMessage): boolean {
    this.#ready()
    if (this.#outbox.blocked) return false
    try {
      checkMessage(message, 'message')
      this.#outbox.write(this.#topic(message.topic), lasting(message), ALONE, null)
    } catch (error) {
      throw this.#unsent(faultOf(error, message, ALONE))
    }
    return true
  }

  /** Resolves when there is memory for more records: for use after `tryEnqueue` said false. */
  async ready(options?: SendOptions): Promise<void> {
    const signal = this.#ready(options)
    await this.#waiting(this.#outbox.crossed(), signal)
    this.#ready()
  }

  /**
   * Sends what was given before without lingering.
   *
   * @returns when all of it is settled
   * @throws PartialFailureError when records given to `tryEnqueue` since the last flush were not acknowledged
   */
  async flush(options?: SendOptions): Promise<void> {
    const signal = this.#ready(options)
    await this.#waiting(this.#outbox.crossed(), signal)
    this.#ready()
    await this.#environment.call(this.#handle, 'producer.flush', {}, signal)
    this.#reportEnqueued()
  }

  /**
   * Runs `work` within a transaction: all that it sends, and the offsets it commits, become visible together when it has
   * returned, or never when it throws. A send that fails, awaited or not, aborts too. Work that calls `commit` or `abort` itself
   * need not await it. Needs `transactionalId`.
   *
   * @example
   * await producer.transaction(async tx => {
   *   for (const message of batch) tx.send({ topic: 'out', value: transformed(message) })
   *   await tx.commitOffsets(batch)
   * })
   * @returns what `work` has returned, when the transaction is committed. That is waited for as long as it takes: an
   * aborted signal stops the waiting, not the commit
   * @throws what `work` threw; KafkaError with `abortable` when the transaction was aborted for another reason (make
   * another one), or with `fatal`: fenced by a later producer with the same id
   * @see https://cwiki.apache.org/confluence/display/KAFKA/KIP-98+-+Exactly+Once+Delivery+and+Transactional+Messaging
   */
  async transaction<T>(work: (tx: Transaction) => T | Promise<T>, options?: TransactionOptions): Promise<T> {
    this.#ready()
    return await this.#transactions.run(work, options)
  }

  /**
   * Begins a transaction, to be ended by its `commit()` or `abort()`; {@link Producer.transaction} does that by itself. A
   * producer has one at a time. Closing the producer aborts it.
   *
   * @throws KafkaError `INVALID_TXN_STATE` when one is open; `MAX_BLOCK_TIMEOUT` after `maxBlockMs` without an answer
   */
  async beginTransaction(options?: TransactionOptions): Promise<Transaction> {
    this.#ready()
    return await this.#transactions.begin(options)
  }

  /**
   * The partitions of a topic, asked of the cluster: their leaders and replicas. Does not create the topic.
   *
   * @throws KafkaError `UNKNOWN_TOPIC_OR_PARTITION` when there is no such topic
   */
  async partitionsFor(
    topic: string,
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<PartitionDescription[]> {
    this.#ready()
    const { signal } = optionsOf(options, ['signal'])
    return await partitionsOf(this.#environment, this.#client, topic, signal)
  }

  /** What it has done and holds now, in the words of librdkafka's statistics. Windows cover the time since the last call. */
  async statistics(): Promise<Statistics> {
    this.#ready()
    return await this.#environment.call(this.#handle, 'producer.statistics', {})
  }

  /**
   * The id that a broker gave it for the metrics that it pushes (KIP-714); brokers do that when they have a plugin for it.
   *
   * @param timeout how many milliseconds to wait for it
   * @throws KafkaError when `enableMetricsPush` is false, or no broker gave one in time
   */
  async clientInstanceId(timeout: number): Promise<string> {
    this.#ready()
    const timeoutMs = neededTimeout(timeout)
    return await this.#environment.call(this.#handle, 'producer.clientInstanceId', { timeoutMs })
  }

  /**
   * Takes no more records, sends what there is, and frees everything. A transaction that is open is aborted. Always settles;
   * what is not acknowledged in time fails with `CLOSED`. A second call waits for the first.
   *
   * @throws PartialFailureError when records given to `tryEnqueue` since the last flush were not acknowledged
   */
  async close(options?: CloseOptions): Promise<void> {
    const timeout = checkTimeout(optionsOf(options, ['timeout']).timeout)
    this.#closing ??= this.#close(timeout)
    await this.#closing
  }

  /** Same as `close()`, so that `await using` works. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(timeout: number | undefined): Promise<void> {
    const begun = performance.now()
    const left = () =>
      timeout === undefined ? undefined : Math.max(0, Math.ceil(timeout - (performance.now() - begun)))
    const environment = this.#environment
    environment.hold()
    try {
      await settleWithin(this.#outbox.crossed(), left())
      const timeoutMs = left()
      const request = timeoutMs === undefined ? {} : { timeoutMs }
      await settleWithin(environment.call(this.#handle, 'producer.close', request), timeoutMs, 1_000)
    } finally {
      environment.unlisten(this.#handle)
      this.#outbox.failAll(persistence => closed('producer', persistence))
      this.#hold()
      environment.release()
      this.#onClosed()
    }
    this.#reportEnqueued()
  }

  /** As `#send`, told on the channel. Async, so that whatever is wrong with the message rejects. */
  async #tracedSend(message: TopicMessage, options?: SendOptions): Promise<RecordMetadata> {
    const own = channels.tracedMessage(message)
    const context = { ...this.#origin, operation: 'send' as const, topic: own.topic, messages: [own] }
    return await channels.produce.tracePromise(() => this.#send(own, options), context)
  }

  async #tracedBatch(batch: MessageBatch, options?: SendOptions): Promise<BatchMetadata> {
    const own = channels.tracedBatch(batch)
    const context = { ...this.#origin, operation: 'sendBatch' as const, ...own }
    return await channels.produce.tracePromise(() => this.#sendBatch(own, options), context)
  }

  /** The signal of a call's options; throws when the producer is of no more use or the signal is aborted. */
  #ready(options?: SendOptions): AbortSignal | undefined {
    if (this.#fatal !== undefined) throw poisoned(this.#fatal, 'not-persisted')
    if (this.#closing !== undefined) throw closed('producer', 'not-persisted')
    if (options === undefined) return undefined
    const { signal } = optionsOf(options, ['signal'])
    if (signal?.aborted) throw aborted(signal, 'aborted before anything was sent', 'not-persisted')
    return signal
  }

  /** The error of a call that wrote `count` records at most: it takes them back, and tells what that means for them. */
  #unsent(error: KafkaError, waiter?: SendWaiter | BatchWaiter, count = 0): KafkaError {
    if (error.persistence !== undefined) return this.#transactions.failed(error)
    const gone = waiter !== undefined && this.#outbox.withdraw(waiter) < count
    this.#hold()
    return this.#transactions.failed(withPersistence(error, gone ? 'possibly-persisted' : 'not-persisted'))
  }

  /** A batch whose messages are checked, and can be read again. Only where that needs others are they not the program's own. */
  #readable(batch: MessageBatch): { topic: string; messages: readonly ProducerMessage[]; count: number } {
    checkMessage(batch, 'batch')
    try {
      const { topic } = batch
      const messages = arrayOf(batch.messages, 'messages')
      const count = messages.length
      let own: ProducerMessage[] | undefined
      for (let place = 0; place < count; place++) {
        const message = messages[place]!
        try {
          const lasts = lasting(message)
          check(lasts, place)
          if (lasts !== message) own ??= firsts(messages, place)
          own?.push(lasts)
        } catch (error) {
          throw faultOf(error, message, place)
        }
      }
      return { topic, messages: own ?? messages, count }
    } catch (error) {
      throw unreadable('batch', error)
    }
  }

  #topic(name: string): number {
    if (name === this.#lastName) return this.#lastTopic
    let topic = this.#topics.get(name)
    if (topic === undefined) {
      if (textAt(name, 'topic') === '') throw invalid('topic', "is empty, not a topic's name")
      try {
        topic = this.#environment.native.topic(this.#handle, name)
      } catch (error) {
        throw thrown(error, 'not-persisted')
      }
      this.#topics.set(name, topic)
    }
    this.#lastName = name
    this.#lastTopic = topic
    return topic
  }

  /** The process lives while a promise of ours is pending. */
  #hold(): void {
    const holding = this.#outbox.pending > 0
    if (holding === this.#holding) return
    this.#holding = holding
    if (holding) this.#environment.hold()
    else this.#environment.release()
  }

  async #waiting<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    this.#environment.hold()
    try {
      if (signal === undefined) return await promise
      return await new Promise<T>((resolve, reject) => {
        const forget = onAbort(signal, () => reject(aborted(signal, 'aborted while waiting for the producer')))
        promise.then(resolve, reject).finally(forget)
      })
    } finally {
      this.#environment.release()
    }
  }

  #withdrawOn(signal: AbortSignal, waiter: SendWaiter | BatchWaiter, records: number): void {
    waiter.onSettled = onAbort(signal, () => {
      const error =
        this.#outbox.withdraw(waiter) === records
          ? aborted(signal, 'aborted before the record left: it was not sent', 'not-persisted')
          : aborted(signal, 'aborted after the record left: it may be written', 'possibly-persisted')
      waiter.abort(this.#transactions.failed(error))
      this.#hold()
    })
  }

  #delivered(words: Int32Array, at: number, failure: string | undefined): void {
    const run: Run = {
      group: words[at + 2]!,
      first: words[at + 3]! >>> 0,
      count: words[at + 4]! >>> 0,
      partition: words[at + 5]!,
      offset: words[at + 9]! * TWO_32 + (words[at + 8]! >>> 0),
      appendTime: words[at + 11]! * TWO_32 + (words[at + 10]! >>> 0),
    }
    let error: (() => KafkaError) | undefined
    if (failure !== undefined) {
      const persistence = persistences[words[at + 6]!]
      error = () => failureOf(failure, persistence)
    } else if (run.offset + run.count > Number.MAX_SAFE_INTEGER) {
      error = () => tooLarge('the offset of a record that was written', 'persisted')
    }
    const settled = this.#outbox.deliveries.settle(run, error)
    if (error !== undefined && settled < run.count) this.#enqueuedFailed(error(), run.count - settled)
    this.#hold()
  }

  /** Records that nobody waits for have failed: the next flush tells. Of many, the first thousand are kept. */
  #enqueuedFailed(error: KafkaError, count: number): void {
    // Of a transaction, its end tells.
    if (error.abortable) return
    for (let i = 0; i < count && this.#unreported.length < 1_000; i++) {
      this.#unreported.push({
        index: this.#unreportedCount + i,
        error,
        persistence: error.persistence ?? 'possibly-persisted',
      })
    }
    this.#unreportedCount += count
  }

  #reportEnqueued(): void {
    if (this.#unreported.length === 0) return
    const failures = this.#unreported
    this.#unreported = []
    this.#unreportedCount = 0
    throw new PartialFailureError(failures)
  }

  #poisoned(error: KafkaError): void {
    this.#fatal = error
    this.#outbox.failAll(persistence => poisoned(error, persistence))
    this.#hold()
  }
}

/** An error made for this call, which tells the fate of its records too. */
function withPersistence(error: KafkaError, persistence: Persistence): KafkaError {
  return Object.assign(error, { persistence })
}

/** The same error for a record, whose fate it tells. */
function poisoned(cause: KafkaError, persistence: Persistence): KafkaError {
  const { message, code, fatal } = cause
  return new KafkaError(message, { code, fatal, persistence, cause })
}
