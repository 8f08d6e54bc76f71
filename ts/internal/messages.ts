/**
 * `for await (const message of consumer)`: written by hand, so that a record costs no promise while records are here.
 *
 * Asking for a record finishes the one before; `return` and `throw` finish nothing.
 */
import { type Message, view } from '../message.ts'
import type { Chunk } from './chunk.ts'
import { Pace } from './pace.ts'
import type { Loop, Reader } from './reader.ts'

const DONE: IteratorResult<Message, undefined> = Object.freeze({ done: true, value: undefined })

/**
 * The result that is used again for every record on the fast way. Whether its value was taken tells whether the promise
 * it came in was: a `next()` before that takes the slow way, which makes a promise and a result of its own.
 */
class Result {
  readonly done = false
  taken = true
  message!: Message

  get value(): Message {
    this.taken = true
    return this.message
  }
}

/** See the module. */
export class Messages implements AsyncIterableIterator<Message, undefined, undefined>, Loop {
  readonly #reader: Reader
  readonly #signal: AbortSignal | undefined
  readonly #result = new Result()
  readonly #ready: Promise<IteratorResult<Message, undefined>> = Promise.resolve(
    this.#result as IteratorYieldResult<Message>,
  )
  readonly #pace = new Pace()
  #tail: Promise<unknown> = Promise.resolve()
  /** Slow calls that are not settled. */
  #slow = 0
  #begun = false
  #ended = false
  /** A record is in the program's hands. */
  #inHand = false
  #onEmpty: (() => void)[] = []

  constructor(reader: Reader, signal: AbortSignal | undefined) {
    this.#reader = reader
    this.#signal = signal
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    const reader = this.#reader
    const chunk = reader.chunk
    const result = this.#result
    if (chunk !== null && this.#begun && this.#slow === 0 && result.taken && --this.#pace.steps >= 0) {
      const { position } = reader
      const { progress } = chunk
      progress.finishTo(position)
      if (position < chunk.count && this.#onEmpty.length === 0 && progress.step(position + 1)) {
        reader.position = position + 1
        result.message = view(chunk, position)
        result.taken = false
        return this.#ready
      }
    }
    return this.#next()
  }

  #next(): Promise<IteratorResult<Message, undefined>> {
    this.#slow++
    const turn = this.#tail.then(() => this.#advance()).finally(() => this.#slow--)
    this.#tail = turn.catch(() => {})
    return turn
  }

  async #advance(): Promise<IteratorResult<Message, undefined>> {
    if (this.#ended) return DONE
    const reader = this.#reader
    try {
      reader.begin(this)
      this.#begun = true
      reader.chunk?.progress.finishTo(reader.position)
      this.#empty()
      if (this.#pace.steps <= 0 && this.#pace.due()) await this.#pace.rest()
      for (;;) {
        const before = reader.chunk
        const chunk = await reader.next(this, this.#signal)
        if (chunk === null) break
        if (chunk !== before) this.#pace.rested()
        const { position } = reader
        if (!chunk.progress.step(position + 1)) continue
        reader.position = position + 1
        this.#inHand = true
        return { done: false, value: view(chunk, position) }
      }
    } catch (error) {
      this.#end()
      throw error
    }
    this.#end()
    return DONE
  }

  return(): Promise<IteratorResult<Message, undefined>> {
    this.#end()
    return Promise.resolve(DONE)
  }

  throw(error: unknown): Promise<IteratorResult<Message, undefined>> {
    this.#end()
    return Promise.reject(error)
  }

  #end(): void {
    this.#ended = true
    this.#begun = false
    this.#empty()
    this.#reader.end(this)
  }

  #empty(): void {
    this.#inHand = false
    for (const done of this.#onEmpty.splice(0)) done()
  }

  get stopped(): boolean {
    return this.#ended
  }

  include(): void {
    this.#reader.chunk?.progress.finishTo(this.#reader.position)
  }

  emptied(concerns: (chunk: Chunk) => boolean): Promise<void> | undefined {
    const { chunk } = this.#reader
    if (!this.#inHand || chunk === null || !concerns(chunk)) return undefined
    return new Promise(resolve => this.#onEmpty.push(resolve))
  }
}
