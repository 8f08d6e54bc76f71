/**
 * The one place where a consumer's loops take chunks from: what is being read, how far, and who reads.
 *
 * It yields nothing itself; the loops (`messages.ts`, `batches.ts`, `for-each.ts`, `streams.ts`) do. Only one at a time
 * reads; a later one goes on where an earlier one stopped.
 */
import { KafkaError } from '../errors.ts'
import { type Message, view } from '../message.ts'
import type { Origin, PollContext } from '../tracing.ts'
import type { Call } from './calls.ts'
import * as channels from './channels.ts'
import { Chunk } from './chunk.ts'
import type { Environment } from './environment.ts'
import { aborted, closed, thrown } from './failure.ts'
import { CHUNKS_MS, turn } from './pace.ts'
import { onAbort } from './signals.ts'

/** A chunk and the position of its next record. */
export interface Cursor {
  chunk: Chunk
  position: number
}

/** Whoever reads. */
export interface Loop {
  /** It wants no more; said by `wake` to one that waits. */
  readonly stopped: boolean
  /** What was given to the program counts as finished, the last record too: a commit was asked for. */
  include(): void
  /** Resolves when nothing of these partitions is in the program's hands; undefined: nothing is. */
  emptied(concerns: (chunk: Chunk) => boolean): Promise<void> | undefined
  /**
   * Resolves when no handler runs any more but those that `callers` are in, who want to leave; undefined: that is so. Loops
   * without handlers do not know who is in their body.
   */
  quiet?(callers: Iterable<Call | undefined>): Promise<void> | undefined
  /** Partitions are about to be paused, or (false) read from another place, or are lost. */
  paused?(concerns: (chunk: Chunk) => boolean, paused: boolean): void
}

/** See the module. */
export class Reader {
  /** What is being read; null: nothing. */
  chunk: Chunk | null = null
  /** Position of the next record of `chunk`. */
  position = 0
  /** No more chunks are taken: the consumer closes. */
  ended = false
  readonly environment: Environment
  readonly handle: number
  /** Whose reader it is, for tracing. */
  readonly origin: Origin
  /** Chunks of which a stopped loop has left records, to be read first. */
  readonly #left: Cursor[] = []
  #loop: Loop | undefined
  #lastLoop: Loop | undefined
  #error: KafkaError | undefined
  #wake: (() => void) | undefined
  #ready = false
  /** When the event loop was last seen to run. */
  #turned = 0

  constructor(environment: Environment, handle: number, origin: Origin) {
    this.environment = environment
    this.handle = handle
    this.origin = origin
  }

  /** Whoever reads now. */
  get loop(): Loop | undefined {
    return this.#loop
  }

  /** What the loop that reads, or has read last, has given to the program counts as finished. */
  include(): void {
    this.#lastLoop?.include()
  }

  /** `loop` reads from now on. */
  begin(loop: Loop): void {
    if (this.#loop === loop) return
    if (this.ended) throw this.#error ?? closed('consumer')
    if (this.#loop !== undefined) {
      const message = 'another loop, stream or forEach reads from this consumer: end it first'
      throw new KafkaError(message, { code: 'INVALID_ARGUMENT' })
    }
    this.#loop = loop
    this.#lastLoop = loop
  }

  /** `loop` reads no more. */
  end(loop: Loop): void {
    if (this.#loop !== loop) return
    this.#loop = undefined
    this.#wake?.()
  }

  /** The engine has a chunk or an error. */
  chunks(): void {
    this.#ready = true
    this.#wake?.()
  }

  /** No more chunks are taken. With an error, whoever reads gets it. */
  stop(error?: KafkaError): void {
    this.ended = true
    this.#error ??= error
    this.#wake?.()
  }

  /** Something failed that whoever reads must know. */
  raise(error: KafkaError): void {
    this.#error ??= error
    this.#wake?.()
  }

  /** Whoever waits looks again whether it wants more. */
  wake(): void {
    this.#wake?.()
  }

  /** Keeps a chunk of which records are left. */
  leave(cursor: Cursor): void {
    if (cursor.position < cursor.chunk.count && !cursor.chunk.progress.revoked) this.#left.push(cursor)
  }

  /**
   * Makes `chunk` one with a record at `position` that may be yielded, and returns it; waits if there is none. Null: the
   * loop is over. Whenever a new chunk comes, the event loop has run at most 1 ms before: a turn costs as much as 50 records.
   */
  next(loop: Loop, signal: AbortSignal | undefined): Promise<Chunk | null> {
    // What goes on with the chunk in hand is no poll.
    return this.#here || !channels.poll.hasSubscribers ? this.#next(loop, signal) : this.#traced(loop, signal)
  }

  /** Whether there is a record that may be yielded. */
  get #here(): boolean {
    return this.chunk !== null && this.position < this.chunk.count && !this.chunk.progress.revoked
  }

  /** As `#next`, told on the channel. */
  async #traced(loop: Loop, signal: AbortSignal | undefined): Promise<Chunk | null> {
    const context: PollContext = { ...this.origin }
    let chunk: Chunk | null = null
    await channels.poll.tracePromise(async () => {
      chunk = await this.#next(loop, signal)
      if (chunk === null) context.count = 0
      else Object.assign(context, polled(chunk, this.position))
    }, context)
    return chunk
  }

  async #next(loop: Loop, signal: AbortSignal | undefined): Promise<Chunk | null> {
    let ran = false
    for (;;) {
      if (signal?.aborted) throw aborted(signal, 'the iteration was aborted')
      if (this.#error !== undefined) throw this.#takeError()
      if (this.ended || this.#loop !== loop || loop.stopped) return null
      if (this.#here) return this.chunk
      if (this.chunk !== null) {
        this.chunk = null
        await this.#rest()
        ran = true
      } else if (!this.#take()) {
        await this.#wait(signal)
        this.#turned = performance.now()
        ran = true
      } else if (!ran) {
        await this.#rest()
        ran = true
      }
    }
  }

  /** Lets the event loop run, unless it just has. */
  async #rest(): Promise<void> {
    if (performance.now() - this.#turned < CHUNKS_MS) return
    await turn()
    this.#turned = performance.now()
  }

  #takeError(): KafkaError {
    const error = this.#error!
    if (!this.ended) this.#error = undefined
    return error
  }

  /** Takes the next chunk; false: none is here, `chunks` will be called. */
  #take(): boolean {
    for (let left = this.#left.shift(); left !== undefined; left = this.#left.shift()) {
      if (left.chunk.progress.revoked) continue
      this.chunk = left.chunk
      this.position = left.position
      return true
    }
    this.#ready = false
    const { native } = this.environment
    let chunk: ReturnType<typeof native.nextChunk>
    try {
      chunk = native.nextChunk(this.handle)
    } catch (error) {
      throw thrown(error)
    }
    if (chunk === null) return false
    this.chunk = new Chunk(native, chunk)
    this.chunk.progress.epoch = chunk.epoch
    this.chunk.progress.owner = this
    this.position = 0
    return true
  }

  /** Waits for `chunks`, the end, an error or the signal. The process lives meanwhile. */
  async #wait(signal: AbortSignal | undefined): Promise<void> {
    if (this.#ready) return
    this.environment.hold()
    const forget = signal && onAbort(signal, () => this.#wake?.())
    let own: (() => void) | undefined
    try {
      await new Promise<void>(resolve => {
        own = resolve
        this.#wake = resolve
      })
    } finally {
      // A loop that was begun right after this one had been ended may wait already.
      if (this.#wake === own) this.#wake = undefined
      forget?.()
      this.environment.release()
    }
  }
}

/** What a loop was given, for subscribers. */
function polled(chunk: Chunk, position: number): Partial<PollContext> {
  const { topic, partition, count } = chunk
  return { topic, partition, count: count - position, messages: { [Symbol.iterator]: () => views(chunk, position) } }
}

function* views(chunk: Chunk, position: number): Generator<Message> {
  for (let at = position; at < chunk.count; at++) yield view(chunk, at)
}
