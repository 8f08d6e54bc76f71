/**
 * A transaction: records and offsets that become visible together, or never.
 */
import type { Batch } from './batch.ts'
import type { BatchMetadata } from './batch-metadata.ts'
import type { Consumer, OffsetToCommit } from './consumer.ts'
import { KafkaError, type Persistence } from './errors.ts'
import type { GroupIdentity, PartitionOffset } from './generated/operations.ts'
import { arrayOf, objectOf, optionsOf, refuseUnknown } from './internal/arguments.ts'
import { commit } from './internal/channels.ts'
import { aborted } from './internal/failure.ts'
import type { Reader } from './internal/reader.ts'
import { onAbort } from './internal/signals.ts'
import { committed, offsetsOf, rewind, sourceOf } from './internal/sources.ts'
import { abortable, type Host } from './internal/transactions.ts'
import type { Message } from './message.ts'
import type { MessageBatch, RecordMetadata, SendOptions, TopicMessage } from './records.ts'

/** Offsets that the program keeps itself, and as whom they are committed. */
export interface GroupOffsets {
  /** As whom: `consumer.groupMetadata()`, or `{ groupId }` alone, which nothing fences. */
  group: GroupIdentity
  /** The offsets. */
  offsets: readonly OffsetToCommit[]
}

/**
 * An open transaction of a producer. Made by {@link Producer.transaction} and {@link Producer.beginTransaction}.
 *
 * Whatever of it fails, awaited or not, it is never committed: `commit` then aborts it, and rejects with what failed.
 */
export class Transaction implements AsyncDisposable {
  readonly #host: Host
  /** Consumers to be rewound when it is aborted. */
  readonly #readers = new Set<Reader>()
  readonly #committing = new Set<Promise<void>>()
  readonly #offsets: [Reader, PartitionOffset[]][] = []
  /** What failed here; what fails in the engine, the engine knows. */
  #failure: KafkaError | undefined
  /** `commit` or `abort` was called. */
  #closed = false
  #ended = false
  #ending: { commit: boolean; done: Promise<void> } | undefined

  /** @internal */
  constructor(host: Host, reader: Reader | undefined) {
    this.#host = host
    if (reader !== undefined) this.#readers.add(reader)
  }

  /** Whether it is committed or aborted. */
  get ended(): boolean {
    return this.#ended
  }

  /**
   * Sends one record. It need not be awaited: the commit waits for it.
   *
   * @returns where it lands; who reads with `read_committed` sees it when the transaction is committed
   * @throws KafkaError with `abortable` when the transaction cannot be committed any more
   */
  send(message: TopicMessage, options?: SendOptions): Promise<RecordMetadata> {
    return this.#closed ? over('not-persisted') : told(this.#host.producer.send(message, options))
  }

  /** Sends records of one topic with one promise for all of them, as {@link Producer.sendBatch} does. */
  sendBatch(batch: MessageBatch, options?: SendOptions): Promise<BatchMetadata> {
    return this.#closed ? over('not-persisted') : told(this.#host.producer.sendBatch(batch, options))
  }

  /**
   * Commits offsets within the transaction, in the name of the consumer's group (KIP-447).
   *
   * @param from a message or a batch: its partition is done up to and including it; or a consumer: what is finished
   * everywhere, the record or batch that its loop has in hand included. The consumer needs `enableAutoCommit: false`. When
   * the transaction is aborted, the consumer goes back to its last committed offsets. Or offsets and a group: these, and no
   * consumer goes anywhere
   * @throws KafkaError with `abortable`: the group has given the partition to another member, for example
   */
  commitOffsets(from: Consumer | Message | Batch | GroupOffsets, options?: SendOptions): Promise<void> {
    if (this.#closed) return over()
    const committing = this.#commitOffsets(from, options)
    this.#committing.add(committing)
    return told(committing)
  }

  async #commitOffsets(from: Consumer | Message | Batch | GroupOffsets, options?: SendOptions): Promise<void> {
    try {
      const { signal } = optionsOf(options, ['signal'])
      const { environment, handle } = this.#host
      if ('group' in objectOf(from, 'from')) {
        const { group, offsets } = given(from as GroupOffsets)
        return await environment.call(handle, 'producer.commitOffsets', { offsets, group }, signal)
      }
      const { reader, after } = sourceOf(from as Consumer | Message | Batch)
      this.#readers.add(reader)
      const { offsets, group, owned } = offsetsOf(reader, after)
      const member = { consumer: reader.handle, owned }
      const call = () => environment.call(handle, 'producer.commitOffsets', { offsets, group, member }, signal)
      await (commit.hasSubscribers ? commit.tracePromise(call, { ...reader.origin, offsets }) : call())
      this.#offsets.push([reader, offsets])
    } catch (error) {
      throw this.failed(error as KafkaError)
    }
  }

  /**
   * Waits for everything that was sent, and commits. Aborts instead if anything has failed.
   *
   * @throws KafkaError with `abortable` when it was aborted; with `ABORTED` when the signal stopped the waiting: the commit goes
   * on, and another call of `commit` waits on
   */
  async commit(options?: SendOptions): Promise<void> {
    await this.#end(true, options)
  }

  /**
   * Aborts: who reads with `read_committed` never sees anything of it, and what was not sent yet never is. Does nothing when
   * the transaction has ended.
   */
  async abort(options?: SendOptions): Promise<void> {
    if (!this.#ended) await this.#end(false, options)
  }

  /** The end of the program's own wish, if it has wished for one, else a commit. @internal */
  async finish(signal: AbortSignal | undefined): Promise<void> {
    if (this.#ending === undefined) await this.commit({ signal })
    else await within(this.#ending.done, signal)
  }

  /** Aborts it if it has not ended, so that `await using` works; one that is being committed is waited for. */
  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#ending?.done ?? this.abort())
  }

  async #end(commit: boolean, options?: SendOptions): Promise<void> {
    const { signal } = optionsOf(options, ['signal'])
    if (this.#ended) return await over()
    if (signal?.aborted) throw aborted(signal, 'aborted before the transaction was to end')
    this.#closed = true
    this.#ending ??= { commit, done: told(commit ? this.#commit() : this.#abort()) }
    // A program that stops waiting stops nothing: the next call waits for the same end.
    if (this.#ending.commit !== commit) return await over()
    await within(this.#ending.done, signal)
  }

  async #commit(): Promise<void> {
    const { environment, handle } = this.#host
    let done = false
    try {
      await this.#host.crossed()
      await Promise.allSettled(this.#committing)
      if (this.#failure === undefined) await environment.call(handle, 'producer.commitTransaction', {})
      else {
        await this.#letGo()
        const { message, code } = this.#failure
        throw abortable(new KafkaError(`the transaction was aborted: ${message}`, { code, cause: this.#failure }))
      }
      done = true
    } finally {
      this.#over(done)
    }
  }

  async #abort(): Promise<void> {
    try {
      await this.#letGo()
    } finally {
      this.#over(false)
    }
  }

  async #letGo(): Promise<void> {
    const { environment, handle } = this.#host
    // What the engine has belongs to this transaction; what finds no memory before is refused after it.
    const crossed = told(this.#host.crossed())
    await environment.call(handle, 'producer.abortTransaction', {})
    await crossed
  }

  /** Something has failed that belongs to the transaction. Returns the error as its program gets it. @internal */
  failed(error: KafkaError): KafkaError {
    if (error.abortable || error.fatal || error.code === 'CLOSED' || this.#ended) return error
    const own = abortable(error)
    this.#failure ??= own
    return own
  }

  #over(done: boolean): void {
    this.#ended = true
    this.#host.ended()
    if (done) for (const [reader, offsets] of this.#offsets) committed(reader, offsets)
    else for (const reader of this.#readers) rewind(reader)
  }
}

function given(from: GroupOffsets): { group: GroupIdentity; offsets: PartitionOffset[] } {
  refuseUnknown(from, ['group', 'offsets'], 'from')
  return { group: objectOf(from.group, 'from.group'), offsets: [...arrayOf(from.offsets, 'from.offsets')] }
}

/** As `promise`, but rejects when `signal` is aborted. */
export function within<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const forget = onAbort(signal, () => reject(aborted(signal, 'aborted while waiting; what was begun goes on')))
    promise.then(resolve, reject).finally(forget)
  })
}

/** The same promise. The commit tells of its failure, so nobody has to wait for it. */
function told<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

function over(persistence?: Persistence): Promise<never> {
  const message = 'the transaction has ended, or is about to'
  return Promise.reject(new KafkaError(message, { code: 'INVALID_TXN_STATE', persistence }))
}
