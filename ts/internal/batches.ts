/**
 * `for await (const batch of consumer.batches())`: one async step per chunk. Asking for a batch finishes the one before.
 */
import type { Batch } from '../batch.ts'
import type { Chunk } from './chunk.ts'
import type { Loop, Reader } from './reader.ts'

const DONE: IteratorResult<Batch, undefined> = Object.freeze({ done: true, value: undefined })

/** See the module. */
export class Batches implements AsyncIterableIterator<Batch, undefined, undefined>, Loop {
  readonly #reader: Reader
  readonly #signal: AbortSignal | undefined
  readonly #make: (chunk: Chunk, start: number) => Batch
  #tail: Promise<unknown> = Promise.resolve()
  #hand: Chunk | undefined
  #last: Chunk | undefined
  #ended = false
  #onEmpty: (() => void)[] = []

  constructor(reader: Reader, signal: AbortSignal | undefined, make: (chunk: Chunk, start: number) => Batch) {
    this.#reader = reader
    this.#signal = signal
    this.#make = make
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Batch, undefined>> {
    const turn = this.#tail.then(() => this.#advance())
    this.#tail = turn.catch(() => {})
    return turn
  }

  async #advance(): Promise<IteratorResult<Batch, undefined>> {
    if (this.#ended) return DONE
    const reader = this.#reader
    try {
      reader.begin(this)
      this.#finish()
      // What a loop over messages has left in hand is finished by going on, too.
      reader.chunk?.progress.finishTo(reader.position)
      const chunk = await reader.next(this, this.#signal)
      if (chunk !== null) {
        const start = reader.position
        reader.position = chunk.count
        this.#hand = chunk
        this.#last = chunk
        return { done: false, value: this.#make(chunk, start) }
      }
    } catch (error) {
      this.#end()
      throw error
    }
    this.#end()
    return DONE
  }

  return(): Promise<IteratorResult<Batch, undefined>> {
    this.#end()
    return Promise.resolve(DONE)
  }

  throw(error: unknown): Promise<IteratorResult<Batch, undefined>> {
    this.#end()
    return Promise.reject(error)
  }

  #finish(): void {
    if (this.#hand !== undefined) finishBatch(this.#hand)
    this.#empty()
  }

  #end(): void {
    this.#ended = true
    // The batch in hand is not finished, and not read again: a later loop goes on behind it.
    this.#empty()
    this.#reader.end(this)
  }

  #empty(): void {
    this.#hand = undefined
    for (const done of this.#onEmpty.splice(0)) done()
  }

  get stopped(): boolean {
    return this.#ended
  }

  include(): void {
    const progress = this.#last?.progress
    if (progress !== undefined) progress.finishTo(progress.stepped)
  }

  emptied(concerns: (chunk: Chunk) => boolean): Promise<void> | undefined {
    if (this.#hand === undefined || !concerns(this.#hand)) return undefined
    return new Promise(resolve => this.#onEmpty.push(resolve))
  }
}

/** All of a batch is finished; of one that was taken back, what had been given to the program. */
export function finishBatch({ progress, count }: Chunk): void {
  progress.finishTo(progress.revoked ? progress.stepped : count)
}
