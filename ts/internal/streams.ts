/**
 * `consumer.stream()` and `consumer.readable()`: for whoever wants a stream. They may read ahead, so they finish nothing:
 * `message.done()` does.
 *
 * Both have a high-water mark of 0: a record is taken when somebody reads, so that nothing lies in a buffer that a seek or
 * a pause would have to take back.
 */
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { type Message, view } from '../message.ts'
import { Pace } from './pace.ts'
import type { Loop, Reader } from './reader.ts'

class Ahead implements Loop {
  readonly stopped = false
  readonly #reader: Reader
  readonly #signal: AbortSignal | undefined
  readonly #pace = new Pace()

  constructor(reader: Reader, signal: AbortSignal | undefined) {
    this.#reader = reader
    this.#signal = signal
    reader.begin(this)
  }

  /** The next record if it is here. */
  take(): Message | undefined {
    const reader = this.#reader
    const { chunk, position } = reader
    if (reader.loop !== this || chunk === null || position >= chunk.count || --this.#pace.steps < 0) return undefined
    if (!chunk.progress.step(position + 1)) return undefined
    reader.position = position + 1
    return view(chunk, position)
  }

  /** The next record; null: there will be none. */
  async next(): Promise<Message | null> {
    const reader = this.#reader
    if (this.#pace.steps <= 0 && this.#pace.due()) await this.#pace.rest()
    for (
      let chunk = await reader.next(this, this.#signal);
      chunk !== null;
      chunk = await reader.next(this, this.#signal)
    ) {
      const { position } = reader
      if (!chunk.progress.step(position + 1)) continue
      reader.position = position + 1
      return view(chunk, position)
    }
    return null
  }

  end(): void {
    this.#reader.end(this)
  }

  include(): void {
    // What is read ahead is finished by `message.done()` only.
  }

  emptied(): undefined {
    return undefined
  }
}

/** A Web stream of messages. */
export function webStream(reader: Reader, signal: AbortSignal | undefined): ReadableStream<Message> {
  const ahead = new Ahead(reader, signal)
  return new ReadableStream<Message>(
    {
      pull(controller) {
        const here = ahead.take()
        if (here !== undefined) return controller.enqueue(here)
        return ahead.next().then(
          message => {
            if (message !== null) return controller.enqueue(message)
            ahead.end()
            controller.close()
          },
          error => {
            ahead.end()
            controller.error(error)
          },
        )
      },
      cancel: () => ahead.end(),
    },
    { highWaterMark: 0 },
  )
}

/** A Node stream of messages, in object mode. */
export function nodeStream(reader: Reader, signal: AbortSignal | undefined): Readable {
  const ahead = new Ahead(reader, signal)
  return new Readable({
    objectMode: true,
    highWaterMark: 0,
    read() {
      const here = ahead.take()
      if (here !== undefined) {
        this.push(here)
        return
      }
      ahead.next().then(
        message => {
          if (message === null) ahead.end()
          this.push(message)
        },
        error => {
          ahead.end()
          this.destroy(error)
        },
      )
    },
    destroy(error, done) {
      ahead.end()
      done(error)
    },
  })
}
