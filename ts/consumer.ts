/**
 * The consumer: records in, by a loop, in batches, through a handler or as a stream.
 */
import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { types } from 'node:util'
import type { ConsumerOptions } from './assignor.ts'
import { Batch } from './batch.ts'
import type { ConsumerEvents } from './consumer-events.ts'
import type {
  FoundOffset,
  GroupIdentity,
  PartitionDescription,
  PartitionEnds,
  PartitionOffset,
  Statistics,
  TopicPartition,
} from './generated/operations.ts'
import {
  arrayOf,
  checkTimeout,
  neededTimeout,
  objectOf,
  optionsOf,
  plainOptions,
  reading,
} from './internal/arguments.ts'
import { Assignors, type AssignRequest } from './internal/assignors.ts'
import { Batches } from './internal/batches.ts'
import { caller } from './internal/calls.ts'
import * as channels from './internal/channels.ts'
import type { Environment } from './internal/environment.ts'
import { aborted, closed, failureOf, invalid, kindOf } from './internal/failure.ts'
import { ForEach } from './internal/for-each.ts'
import { Messages } from './internal/messages.ts'
import { concerning, lookedUp, partitionsOf, placeOf } from './internal/partitions.ts'
import { Reader } from './internal/reader.ts'
import { type RebalanceListeners, Rebalances } from './internal/rebalances.ts'
import { settleWithin } from './internal/settle.ts'
import { readers } from './internal/sources.ts'
import { stallOf } from './internal/stall.ts'
import { nodeStream, webStream } from './internal/streams.ts'
import { TopicPattern } from './internal/topic-pattern.ts'
import type { Message } from './message.ts'
import type { CloseOptions } from './records.ts'
import type { Origin } from './tracing.ts'

/** Of the time that `close` has, what is left for the commit when handlers take long, in milliseconds. */
const COMMIT_MS = 5_000

/** Names of the functions that `subscribe` takes. */
const LISTENERS = ['onAssigned', 'onRevoked', 'onLost'] as const

/** A place to read from: an offset, an end of the log, the group's committed offset, or a time. */
export type StartAt = number | 'earliest' | 'latest' | 'committed' | { timestamp: number | Date }

/** A partition to read, and from where. */
export interface Assignment extends TopicPartition {
  /**
   * Where to begin.
   * @defaultValue `'committed'` with a `groupId`, else `'earliest'`
   */
  offset?: StartAt | undefined
}

/** A place to commit. */
export interface OffsetToCommit extends TopicPartition {
  /** Offset of the next record to read: one more than that of the last finished one. */
  offset: number
  /** Leader epoch of the record before, if it is known. */
  leaderEpoch?: number | null | undefined
  /** Text of the application's own. */
  metadata?: string | undefined
}

/** For `close`. */
export interface ConsumerCloseOptions extends CloseOptions {
  /**
   * Whether it leaves its group, so that the others get its partitions at once, or remains until `sessionTimeoutMs` is over
   * (KIP-1092).
   * @defaultValue true; false with a `groupInstanceId`: such a member comes back to its partitions without a rebalance
   */
  leaveGroup?: boolean | undefined
}

/** For calls that wait or iterate. */
export interface ReadOptions {
  /** Ends it: what waits rejects with the code `ABORTED`. */
  signal?: AbortSignal | undefined
}

/** For `subscribe`. The listeners are awaited before the rebalance goes on; `commit` and `seek` may be called in them. */
export interface SubscribeOptions extends ReadOptions, RebalanceListeners {}

/** For `forEach`. */
export interface ForEachOptions extends ReadOptions {
  /**
   * How many handlers run at a time: a number, in any order; `'partition'`: one per partition, in order; `'key'`: one per
   * key of a partition, so that the records of a key keep their order. Records without a key count as having the same. Before
   * a partition goes to another member, those that others have overtaken are handled.
   * @defaultValue 1
   */
  concurrency?: number | 'partition' | 'key' | undefined
  /**
   * With `concurrency: 'key'`: how many handlers run at a time in all.
   * @defaultValue 64
   */
  max?: number | undefined
}

/**
 * Reads records, as a member of a group (`subscribe`) or alone (`assign`). Made by {@link Kafka.consumer}.
 *
 * What is committed is what is *finished*: in `for await` asking for the next record finishes the one before; `break` and
 * `throw` finish nothing.
 */
export class Consumer extends EventEmitter<ConsumerEvents> implements AsyncIterable<Message>, AsyncDisposable {
  readonly #environment: Environment
  readonly #client: number
  readonly #handle: number
  readonly #origin: Origin
  readonly #reader: Reader
  readonly #rebalances: Rebalances
  readonly #assignors: Assignors
  readonly #grouped: boolean
  readonly #onClosed: () => void
  #pattern: TopicPattern | undefined
  #closing: Promise<void> | undefined
  /** The engine's consumer is closed. Before that, handlers and listeners that run may still commit. */
  #gone = false

  /** @internal */
  constructor(
    environment: Environment,
    client: number,
    origin: Origin,
    options: ConsumerOptions,
    onClosed: () => void,
  ) {
    super()
    this.#environment = environment
    this.#client = client
    this.#onClosed = onClosed
    this.#assignors = new Assignors(options)
    const plain = plainOptions(this.#assignors.options)
    const group = plain.groupId ?? plain['group.id'] ?? null
    this.#grouped = group !== null
    this.#origin = group === null ? origin : { ...origin, groupId: String(group) }
    this.#handle = environment.open('consumer', client, plain)
    this.#reader = new Reader(environment, this.#handle, this.#origin)
    readers.set(this, this.#reader)
    this.#rebalances = new Rebalances(this.#reader)
    environment.listen(this.#handle, {
      client,
      chunks: () => this.#reader.chunks(),
      question: (name, request, deadlineMs) => this.#answer(name, request, deadlineMs),
      event: text => this.#event(JSON.parse(text)),
      poisoned: error => this.#reader.stop(error),
    })
  }

  /**
   * Reads topics as a member of the group `groupId`: by name, or all whose names a `RegExp` finds itself in (Kafka's own left
   * out), those too that are created later and seen after at most `metadataMaxAgeMs`. What was subscribed or assigned before
   * is no more. Returns before the group has given partitions: records come when it has. What keeps the topics of a `RegExp`
   * from being found is an error of the loop, once; it is tried again meanwhile: begin another loop to wait on, or close.
   */
  async subscribe(topics: string | readonly string[] | RegExp, options: SubscribeOptions = {}): Promise<void> {
    if (this.#closing !== undefined) throw closed('consumer')
    const listeners = this.#open(options, ['signal', ...LISTENERS])
    for (const name of LISTENERS) {
      const listener: unknown = listeners[name]
      if (listener !== undefined && typeof listener !== 'function')
        throw invalid(name, `is ${kindOf(listener)}, not a function`)
    }
    const pattern = types.isRegExp(topics) ? reading('topics', () => new TopicPattern(topics)) : undefined
    const names = typeof topics === 'string' ? [topics] : topics
    if (typeof names !== 'object' || names === null)
      throw invalid('topics', `is ${kindOf(topics)}, not a name, an array of names or a RegExp`)
    const request = pattern?.request ?? { topics: arrayOf(names as readonly string[], 'topics') as string[] }
    const { listeners: before } = this.#rebalances
    const patternBefore = this.#pattern
    this.#rebalances.listeners = listeners
    this.#pattern = pattern
    try {
      this.#environment.invoke(this.#handle, 'consumer.subscribe', request)
    } catch (error) {
      this.#rebalances.listeners = before
      this.#pattern = patternBefore
      throw error
    }
  }

  /** Reads these partitions, without a group's assignment. What was subscribed or assigned before is no more. */
  async assign(partitions: readonly Assignment[], options: ReadOptions = {}): Promise<void> {
    if (this.#closing !== undefined) throw closed('consumer')
    this.#open(options, ['signal'])
    const otherwise = this.#grouped ? 'committed' : 'earliest'
    const list = arrayOf(partitions, 'partitions')
    const starts = list.map((one, index) => placeOf(one, `partitions[${index}]`, otherwise))
    this.#environment.invoke(this.#handle, 'consumer.assign', { partitions: starts })
  }

  /** Commits what is finished, if that is automatic, and reads nothing more until the next `subscribe` or `assign`. */
  async unsubscribe(options: ReadOptions = {}): Promise<void> {
    const { signal } = this.#open(options, ['signal'])
    await this.#rebalances.leaving(this.#environment.call(this.#handle, 'consumer.unsubscribe', {}, signal))
  }

  /**
   * The records, one by one, until `close()`. Asking for the next one finishes the one before. Who calls `next()` by hand
   * takes `value` out of a result before calling it again: result objects are used again, messages are not.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message, undefined, undefined> {
    return new Messages(this.#reader, undefined)
  }

  /** The same, with a signal that ends it. */
  messages(options: ReadOptions = {}): AsyncIterableIterator<Message, undefined, undefined> {
    return new Messages(this.#reader, optionsOf(options, ['signal']).signal)
  }

  /** The records in batches: the fast way. Asking for the next batch finishes the one before. */
  batches(options: ReadOptions = {}): AsyncIterableIterator<Batch, undefined, undefined> {
    const { signal } = optionsOf(options, ['signal'])
    const commit = () => this.#commit(undefined)
    return new Batches(this.#reader, signal, (chunk, start) => new Batch(chunk, start, commit))
  }

  /**
   * Calls `handler` for every record until `close()`. A record is finished when its handler has returned, or what it
   * returned has resolved; it is committed once all records before it in its partition are finished. When one fails, no
   * others begin, those that run end, and the call rejects with its error. A `signal` stops it the same way, with `ABORTED`:
   * what `close()` then commits is all that was handled.
   */
  async forEach(handler: (message: Message) => unknown, options: ForEachOptions = {}): Promise<void> {
    const { concurrency = 1, max, signal } = this.#open(options, ['concurrency', 'max', 'signal'])
    if (typeof handler !== 'function') throw invalid('handler', `is ${kindOf(handler)}, not a function`)
    const whole = (value: unknown): value is number => Number.isInteger(value) && (value as number) > 0
    const found = (value: unknown) => (typeof value === 'number' ? value : kindOf(value))
    if (concurrency !== 'partition' && concurrency !== 'key' && !whole(concurrency))
      throw invalid('concurrency', `${found(concurrency)} is neither a whole number above 0 nor 'partition' nor 'key'`)
    if (max !== undefined && concurrency !== 'key') throw invalid('max', `goes with concurrency 'key' only`)
    if (max !== undefined && !whole(max)) throw invalid('max', `${found(max)} is not a whole number above 0`)
    await new ForEach(this.#reader, handler, signal).run(concurrency === 'key' ? { byKey: max ?? 64 } : concurrency)
  }

  /** The records as a Web stream. It finishes nothing by itself: call `message.done()`. Cancel it to end it. */
  stream(options: ReadOptions = {}): ReadableStream<Message> {
    const { signal } = this.#open(options, ['signal'])
    return webStream(this.#reader, signal)
  }

  /** The records as a Node stream. It finishes nothing by itself: call `message.done()`. Destroy it to end it. */
  readable(options: ReadOptions = {}): Readable {
    const { signal } = this.#open(options, ['signal'])
    return nodeStream(this.#reader, signal)
  }

  /**
   * Commits what is finished and what a loop was given last, the record in hand included; or these offsets. Resolves when
   * the group's coordinator has it.
   */
  async commit(offsets?: readonly OffsetToCommit[], options: ReadOptions = {}): Promise<void> {
    const { signal } = this.#open(options, ['signal'])
    if (offsets === undefined) this.#reader.include()
    await this.#commit(offsets === undefined ? undefined : arrayOf(offsets, 'offsets'), signal)
  }

  /** Goes on elsewhere in a partition. When it has returned, nothing from before is delivered. */
  seek(to: TopicPartition & { offset: StartAt }): void {
    this.#open()
    const place = placeOf(to, 'to')
    this.#reader.loop?.paused?.(concerning([place]), false)
    this.#environment.invoke(this.#handle, 'consumer.seek', { to: place })
  }

  /**
   * Stops reading partitions until `resume`; the consumer stays in its group. When it has returned, nothing of them is
   * delivered; what was not comes after `resume`.
   */
  pause(partitions: readonly TopicPartition[]): void {
    this.#open()
    const paused = arrayOf(partitions, 'partitions') as TopicPartition[]
    this.#environment.invoke(this.#handle, 'consumer.pause', { partitions: paused })
    this.#reader.loop?.paused?.(concerning(paused), true)
  }

  /** Ends `pause`. */
  resume(partitions: readonly TopicPartition[]): void {
    this.#open()
    this.#environment.invoke(this.#handle, 'consumer.resume', {
      partitions: arrayOf(partitions, 'partitions') as TopicPartition[],
    })
  }

  /** What is paused. */
  paused(): TopicPartition[] {
    this.#open()
    return this.#environment.invoke(this.#handle, 'consumer.paused', {})
  }

  /** What is assigned now. */
  assignment(): TopicPartition[] {
    this.#open()
    return this.#environment.invoke(this.#handle, 'consumer.assignment', {})
  }

  /** What is subscribed; by a `RegExp`, the topics that match it now. */
  subscription(): string[] {
    this.#open()
    return this.#environment.invoke(this.#handle, 'consumer.subscription', {})
  }

  /** Offset of the next record that the loop gets; null while it is being looked up. */
  position(of: TopicPartition): number | null {
    this.#open()
    return this.#environment.invoke(this.#handle, 'consumer.position', objectOf(of, 'of'))
  }

  /** Records of a partition not yet read; null while that is not known. */
  lag(of: TopicPartition): number | null {
    this.#open()
    return this.#environment.invoke(this.#handle, 'consumer.lag', objectOf(of, 'of'))
  }

  /** The ends of a partition as its broker told them last. */
  watermarks(of: TopicPartition): PartitionEnds {
    this.#open()
    return this.#environment.invoke(this.#handle, 'consumer.watermarks', objectOf(of, 'of'))
  }

  /**
   * What it has done and holds now, in the words of librdkafka's statistics: how each assigned partition is doing, and why one
   * that stands still does. Windows cover the time since the last call.
   */
  async statistics(): Promise<Statistics> {
    this.#open()
    return await this.#environment.call(this.#handle, 'consumer.statistics', {})
  }

  /**
   * The id that a broker gave it for the metrics that it pushes (KIP-714); brokers do that when they have a plugin for it.
   *
   * @param timeout how many milliseconds to wait for it
   * @throws KafkaError when `enableMetricsPush` is false, or no broker gave one in time
   */
  async clientInstanceId(timeout: number): Promise<string> {
    this.#open()
    const timeoutMs = neededTimeout(timeout)
    return await this.#environment.call(this.#handle, 'consumer.clientInstanceId', { timeoutMs })
  }

  /**
   * The partitions of a topic, subscribed or not, asked of the cluster: their leaders and replicas.
   *
   * @throws KafkaError `UNKNOWN_TOPIC_OR_PARTITION` when there is no such topic
   */
  async partitionsFor(topic: string, options: ReadOptions = {}): Promise<PartitionDescription[]> {
    const { signal } = this.#open(options, ['signal'])
    return await partitionsOf(this.#environment, this.#client, topic, signal)
  }

  /** What the group has committed, asked of its coordinator. `offset` is null where it has nothing. */
  async committed(partitions: readonly TopicPartition[], options: ReadOptions = {}): Promise<FoundOffset[]> {
    const { signal } = this.#open(options, ['signal'])
    const request = { partitions: arrayOf(partitions, 'partitions') as TopicPartition[] }
    return await this.#environment.call(this.#handle, 'consumer.committed', request, signal)
  }

  /** Offsets at places of partitions, assigned or not. `offset` is null where no record is at or after a time. */
  async offsetsAt(
    places: readonly (TopicPartition & { offset: 'earliest' | 'latest' | { timestamp: number | Date } })[],
    options: ReadOptions = {},
  ): Promise<FoundOffset[]> {
    const { signal } = this.#open(options, ['signal'])
    const asked = arrayOf(places, 'places').map((one, index) => lookedUp(one, `places[${index}]`))
    return await this.#environment.call(this.#handle, 'consumer.offsetsAt', { places: asked }, signal)
  }

  /** Who this consumer is in its group now. */
  groupMetadata(): GroupIdentity {
    this.#open()
    return this.#environment.invoke(this.#handle, 'consumer.groupMetadata', {})
  }

  /**
   * Ends all loops, commits what is finished if that is automatic, leaves the group and frees everything. Handlers of
   * `forEach` that run are waited for first, and may use the consumer meanwhile, except for one that calls this; what they
   * finish is committed before anyone else gets their partitions; so may `onRevoked`. A loop's body is not waited for. Always settles: of
   * `timeout` at least a quarter, or 5 s, is left for the commit. A second call waits for the first.
   */
  async close(options: ConsumerCloseOptions = {}): Promise<void> {
    const { timeout, leaveGroup } = optionsOf(options, ['timeout', 'leaveGroup'])
    if (leaveGroup !== undefined && typeof leaveGroup !== 'boolean')
      throw invalid('leaveGroup', `is ${kindOf(leaveGroup)}, not true or false`)
    this.#closing ??= this.#close(checkTimeout(timeout), leaveGroup)
    await this.#closing
  }

  /** Same as `close()`, so that `await using` works. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(timeoutMs: number | undefined, leaveGroup: boolean | undefined): Promise<void> {
    this.#reader.stop()
    const leaver = caller()
    let left = timeoutMs
    try {
      const quiet = this.#reader.loop?.quiet?.([leaver])
      if (quiet !== undefined) {
        const began = performance.now()
        const total = timeoutMs ?? this.#environment.invoke(this.#handle, 'consumer.closeTimeout', {})
        await settleWithin(quiet, total - Math.min(total / 4, COMMIT_MS))
        left = Math.max(0, Math.ceil(total - (performance.now() - began)))
      }
      const done = this.#environment.call(this.#handle, 'consumer.close', { timeoutMs: left, leaveGroup })
      await this.#rebalances.leaving(settleWithin(done, left, 1_000), leaver)
    } finally {
      this.#gone = true
      this.#environment.unlisten(this.#handle)
      this.#onClosed()
    }
  }

  /** The options of a call, checked; throws when the consumer is closed or the signal is aborted. */
  #open<T extends ReadOptions>(options?: T, known: readonly (keyof T & string)[] = []): T {
    if (this.#gone) throw closed('consumer')
    const own = optionsOf(options, known)
    if (own.signal?.aborted) throw aborted(own.signal, 'aborted before it began')
    return own
  }

  #commit(offsets: readonly OffsetToCommit[] | undefined, signal?: AbortSignal): Promise<void> {
    const request = offsets === undefined ? {} : { offsets: offsets as PartitionOffset[] }
    const call = () => this.#environment.call(this.#handle, 'consumer.commit', request, signal)
    return channels.commit.hasSubscribers ? channels.commit.tracePromise(call, { ...this.#origin, offsets }) : call()
  }

  #answer(name: string, request: unknown, deadlineMs: number): Promise<unknown> {
    if (name === 'assign') return this.#assignors.assign(request as AssignRequest)
    if (name === 'match')
      return Promise.resolve(this.#pattern?.matching((request as { topics: string[] }).topics) ?? [])
    const { partitions } = request as { partitions: TopicPartition[] }
    const ask = () => this.#rebalances.ask(name as 'revoke' | 'assigned', partitions, deadlineMs)
    if (!channels.rebalance.hasSubscribers) return ask()
    const kind = name === 'revoke' ? 'revoked' : 'assigned'
    return channels.rebalance.tracePromise(ask, { ...this.#origin, kind, partitions })
  }

  #event(event: { name: keyof ConsumerEvents; error?: object; partitions?: TopicPartition[] }): void {
    const { name, error, partitions, ...rest } = event
    switch (name) {
      case 'joined':
        this.emit('joined', { ...(rest as { generation: number; memberId: string }), partitions: partitions ?? [] })
        return
      case 'revoked':
        this.emit('revoked', partitions ?? [])
        return
      case 'lost':
        if (channels.rebalance.hasSubscribers)
          channels.rebalance.traceSync(() => {}, { ...this.#origin, kind: 'lost', partitions: partitions ?? [] })
        this.#rebalances.lost(partitions ?? [])
        this.emit('lost', partitions ?? [])
        return
      case 'stalled':
        this.emit('stalled', stallOf(event))
        return
      default:
        this.emit(name, failureOf(JSON.stringify(error)))
    }
  }
}
