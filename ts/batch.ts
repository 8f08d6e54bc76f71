/**
 * Many records of one partition at a time: the fast way to read.
 */
import { finishBatch } from './internal/batches.ts'
import type { Chunk } from './internal/chunk.ts'
import { type Message, view } from './message.ts'

/** The chunk that a batch is of. @internal */
export let chunkOf: (batch: Batch) => Chunk

/** Records of one partition, in order. Iterate it with a plain `for…of`. */
export class Batch implements Iterable<Message> {
  static {
    chunkOf = batch => batch.#chunk
  }

  readonly #chunk: Chunk
  readonly #start: number
  readonly #commit: () => Promise<void>

  /** @internal */
  constructor(chunk: Chunk, start: number, commit: () => Promise<void>) {
    this.#chunk = chunk
    this.#start = start
    this.#commit = commit
  }

  /** The topic's name. */
  get topic(): string {
    return this.#chunk.topic
  }

  /** The partition, from 0. */
  get partition(): number {
    return this.#chunk.partition
  }

  /** How many records it has, at least one. */
  get length(): number {
    return this.#chunk.count - this.#start
  }

  /** The offset of the first record. */
  get firstOffset(): number {
    return view(this.#chunk, this.#start).offset
  }

  /** The offset of the last record. */
  get lastOffset(): number {
    return view(this.#chunk, this.#chunk.count - 1).offset
  }

  /** One more than the last readable offset of the partition when the records were fetched. */
  get highWatermark(): number {
    return this.#chunk.highWatermark
  }

  /** The records. Ends early after a `seek`, a `pause` or a rebalance that concerns the partition. */
  [Symbol.iterator](): IterableIterator<Message> {
    return new Records(this.#chunk, this.#start)
  }

  /** Finishes the whole batch and commits what is finished. */
  commit(): Promise<void> {
    finishBatch(this.#chunk)
    return this.#commit()
  }

  /** Finishes the whole batch: the next commit, automatic or not, includes it. Asking for the next batch does so too. */
  done(): void {
    finishBatch(this.#chunk)
  }
}

class Records implements IterableIterator<Message> {
  readonly #chunk: Chunk
  #position: number

  constructor(chunk: Chunk, start: number) {
    this.#chunk = chunk
    this.#position = start
  }

  [Symbol.iterator](): this {
    return this
  }

  next(): IteratorResult<Message> {
    const position = this.#position
    const chunk = this.#chunk
    let value: Message | undefined
    const done = position >= chunk.count || !chunk.progress.step(position + 1)
    if (!done) {
      this.#position = position + 1
      value = view(chunk, position)
    }
    // One object for both outcomes: so V8 sees that a loop does not keep it, and makes none.
    return { done, value } as IteratorResult<Message>
  }
}
